"""The source `rows`."""

import json
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.cdc_formats import CdcColumns, CdcFormat, flattened
from lakehouse.registry import source
from lakehouse.sources import Read


@source
def rows(
    spark: SparkSession,
    *,
    schema: str,
    rows: list[dict[str, Any] | list[Any]],
    cdc_format: CdcFormat | None = None,
    cdc_columns: CdcColumns | None = None,
    read: Read,
) -> DataFrame:
    """Rows written in the YAML itself, each a mapping or a list in the schema's order; for tests and small lookups."""
    from pyspark.sql.types import StructType

    names = StructType.fromDDL(schema).fieldNames()  # type: ignore[attr-defined]
    texts = [json.dumps(row if isinstance(row, dict) else dict(zip(names, row, strict=True))) for row in rows]
    lines = spark.createDataFrame([(text,) for text in texts], "line string")
    found = lines.select(F.from_json("line", schema, {"mode": "FAILFAST"}).alias("row")).select("row.*")
    return flattened(found, cdc_format, cdc_columns, read.fields)
