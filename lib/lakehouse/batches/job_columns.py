"""Which columns a job's rows have: those of its contract or schema, and bronze's own where they are named."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from lakehouse.batches.step_errors import explained
from lakehouse.cdc_formats import COLUMNS
from lakehouse.config.contract import Contract
from lakehouse.conform import Shape
from lakehouse.contracts.constraints import conditions, is_text
from lakehouse.errors import ConfigError
from lakehouse.frames import BRONZE_COLUMNS, FILE, KAFKA_COLUMNS, quoted
from lakehouse.history.shape import CHANGED_AT, CURRENT, PREVIOUS
from lakehouse.history.snapshots import IS_DELETED
from lakehouse.planning.plan import Plan, SinkStep, Step
from lakehouse.sql_text import aliases, mentions

# Transforms that leave a row's other columns as they are, with the option that names what they make or take away.
_MAKES = {
    "cast": "columns", "deduplicate": None, "derive": "columns", "drop": "columns", "fill_nulls": "columns", "filter": None,
    "keep_latest": None, "lookup": "columns", "mask": "columns", "rename": "columns", "select": None,
    "standardise": "column", "surrogate_key": "name", "trim": "columns",
}  # fmt: skip


def shape_of(plan: Plan, run_id: str, now: datetime) -> Shape:
    """What conform makes of the job's rows."""
    named = _named_columns([*_after_rules(plan), *(rule.step.given for rule in plan.rules)])
    if plan.source.option("cdc_format"):
        named |= set(COLUMNS)
    if any(sink.step.entry.traits.get("asks_for_file") for sink in plan.sinks):
        named.add(FILE)
    bronze = plan.job.config.layer == "bronze"
    if bronze:
        named |= set(KAFKA_COLUMNS)
    rescue = plan.source.option("rescued_data_column") or ("_rescued_data" if bronze else None)
    return Shape(contract_fields(plan), bronze, rescue, frozenset(named), run_id, now)


def own_columns(step: Step) -> frozenset[str]:
    """The columns that a change-data sink adds to its table; none of another sink."""
    bounds = [step.option(name) for name in ("start_column", "end_column")]
    previous = step.option("keep_previous") or []
    flags = [CURRENT, IS_DELETED] if all(bounds) else []
    made = [name for column in previous for name in (f"{PREVIOUS}{column}", f"{column}{CHANGED_AT}")]
    return frozenset([*filter(None, bounds), *flags, *made])


def listed_columns(step: Step, names: Iterable[str]) -> list[str]:
    """Those of a frame's columns that a change-data sink keeps by its `column_list` or `except_column_list`; of another all."""
    keys, listed, left_out = (step.option(name) or () for name in ("keys", "column_list", "except_column_list"))
    asked = {name.lower() for name in (*keys, *listed)} if listed else None
    dropped = {name.lower() for name in left_out}
    return [name for name in names if name.lower() not in dropped and (asked is None or name.lower() in asked)]


def contract_constraints(plan: Plan, sink: SinkStep, columns: Iterable[str]) -> dict[str, str]:
    """What the contract says of the columns that reach a sink with the values that its rules have seen, as CHECK constraints."""
    if plan.contract is None:
        return {}
    fields = {field.name.lower(): field.name for field in plan.contract.fields if field.mask is None}
    texts = {field.name.lower() for field in plan.contract.fields if is_text(field)}
    staying = {name: name for name in fields}  # a field by the name that its column has by now
    for step in plan.transforms:
        if step.name not in _MAKES:
            return {}
        made = written_by(step, [name for name, field in staying.items() if field in texts])
        if step.name == "rename":
            staying = {made.get(name, name): field for name, field in staying.items()}
        else:
            staying = {name: field for name, field in staying.items() if name not in made}
    held = {
        fields[staying[name.lower()]]: quoted(name)
        for name in listed_columns(sink.step, columns)
        if name.lower() in staying
    }
    return conditions(plan.contract, held)


