"""Rows of a Delta table by where they lie: read out of the files that can hold them, taken out there, others put in.

Who has read the rows that change knows their places, and needs no MERGE: that looks for the rows once for their files, once
for their values and once for their places. What is used here of Delta are the parts that its own commands are made of.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lakehouse import lake
from lakehouse.commits import Commit
from lakehouse.frames import AT, col

# bytes of files that are decoded sooner than a plan that leaves out some of their rows is compiled
_LITTLE = 32 * 2**20
_FILE, _NUMBER = "file", "number"
# What a table may ask of a change beside its rows: a MERGE knows how.
_MORE = ("delta.enableChangeDataFeed", "delta.enableRowTracking")
# What Delta makes of a column itself, as the column's own settings tell it.
_MADE = ("delta.generationExpression", "delta.identity")


@dataclass(frozen=True)
class Changed:
    """How many rows one commit brings in anew, in another's place, or takes out."""

    inserted: int
    updated: int
    deleted: int


def read_files(spark: SparkSession, path: str, version: int, condition: str, *, placed: bool = False) -> DataFrame:
    """At least the table's rows of a condition, at a version: those of all files that can hold one; all rows for ''.

    Delta looks for the files of a read up to three times where rows are marked as deleted, and Spark compiles a plan anew
    for each literal in it: only where the files are large is it worth that to leave out rows of theirs. `placed`: with AT.
    """
    rows = lake.read(spark, path, version)
    if condition:
        rows = _of_files(spark, path, version, rows, condition)
    if not placed:
        return rows
    place = F.struct(F.col("_metadata.file_path").alias(_FILE), F.col("_metadata.row_index").alias(_NUMBER))
    return rows.withColumn(AT, place)


def can_be_taken_out(table: lake.Snapshot) -> bool:
    """True for a table whose rows are marked as deleted, with nothing else to write of it."""
    given = table.properties
    if given.get("delta.enableDeletionVectors") != "true" or given.get("delta.columnMapping.mode", "none") != "none":
        return False
    is_made = any(name.startswith(_MADE) for field in table.schema for name in field.metadata)
    return not is_made and not any(given.get(name) == "true" for name in _MORE)


def replace(
    gone: DataFrame, put: DataFrame, table: lake.Snapshot, commit: Commit, *, condition: str, changed: Changed
) -> bool:
    """Takes out the rows that are AT the places in `gone`, and puts in those of `put`, in one commit of this identity.

    False, and nothing is done, where the table is no more as it was read, or has other columns: a MERGE is needed then.
    `condition` holds for all rows that go, as for `read_files`.
    """
    spark = put.sparkSession
    if _kinds(put.schema) != _kinds(table.schema):
        return False
    spelled = {name.lower(): name for name in put.columns}
    put = put.select(*[col(spelled[name.lower()]).alias(name) for name in table.schema.names])
    with lake.active(spark):
        return lake.with_identity(spark, commit, lambda: _replaced(gone, put, table, commit, condition, changed))


def _kinds(schema: StructType) -> dict[str, str]:
    return {field.name.lower(): field.dataType.simpleString() for field in schema}


def _of_files(spark: SparkSession, path: str, version: int, rows: DataFrame, condition: str) -> DataFrame:
    jvm: Any = spark._jvm
    log, none = lake.log_of(spark, path), jvm.scala.Option.empty()
    state = log.getSnapshotAt(version, none, none, False)
    scan = state.filesForScan(_filters(rows, condition), False)
    found = log.createDataFrame(state, scan.files(), False, none).queryExecution().analyzed()
    chosen = DataFrame(jvm.org.apache.spark.sql.classic.Dataset.ofRows(spark._jsparkSession, found), spark)
    taken = scan.scanned().bytesCompressed()
    return chosen if taken.isDefined() and taken.get() <= _LITTLE else chosen.where(condition)


