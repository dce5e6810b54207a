"""Puts the example shop's payments into its database (the PG* variables say which), each in its newest state."""

import os
import tempfile
from pathlib import Path

import psycopg
import pyarrow.dataset as files

from lakehouse.sample_data import write_shop

COLUMNS = {
    "payment_id": "text PRIMARY KEY",
    "order_id": "text",
    "method": "text",
    "amount": "numeric(12,2)",
    "paid_at": "timestamptz",
    "status": "text",
}


def payments(folder: Path) -> list[dict[str, object]]:
    """A day of the feed, oldest first; what has no key cannot be in a table that has one."""
    write_shop(
        folder, days=1, scale=float(os.environ.get("SHOP_SCALE", "1")), seed=int(os.environ.get("SHOP_SEED", "7"))
    )
    rows = files.dataset(folder / "payments", format="parquet").to_table(columns=list(COLUMNS)).to_pylist()
    return sorted((row for row in rows if row["payment_id"]), key=lambda row: str(row["paid_at"]))


def main() -> None:
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    names = ", ".join(COLUMNS)
    changed = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name != "payment_id")
    upsert = (
        f"INSERT INTO payments ({names}) VALUES ({', '.join(f'%({name})s' for name in COLUMNS)}) "
        f"ON CONFLICT (payment_id) DO UPDATE SET {changed}, updated_at = now() "
        f"WHERE (payments.amount, payments.status) IS DISTINCT FROM (excluded.amount, excluded.status)"
    )
    with tempfile.TemporaryDirectory() as folder, psycopg.connect() as database:
        database.execute(
            f"CREATE TABLE IF NOT EXISTS payments ({columns}, updated_at timestamptz NOT NULL DEFAULT now())"
        )
        with database.cursor() as cursor:
            cursor.executemany(upsert, payments(Path(folder)))
        print(database.execute("SELECT count(*) FROM payments").fetchone()[0], "payments")


if __name__ == "__main__":
    main()
