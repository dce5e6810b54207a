"""The sink `files`."""

from typing import Literal

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from lakehouse.frames import col, visible
from lakehouse.observations import observed
from lakehouse.registry import sink
from lakehouse.targets import Write, Written, batch_folder


@sink(external=True)
def files(
    df: DataFrame,
    write: Write,
    *,
    path: str,
    format: Literal["parquet", "csv", "json", "avro"] = "parquet",
    mode: Literal["append", "overwrite"] = "append",
) -> Written:
    """Writes files: each batch to a folder of its own below `path` (`append`), or all of `path` anew (`overwrite`)."""
    place = write.place or path
    folder = f"{place}/{batch_folder(write.commit)}" if mode == "append" else place
    rows = df.select(*map(col, visible(df)))
    seen = Observation()
    writer = rows.observe(seen, F.count(F.lit(1)).alias("rows")).write.mode("overwrite").format(format)
    (writer.option("header", "true") if format == "csv" else writer).save(folder)
    found = observed(seen)
    count = int(found["rows"]) if found is not None else rows.count()
    return Written(path, None, count, inserted=count)
