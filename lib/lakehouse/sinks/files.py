"""The sink `files`."""

from typing import Literal

from pyspark.sql import DataFrame

from lakehouse.frames import col, visible
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
    as_text = {"header": "true", "multiLine": "true"} if format == "csv" else {}  # a text may have line breaks
    rows.write.mode("overwrite").format(format).options(**as_text).save(folder)
    count = write.spark.read.schema(rows.schema).format(format).options(**as_text).load(folder).count()
    return Written(path, None, count, inserted=count)