def written_by(step: Step, texts: list[str]) -> dict[str, str]:
    """The columns that a transform writes or takes away, in small letters; of `rename` the new name by the old one."""
    option = _MAKES[step.name]
    named = step.option(option) if option is not None else {}
    if not isinstance(named, dict):
        names = [named] if isinstance(named, str) else texts if named is None else named
        named = {name: name for name in names}
    return {name.lower(): str(new).lower() for name, new in named.items()}


def personal_columns(plan: Plan, given: Collection[str] = ()) -> frozenset[str]:
    """The columns that hold what the contract calls `pii`, or what is `given` as such: under their names after the
    transforms, and those made of them."""
    names = {*given, *(field.name for field in (plan.contract.fields if plan.contract else ()) if field.pii)}
    for step in plan.transforms if names else ():
        names |= _made_of(step, names)
        if step.name == "rename":
            new = step.option("columns") or {}
            names = {new.get(name, name) for name in names}
    kept = {column for sink in plan.sinks for column in sink.step.option("keep_previous") or ()}
    return frozenset(names | {f"{PREVIOUS}{name}" for name in kept & names})


def _made_of(step: Step, names: set[str]) -> set[str]:
    """The columns that a transform makes of these: more rather than fewer, where its SQL does not say."""
    personal = set(names)
    made = step.option({"derive": "columns", "aggregate": "measures"}.get(step.name, "")) or {}
    for name, sql in made.items():
        if _any_mentioned(sql, personal):  # each sees those before it
            personal.add(name)
    if step.name == "surrogate_key" and personal & {*step.given["columns"]}:
        personal.add(str(step.option("name")))
    if step.name == "sql" and _any_mentioned(step.given["query"], personal):
        personal |= set(aliases(step.given["query"]))
    return personal


def _any_mentioned(sql: str, names: Iterable[str]) -> bool:
    return any(mentions(sql.lower(), name.lower()) for name in names)


def contract_fields(plan: Plan) -> StructType | None:
    """The columns that the contract or the schema asks for, in Spark's types; None where there is neither."""
    if plan.contract is not None:
        return _typed_fields(plan.contract)
    if plan.job.config.schema_ is None:
        return None
    with explained(plan):
        return _fields(plan.job.config.schema_)


def without_bronze_columns(plan: Plan, rows: DataFrame) -> DataFrame:
    """Silver and gold carry bronze's own columns only where a transform, a sink or the contract names them."""
    if plan.job.config.layer == "bronze":
        return rows
    asked = {field.name for field in plan.contract.fields} if plan.contract else set()
    if plan.source.option("rescued_data_column"):
        asked.add(plan.source.option("rescued_data_column"))
    asked |= _named_columns(_after_rules(plan))
    return rows.drop(*[name for name in BRONZE_COLUMNS + KAFKA_COLUMNS if name not in asked])


def _typed_fields(contract: Contract) -> StructType:
    found = StructType()
    for field in contract.fields:
        try:
            found.add(field.name, _fields(f"x {field.type}")[0].dataType)
        except Exception as error:
            raise ConfigError(
                f"contract {contract.name}: field '{field.name}' has no Spark type '{field.type}'"
            ) from error
    return found


def _fields(ddl: str) -> StructType:
    found = StructType.fromDDL(ddl)
    if not isinstance(found, StructType):
        raise ValueError(f"'{ddl}' is no list of columns")
    return found


def _after_rules(plan: Plan) -> list[Any]:
    """What the job says of its rows after the rules: the options of its transforms and its sinks."""
    sinks = [option for sink in plan.sinks for option in (sink.step.given, sink.where)]
    return [*(step.given for step in plan.transforms), *sinks]


def _named_columns(options: Collection[Any]) -> set[str]:
    """Those of bronze's own columns that one of the options names."""
    told = str(options)  # most name none
    found = [name for name in (*BRONZE_COLUMNS, *KAFKA_COLUMNS) if name in told]
    return {name for name in found if any(_mentioned(option, name) for option in options)}


def _mentioned(value: Any, column: str) -> bool:
    if isinstance(value, dict):
        return any(_mentioned(item, column) for pair in value.items() for item in pair)
    if isinstance(value, list):
        return any(_mentioned(item, column) for item in value)
    return isinstance(value, str) and mentions(value, column)
