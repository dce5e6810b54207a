"""What a job's YAML may say: its keys, their types and their defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from lakehouse.refusals import TABLE_NAME
from lakehouse.registry import Dimension, Duration, Share


class Strict(BaseModel):
    """A part of a YAML file that takes no unknown key and guesses no type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _one_word(value: object) -> object:
    if isinstance(value, str):
        return {value: {}}
    if isinstance(value, dict) and len(value) == 1 and next(iter(value.values())) is None:
        return {next(iter(value)): {}}
    return value


Word = Annotated[dict[str, dict[str, Any]], BeforeValidator(_one_word), Field(min_length=1, max_length=1)]
"""`{name: {option: value}}`: one registered function and its options."""


class QualityGate(Strict):
    """What a batch must satisfy before anything reaches the target."""

    max_quarantined: Share | None = Field(None, description="The greatest share of rows that may be quarantined: 35%.")
    max_quarantined_rows: int | None = Field(None, ge=0, description="The most rows that may be quarantined.")
    dimensions: dict[Dimension, Share] = Field(
        default_factory=dict,
        description="By dimension the greatest share of rows that may break one of its rules: {completeness: 1%}.",
    )
    min_rows: int | None = Field(None, ge=0, description="The fewest rows that the input may have.")


class Watermark(Strict):
    """How long a stream waits for rows that are out of order."""

    column: str = Field(description="The column that holds when a row happened, a timestamp.")
    delay: Duration = Field(description="How far behind the latest row an earlier one may come: 10 minutes.")
    tolerance: Duration = Field(
        "1 hour", description="How far ahead of now a row may be dated; one beyond is quarantined, and moves nothing."
    )


_WATERMARK = {
    "anyOf": [
        Watermark.model_json_schema(),
        {
            "type": "object",
            "additionalProperties": Watermark.model_json_schema(),
            "description": "By input, for a join.",
        },
    ]
}


class Stream(Strict):
    """How often a stream takes what is new, how long it waits for what is out of order, and when it ends."""

    trigger: str = Field(
        "available_now",
        pattern=r"^\s*(available_now|\d+(\.\d+)?\s+(second|minute|hour|day|week)s?)\s*$",
        description="`available_now` takes what is there and ends; an interval, such as `10 seconds`, goes on until it is stopped.",
    )
    watermark: Annotated[dict[str, Any], WithJsonSchema(_WATERMARK)] | None = None
    max_batches: int | None = Field(None, ge=1, description="The most micro-batches of one run.")
    max_failures: int = Field(
        5, ge=0, description="After so many failures in a row that may pass (store or broker out of reach) it gives up."
    )
    late: Literal["keep", "merge"] = "keep"


class Expectations(Strict):
    """A Great Expectations suite that the rows about to be written are held against."""

    suite: str = Field(description="The suite's JSON file, from the project's root.")
    checkpoint: bool = Field(True, description="Whether runs ask it: false keeps it for export and docs alone.")
    on_fail: Literal["fail", "warn"] = Field(
        "fail", description="What an expectation that does not hold does to the run."
    )


class JobConfig(Strict):
    """One job, as its YAML says; the options of sources, rules, transforms and sinks are checked by the plan."""

    layer: Literal["bronze", "silver", "gold"] = Field(
        description="Where the job's tables stand; bronze keeps a row as it came."
    )
    description: str | None = Field(None, description="What the table holds, in a sentence.")
    tags: list[str] = Field(default_factory=list, description="Words to select jobs by: `--select tag:shop`.")
    source: Word = Field(description="What is read: one source with its options.")
    read: Literal["incremental", "full"] | None = Field(
        None, description="Take what no earlier run took, or all each time."
    )
    inputs: list[Annotated[str, Field(pattern=TABLE_NAME)]] = Field(
        default_factory=list, description="Further tables that rules, transforms and SQL may read, by these names."
    )
    contract: str | None = Field(
        None, description="The contract that rows are cast to and checked against: conf/contracts/NAME.yml."
    )
    schema_: str | None = Field(None, alias="schema", description="Spark DDL: `id bigint, name string`.")
    rules: list[Word] = Field(
        default_factory=list, description="What must hold for a row or a batch, before the transforms."
    )
    quality_gate: QualityGate | None = Field(
        None, description="What a batch must satisfy before anything reaches the target."
    )
    allow_empty: bool = Field(False, description="Whether new input without a row passes the gate.")
    quarantine: Annotated[str, Field(pattern=TABLE_NAME)] | None = Field(
        None, description="The table of broken rows; without it the target's name and `__quarantine`."
    )
    transforms: list[Word] = Field(default_factory=list, description="What becomes of valid rows, in this order.")
    sink: Word | None = Field(None, description="What is written: one sink with its options.")
    sinks: list[dict[str, Any]] | None = Field(
        None, min_length=1, description="Several sinks, each with an optional `where`."
    )
    exclusive: bool = Field(False, description="Whether a row goes to the first of the sinks only that it fits.")
    stream: Stream | None = Field(
        None, description="How often a stream looks, how long it waits for late rows, when it ends."
    )
    expectations: Expectations | None = Field(
        None, description="A Great Expectations suite that the rows about to be written are held against."
    )
    spark: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Spark SQL settings for this job alone."
    )