def _filters(rows: DataFrame, condition: str) -> Any:
    """The condition as Delta looks for files by it: a Scala sequence of expressions."""
    jvm: Any = rows.sparkSession._jvm
    sequence = jvm.org.apache.spark.api.python.PythonUtils.toSeq
    if not condition:
        return sequence([])
    plan: Any = rows.where(condition)._jdf
    folded = jvm.org.apache.spark.sql.catalyst.optimizer.ConstantFolding.apply(plan.queryExecution().analyzed())
    return sequence([folded.condition()])


def _replaced(
    gone: DataFrame, put: DataFrame, table: lake.Snapshot, commit: Commit, condition: str, changed: Changed
) -> bool:
    spark = put.sparkSession
    jvm: Any = spark._jvm
    session, utils, none = spark._jsparkSession, jvm.org.apache.spark.api.python.PythonUtils, jvm.scala.Option.empty()
    delta, log = jvm.org.apache.spark.sql.delta, lake.log_of(spark, table.path)
    transaction = log.startTransaction(none, none)
    if transaction.readVersion() != table.version:
        return False
    filters = _filters(put, condition)
    files = transaction.filterFiles(filters, True)
    marks = _marks(gone, transaction, files)
    if marks._2().apply("numModifiedRows") != changed.updated + changed.deleted:
        return False
    done = jvm.scala.Option.apply(int(time.time() * 1000))
    actions = marks._1().appended(delta.actions.SetTransaction(commit.app_id, commit.batch, done))
    if changed.inserted or changed.updated:
        actions = actions.appendedAll(transaction.writeFiles(put._jdf))
    transaction.registerSQLMetrics(session, utils.toScalaMap(_metrics(spark, changed)))
    nothing = utils.toSeq([])
    operation = getattr(delta, "DeltaOperations$Merge")(
        filters.headOption(), none, none, none, nothing, nothing, nothing
    )
    transaction.commitIfNeeded(actions, operation, utils.toScalaMap({}))
    return True


def _marks(gone: DataFrame, transaction: Any, files: Any) -> Any:
    """What the log is to be told of the files that the rows are in, and how many rows that takes out.

    Each file has its new mark, of the rows that are gone now and of those that were so before; or it is gone, with its last row.
    """
    jvm: Any = gone.sparkSession._jvm
    some, true = jvm.scala.Option.apply, jvm.org.apache.spark.sql.catalyst.expressions.Literal.TrueLiteral()
    session, delta = gone.sparkSession._jsparkSession, jvm.org.apache.spark.sql.delta
    helper, generator = delta.commands.DMLWithDeletionVectorsHelper, delta.commands.DeletionVectorBitmapGenerator
    places = gone.select(col(AT)[_FILE].alias(_FILE), col(AT)[_NUMBER].alias(_NUMBER))
    marked = generator.buildRowIndexSetsForFilesMatchingCondition(
        session, transaction, True, places._jdf, files, true, some(F.col(_FILE)._jc), some(F.col(_NUMBER)._jc)
    )
    known = helper.generateCandidateFileMap(transaction.deltaLog().dataPath(), files)
    touched = helper.findFilesWithMatchingRows(transaction, known, marked)
    length = delta.stats.StatsCollectionUtils.getDataSkippingStringPrefixLength(session, transaction.metadata())
    return helper.processUnmodifiedData(session, touched, transaction.snapshot(), length)


def _metrics(spark: SparkSession, changed: Changed) -> Mapping[str, Any]:
    """What the commit says of itself, by the names that a MERGE has for it."""
    jvm: Any = spark._jvm
    counts = {
        "numTargetRowsInserted": changed.inserted, "numTargetRowsUpdated": changed.updated,
        "numTargetRowsDeleted": changed.deleted, "numTargetRowsCopied": 0,
        "operationNumSourceRows": changed.inserted + changed.updated + changed.deleted,
    }  # fmt: skip
    found = {}
    for name, count in counts.items():
        found[name] = jvm.org.apache.spark.sql.execution.metric.SQLMetrics.createMetric(spark._jsc.sc(), name)
        found[name].set(count)
    return found
