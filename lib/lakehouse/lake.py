"""Delta tables by place: what a table is now, reads at a version, and writes that carry an identity."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from lakehouse.commits import Commit
from lakehouse.frames import quoted
from lakehouse.sql_text import text_literal

T = TypeVar("T")

_META = "spark.databricks.delta.commitInfo.userMetadata"
_APP = "spark.databricks.delta.write.txnAppId"
_VERSION = "spark.databricks.delta.write.txnVersion"


@dataclass(frozen=True)
class Snapshot:
    """A table as it is now; `batches` holds the last batch that each identity wrote."""

    path: str
    version: int
    schema: StructType
    partitions: list[str]
    properties: dict[str, str]
    batches: dict[str, int]

    def has(self, commit: Commit) -> bool:
        """True where this very write, or a later one of the same identity, is in."""
        return self.batches.get(commit.app_id, -1) >= commit.batch


def snapshot(spark: SparkSession, path: str) -> Snapshot | None:
    """The table's present state from its log, or None where there is no table."""
    jvm: Any = spark._jvm
    none = jvm.scala.Option.empty()
    state = log_of(spark, path).update(False, none, none)
    if state.version() < 0:
        return None
    metadata = state.metadata()
    return Snapshot(
        path,
        state.version(),
        StructType.fromJson(json.loads(metadata.schemaString())),
        list(metadata.partitionColumns().mkString("\x00").split("\x00"))
        if metadata.partitionColumns().nonEmpty()
        else [],
        _scala_map(metadata.configuration()),
        _batches(state),
    )


def log_of(spark: SparkSession, path: str) -> Any:
    """Delta's own log of a table, in the JVM."""
    jvm: Any = spark._jvm
    return jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, path)


def _last_seen(spark: SparkSession, path: str) -> Any:
    """The table's state as this process knows it; its log is not looked at again."""
    return log_of(spark, path).unsafeVolatileSnapshot()


def _batches(state: Any) -> dict[str, int]:
    """The last batch of each identity: from the version's checksum where it has one, else by reading the whole state,
    which is three Spark jobs."""
    checksum = state.checksumOpt()
    known = checksum.get().setTransactions() if checksum.isDefined() else checksum
    found = known.get() if known.isDefined() else state.setTransactions()
    if found.isEmpty():
        return {}
    # each prints as `SetTransaction(app,batch,Some(time))`; an app that is not ours may hold a comma
    parts = [text.removeprefix("SetTransaction(").rsplit(",", 2) for text in found.mkString("\x00").split("\x00")]
    return {app: int(batch) for app, batch, _ in parts}


def _scala_map(found: Any) -> dict[str, str]:
    pairs = found.toSeq().mkString("\x00")
    return dict(_pair(text) for text in pairs.split("\x00")) if pairs else {}


def _pair(text: str) -> tuple[str, str]:
    """A Scala tuple as it prints: `(key,value)`; a property's name holds no comma."""
    key, _, value = text[1:-1].partition(",")
    return key, value


def read(spark: SparkSession, path: str, version: int | None = None, timestamp: str | None = None) -> DataFrame:
    """The table's rows, at a version or a time where one is given."""
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    if timestamp is not None:
        reader = reader.option("timestampAsOf", timestamp)
    return reader.load(path)


def size(spark: SparkSession, path: str) -> int:
    """The bytes of a table's files, as this process last saw it; 0 without a table, very many where its log does not say."""
    state = _last_seen(spark, path)
    if state.version() < 0:
        return 0
    checksum = state.checksumOpt()
    return int(checksum.get().tableSizeBytes()) if checksum.isDefined() else sys.maxsize


def clustering(spark: SparkSession, path: str) -> list[str]:
    """The columns that a table is clustered by, as this process last saw it."""
    jvm: Any = spark._jvm
    info = jvm.org.apache.spark.sql.delta.skipping.clustering.ClusteringColumnInfo
    names = info.extractLogicalNames(_last_seen(spark, path))
    return list(names.mkString("\x00").split("\x00")) if names.nonEmpty() else []


def stream(spark: SparkSession, path: str) -> DataFrame:
    """The table's rows as a stream: those that are there, then what is appended."""
    return spark.readStream.format("delta").load(path)


