"""The data and the rules that the benchmarks share: orders, made by Spark from their number alone."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

SCHEMA = (
    "order_id bigint, customer_id int, amount decimal(12,2), quantity int, discount double, status string, "
    "country string, email string, ordered_at timestamp, note string"
)
RULES = (
    "not_null: {column: order_id}",
    "not_null: {column: customer_id}",
    "not_null: {column: ordered_at}",
    "in_range: {column: amount, min: 0, max: 100000}",
    "in_range: {column: quantity, min: 1, max: 100}",
    "accepted_values: {column: status, values: [created, paid, shipped, delivered]}",
    "matches: {column: country, pattern: '^[A-Z]{2}$'}",
    "length: {column: email, min: 5, max: 80}",
    "expr: {sql: discount >= 0 and discount < amount + 1, name: discount_is_fair}",
    "not_in_future: {column: ordered_at}",
)


def orders(
    spark: SparkSession, first: int, last: int, *, broken: float = 0, parts: int = 8, step: int = 1
) -> DataFrame:
    """One row per number in [first, last), in order; this share of them breaks the range of `quantity`."""
    numbers = spark.range(first, last, step, parts)
    per_mille = int(broken * 1000)
    return numbers.selectExpr(
        "id order_id",
        "cast(id % 100000 as int) customer_id",
        "cast(id % 99991 / 7 as decimal(12,2)) amount",
        f"cast(if(hash(id) % 1000 between 0 and {per_mille - 1}, -1, id % 99 + 1) as int) quantity" if per_mille
        else "cast(id % 99 + 1 as int) quantity",
        "id % 10 / 100D discount",
        "element_at(array('created', 'paid', 'shipped', 'delivered'), cast(id % 4 as int) + 1) status",
        "element_at(array('DE', 'FR', 'IT', 'ES', 'PL'), cast(id % 5 as int) + 1) country",
        "concat('customer', id % 100000, '@example.org') email",
        "timestamp_seconds(1735689600 + id % 20000000) ordered_at",
        "substr(sha2(cast(id as string), 256), 1, 20) note",
    )  # fmt: skip


def job(folder: Path, name: str, source: str, sink: str, rules: tuple[str, ...] = ()) -> Path:
    """A silver job over the orders as a YAML file."""
    listed = "rules:\n" + "".join(f"  - {rule}\n" for rule in rules) if rules else ""
    file = folder / "conf" / f"{name}.yml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(
        f'layer: silver\nsource:\n  {source}\nschema: "{SCHEMA}"\n{listed}sink:\n  {sink}\n', encoding="utf-8"
    )
    return file
