"""How a table's files are laid out, held against what its job says: clustering follows the job, partitions need a rewrite."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from lakehouse.errors import SinkError
from lakehouse.frames import quoted


def require_partitions(table: str, there: Sequence[str], asked: Sequence[str]) -> None:
    """Raises SinkError where a job asks for other partitions than its table has; one that asks for none takes any."""
    if asked and [name.lower() for name in asked] != [name.lower() for name in there]:
        have = f"partitioned by {', '.join(there)}" if there else "not partitioned"
        raise SinkError(
            f"{table} is {have}, and partition_by says {', '.join(asked)}: its files must be written anew; "
            "run with --full-refresh, or set partition_by back"
        )


def cluster(spark: SparkSession, path: str, table: str, there: Sequence[str], asked: Sequence[str]) -> None:
    """Clusters the table by the columns that a job asks for, where it is not yet: what `OPTIMIZE` writes follows them.

    Raises SinkError for a table that Delta does not cluster, such as a partitioned one.
    """
    if [name.lower() for name in asked] == [name.lower() for name in there]:
        return
    plain = spark.newSession()  # a job's own session takes no path for a table's name
    try:
        plain.sql(f"ALTER TABLE delta.{quoted(path)} CLUSTER BY ({', '.join(map(quoted, asked))})")
    except AnalysisException as error:
        said = str(error).strip().split("\n")[0]
        raise SinkError(
            f"{table} cannot be clustered by {', '.join(asked)}: {said}; run with --full-refresh"
        ) from error