def save(
    df: DataFrame, path: str, commit: Commit, *, mode: str, partition_by: Sequence[str] = (), options: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Appends to or overwrites a table, once for this identity where it has one; makes the table where there is none.

    An identity that Delta is told of it looks up in all that the table's log says of its files, at every commit: an append
    looks it up by itself.
    """
    given = {**(options or {}), "userMetadata": commit.metadata}
    if commit.app_id:
        given |= {"txnAppId": commit.app_id, "txnVersion": str(commit.batch)}
        log = log_of(df.sparkSession, path)
        if mode == "append" and log.unsafeVolatileSnapshot().version() >= 0:
            with active(df.sparkSession):
                _append(df, log, commit, partition_by, given)
            return
    writer = df.write.format("delta").mode(mode).options(**given)
    if partition_by:
        writer = writer.partitionBy(*partition_by)
    writer.save(path)


@contextmanager
def active(spark: SparkSession) -> Iterator[None]:
    """The session as the one that Delta goes by, whichever was the last that this thread made or used."""
    jvm: Any = spark._jvm
    sessions = jvm.org.apache.spark.sql.classic.SparkSession
    before = sessions.getActiveSession()
    sessions.setActiveSession(spark._jsparkSession)
    try:
        yield
    finally:
        if before.isDefined():
            sessions.setActiveSession(before.get())
        else:
            sessions.clearActiveSession()


def _append(df: DataFrame, log: Any, commit: Commit, partition_by: Sequence[str], options: Mapping[str, str]) -> None:
    """What Delta's own writer does, but for its look for the identity."""
    jvm: Any = df.sparkSession._jvm
    session, delta = df.sparkSession._jsparkSession, jvm.org.apache.spark.sql.delta
    utils, none, some = jvm.org.apache.spark.api.python.PythonUtils, jvm.scala.Option.empty(), jvm.scala.Option.apply
    transaction = log.startTransaction(none, none)
    if _batches(transaction.snapshot()).get(commit.app_id, -1) >= commit.batch:
        return
    mode, columns, empty = jvm.org.apache.spark.sql.SaveMode.Append, utils.toSeq([*partition_by]), utils.toScalaMap({})
    given = delta.DeltaOptions(utils.toScalaMap(dict(options)), session.sessionState().conf())
    write = delta.commands.WriteIntoDelta(log, mode, given, columns, empty, df._jdf, none, none, False)
    evolves = some(True) if given.canMergeSchema() else none
    operation = getattr(delta, "DeltaOperations$Write")(
        mode, some(columns), none, some(commit.metadata), none, none, evolves, none, none
    )
    found = write.writeAndReturnCommitData(transaction, session, none, False)
    transaction.commitIfNeeded(found.actions(), operation, found.stringTags())


def merge(
    source: DataFrame, path: str, commit: Commit, *, condition: str, matched: Sequence[tuple[str, Mapping[str, str] | None]] = (),
    not_matched: tuple[str | None, Mapping[str, str]] | None = None, missing: str | None = None, evolve: bool = False,
) -> None:  # fmt: skip
    """One MERGE, once for this identity. `matched`: (condition, assignments, or None to delete) in order; `missing`: a
    condition on target rows without a source row, which are deleted."""
    spark = source.sparkSession
    builder = DeltaTable.forPath(spark, path).alias("target").merge(source.alias("source"), condition)
    if evolve:
        builder = builder.withSchemaEvolution()
    for when, assignments in matched:
        if assignments is None:
            builder = builder.whenMatchedDelete(when)
        else:
            builder = builder.whenMatchedUpdate(when, dict(assignments))
    if not_matched is not None:
        builder = builder.whenNotMatchedInsert(not_matched[0] or "true", dict(not_matched[1]))
    if missing is not None:
        builder = builder.whenNotMatchedBySourceDelete(missing)
    with_identity(spark, commit, builder.execute)


def with_identity(spark: SparkSession, commit: Commit, write: Callable[[], T]) -> T:
    """What a write returns that takes its identity from the session alone (MERGE, DELETE, UPDATE). It is taken off again:
    left on, it would make Delta skip the session's next write without a word."""
    given = {_APP: commit.app_id, _VERSION: str(commit.batch), _META: commit.metadata}
    try:
        for key, value in given.items():
            spark.conf.set(key, value)
        return write()
    finally:
        for key in given:
            spark.conf.unset(key)


def delete_where(spark: SparkSession, path: str, condition: str, commit: Commit) -> None:
    """Deletes the rows of a condition, once for this identity."""
    with_identity(spark, commit, lambda: DeltaTable.forPath(spark, path).delete(condition))


def allow_widening(spark: SparkSession, table: Snapshot) -> None:
    """Lets the table's columns become wider, where it does not yet."""
    if table.properties.get("delta.enableTypeWidening") != "true":
        plain = spark.newSession()  # a job's own session takes no path for a table's name
        plain.sql(f"ALTER TABLE delta.{quoted(table.path)} SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')")


def require_properties(spark: SparkSession, path: str, wanted: Mapping[str, str]) -> None:
    """Sets the properties that the table does not have so yet, in a commit of their own; none where all are there."""
    known = _last_seen(spark, path)  # whoever calls this has just written to it
    if known.version() < 0:
        return
    have = _scala_map(known.metadata().configuration())
    new = {key: value for key, value in wanted.items() if have.get(key) != value}
    if new:
        plain = spark.newSession()  # a job's own session takes no path for a table's name
        given = ", ".join(f"{text_literal(key)} = {text_literal(value)}" for key, value in new.items())
        plain.sql(f"ALTER TABLE delta.{quoted(path)} SET TBLPROPERTIES ({given})")


def create(
    spark: SparkSession, path: str, schema: StructType, *, comment: str | None, properties: Mapping[str, str],
    partition_by: Sequence[str] = (), cluster_by: Sequence[str] = (),
) -> None:  # fmt: skip
    """An empty table, where there is none yet."""
    plain = spark.newSession()  # a job's own session takes no path for a table's name
    builder = DeltaTable.createIfNotExists(plain).location(path).addColumns(schema)
    if comment:
        builder = builder.comment(comment)
    for key, value in properties.items():
        builder = builder.property(key, value)
    if partition_by:
        builder = builder.partitionedBy(*partition_by)
    if cluster_by:
        builder = builder.clusterBy(*cluster_by)
    builder.execute()


def forget(spark: SparkSession, path: str) -> None:
    """Takes what Delta remembers of a table that was deleted out of its cache."""
    jvm: Any = spark._jvm
    place = jvm.org.apache.hadoop.fs.Path(path)
    jvm.org.apache.spark.sql.delta.DeltaLog.invalidateCache(spark._jsparkSession, place)


def restore(spark: SparkSession, path: str, version: int, note: Mapping[str, Any]) -> None:
    """Makes the table what it was at an earlier version, by a new one with this note."""
    spark.conf.set(_META, Commit("", 0, note).metadata)
    try:
        DeltaTable.forPath(spark, path).restoreToVersion(version)
    finally:
        spark.conf.unset(_META)
