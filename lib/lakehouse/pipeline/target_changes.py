"""What would become of a job's targets: their columns and settings as they are, held against the rows that would come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import BooleanType, DataType, NullType, StringType

from lakehouse import lake
from lakehouse.batches.batch import contract_properties, table_settings
from lakehouse.batches.cdc_rows import fitted
from lakehouse.batches.job_columns import listed_columns
from lakehouse.batches.routes import added_columns
from lakehouse.column_types import changes, wider
from lakehouse.errors import SinkError
from lakehouse.frames import visible
from lakehouse.history.shape import CHANGED_AT, CURRENT, PREVIOUS
from lakehouse.history.snapshots import IS_DELETED
from lakehouse.lake import Snapshot
from lakehouse.planning.changes import Action, ColumnChange, Kind, TableChange
from lakehouse.planning.plan import KEEP_EVENTS, Plan, SinkStep, Step
from lakehouse.table_checks import other_checks, unasked_checks
from lakehouse.table_layout import require_partitions
from lakehouse.targets import Settings

_UNKNOWN = NullType()  # a column whose type only the sink knows


def target_change(
    plan: Plan, sink: SinkStep, rows: DataFrame | None, spark: SparkSession, *, writes: bool
) -> TableChange:
    """What a run would do to one target; without `rows` nothing is known of its columns. `writes`: there is something new."""
    table, how = sink.target, sink.step.name
    if not sink.step.option("table"):
        return TableChange(table, how, "write" if writes else "none")
    before = lake.snapshot(spark, plan.layout.table(table))
    action: Action = "none" if not writes else "create" if before is None else "write"
    if rows is None:
        return TableChange(table, how, action, before.version if before else None)
    step, rows = fitted(plan, sink.step, rows)
    wanted = _columns(step, sink, rows)
    settings = table_settings(plan, sink, wanted)
    if before is None:
        added = tuple(ColumnChange(name, "added", None, _text(kind)) for name, kind in wanted.items())
        return TableChange(table, how, action, None, added, tuple(_laid_out(settings)))
    return _altered(plan, sink, before, wanted, settings, action)


def _altered(
    plan: Plan, sink: SinkStep, before: Snapshot, wanted: Mapping[str, DataType], settings: Settings, action: Action
) -> TableChange:
    """What of a table that is there would be another, and what a run would refuse."""
    whole = sink.step.name == "overwrite" and not (sink.step.option("replace_where") or sink.step.option("partitions"))
    replaces = whole and settings.evolve
    found = list(_changes(before, wanted, settings, replaces=replaces))
    columns = tuple(change for change, _ in found)
    refused = tuple(
        f"{change.name} is {change.before} in {sink.target} and now {change.after}" for change, no in found if no
    )
    said = tuple(_settings(plan, settings, before, replaces=replaces))
    known = {field.name.lower() for field in before.schema}
    ignored = () if settings.evolve else tuple(name for name in wanted if name.lower() not in known)
    try:
        if not replaces:
            require_partitions(sink.target, before.partitions, settings.partition_by)
    except SinkError as error:
        refused = (*refused, str(error))
    alters = action == "write" and bool(columns or said)
    return TableChange(
        sink.target, sink.step.name, "alter" if alters else "none" if action == "none" else "write", before.version,
        columns, said, refused, ignored,
    )  # fmt: skip


def _columns(step: Step, sink: SinkStep, rows: DataFrame) -> dict[str, DataType]:
    """The columns that the target gets of these rows, those that its sink adds among them."""
    kinds = {name: rows.schema[name].dataType for name in visible(rows)}
    if step.name not in KEEP_EVENTS:
        return kinds
    kept = {name: kinds[name] for name in listed_columns(step, kinds)}
    own = added_columns(sink)
    spelled = {name.lower(): name for name in (step.option("start_column"), step.option("end_column")) if name}
    added = {spelled.get(name, name): _own_type(step, name, kinds) for name in sorted(own)}
    return kept | {name: kind for name, kind in added.items() if name not in kept}


def _own_type(step: Step, name: str, kinds: Mapping[str, DataType]) -> DataType:
    """The type of a column that a change-data sink adds."""
    by_name = {column.lower(): kind for column, kind in kinds.items()}
    if name in (CURRENT.lower(), IS_DELETED.lower()):
        return BooleanType()
    if name.startswith(PREVIOUS) and name.removeprefix(PREVIOUS) in by_name:
        return by_name[name.removeprefix(PREVIOUS)]
    sequence = step.option("sequence_by") or []
    bounds = {str(step.option(bound)).lower() for bound in ("start_column", "end_column")}
    if (name in bounds or name.endswith(CHANGED_AT)) and len(sequence) == 1:
        return by_name.get(sequence[0].lower(), _UNKNOWN)
    return _UNKNOWN


def _changes(
    before: Snapshot, wanted: Mapping[str, DataType], settings: Settings, *, replaces: bool
) -> Iterator[tuple[ColumnChange, bool]]:
    """Each column that would be another, and whether the table refuses it so."""
    known = {field.name.lower(): field for field in before.schema}
    for name, given in wanted.items():
        there = known.get(name.lower())
        if there is None:
            if settings.evolve:
                yield ColumnChange(name, "added", None, _text(given)), False
        elif not isinstance(given, NullType):
            kind, refused = _change(there.dataType, given, settings, replaces=replaces)
            if kind is not None:
                yield ColumnChange(there.name, kind, _text(there.dataType), _text(given)), refused
    if replaces:
        coming = {name.lower() for name in wanted}
        gone = [field for field in before.schema if field.name.lower() not in coming]
        for field in gone:
            yield ColumnChange(field.name, "dropped", _text(field.dataType), None), False


def _change(there: DataType, given: DataType, settings: Settings, *, replaces: bool) -> tuple[Kind | None, bool]:
    """How a column's type changes, and whether the table refuses it; (None, False) where its values fit as they are."""
    holds = wider(there, given)
    grows = holds is not None and _text(holds) == _text(given)
    if _text(there) == _text(given):
        return None, False
    if replaces:
        return ("widened" if grows else "narrowed"), False
    if not changes(there, given, grows=settings.evolve) or settings.type_widening:
        if holds is not None and _text(holds) == _text(there):
            return None, False
        return ("widened", False) if holds is not None else ("narrowed", True)
    return ("widened" if grows else "narrowed"), True


def _settings(plan: Plan, settings: Settings, before: Snapshot, *, replaces: bool) -> Iterator[str]:
    """What of the table's settings would be another."""
    asked = [name.lower() for name in settings.partition_by]
    if replaces and asked and asked != [name.lower() for name in before.partitions]:
        yield f"partitioned by {', '.join(settings.partition_by)} (was: {', '.join(before.partitions) or 'nothing'})"
    other = other_checks(settings.constraints, before.properties)
    for name, condition in settings.constraints.items():
        if name.lower() in other:
            yield f"constraint {name}: {condition}"
    for name in unasked_checks(settings.constraints, before.properties, settings.constraint_prefix):
        yield f"no constraint {name} any more"
    for name, version in contract_properties(plan).items() if plan.contract is not None else ():
        if name.endswith(".version") and before.properties.get(name) not in (None, version):
            contract = name.removeprefix("lakehouse.contract.").removesuffix(".version")
            yield f"contract {contract} {version} (was: {before.properties[name]})"


def _laid_out(settings: Settings) -> Iterator[str]:
    if settings.partition_by:
        yield f"partitioned by {', '.join(settings.partition_by)}"
    if settings.cluster_by:
        yield f"clustered by {', '.join(settings.cluster_by)}"
    yield from (f"constraint {name}: {condition}" for name, condition in settings.constraints.items())


def _text(kind: DataType) -> str:
    """The type as Spark writes it; a column of NULL alone becomes text, one that only its sink knows is empty."""
    if kind is _UNKNOWN:
        return ""
    return StringType().simpleString() if isinstance(kind, NullType) else kind.simpleString().lower()
