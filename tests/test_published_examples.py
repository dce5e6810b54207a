"""The examples that Databricks publishes for AUTO CDC and dbt for snapshots, through jobs of this product."""

from __future__ import annotations

import pytest

# docs.databricks.com: "SCD type 1 and type 2 processing", the table of users, with and without the truncate
USERS = [
    "124,Raul,Oaxaca,INSERT,1",
    "123,Isabel,Monterrey,INSERT,1",
    "125,Mercedes,Tijuana,INSERT,2",
    "126,Lily,Cancun,INSERT,2",
    "123,,,DELETE,6",
    "125,Mercedes,Guadalajara,UPDATE,6",
    "125,Mercedes,Mexicali,UPDATE,5",
    "123,Isabel,Chihuahua,UPDATE,5",
]
TRUNCATE = ",,,TRUNCATE,3"
USERS_JOB = """
layer: silver
source:
  files: {{path: data, format: csv}}
schema: "userId int, name string, city string, operation string, sequenceNum bigint"
sink:
  {sink}: {{table: silver.users, keys: [userId], sequence_by: [sequenceNum], apply_as_deletes: "operation = 'DELETE'", except_column_list: [operation, sequenceNum]{more}}}
"""
TRUNCATES = ", apply_as_truncates: \"operation = 'TRUNCATE'\""


@pytest.mark.parametrize(
    ("sink", "more", "lines", "expected"),
    [
        ("scd1", "", USERS, ["124 Raul Oaxaca", "125 Mercedes Guadalajara", "126 Lily Cancun"]),
        ("scd1", TRUNCATES, [*USERS, TRUNCATE], ["125 Mercedes Guadalajara"]),
        ("scd2", "", USERS, [
            "123 Isabel Chihuahua 5 6", "123 Isabel Monterrey 1 5", "124 Raul Oaxaca 1 None", "125 Mercedes Guadalajara 6 None",
            "125 Mercedes Mexicali 5 6", "125 Mercedes Tijuana 2 5", "126 Lily Cancun 2 None",
        ]),
        ("scd2", ", track_history_except_column_list: [city]", USERS, [
            "123 Isabel Chihuahua 1 6", "124 Raul Oaxaca 1 None", "125 Mercedes Guadalajara 2 None", "126 Lily Cancun 2 None",
        ]),
    ],
    ids=["type 1", "type 1 with a truncate", "type 2", "type 2, tracking all but the city"],
)  # fmt: skip
def test_auto_cdc_on_the_table_of_users(project, sink, more, lines, expected):
    project.job("users", USERS_JOB.format(sink=sink, more=more))
    head = "userId,name,city,operation,sequenceNum\n"
    project.write("data/1.csv", head + "\n".join(lines[4:]) + "\n")  # the newer ones first
    project.run("users")
    project.write("data/2.csv", head + "\n".join(lines[:4]) + "\n")
    project.run("users")
    shown = ["userId", "name", "city", *(["__START_AT", "__END_AT"] if sink == "scd2" else [])]
    assert sorted(" ".join(str(row[name]) for name in shown) for row in project.rows("silver.users")) == expected


ORDERS_JOB = """
layer: silver
source:
  files: {{path: data, format: csv}}
schema: "id int, status string, updated_at timestamp"
read: full
sink:
  snapshot: {{table: silver.orders, keys: [id], stored_as: 2, start_column: dbt_valid_from, end_column: dbt_valid_to, {more}}}
"""


def taken(project, more: str, *lines: str) -> None:
    """One run of the snapshot over the source as it is now."""
    project.job("orders", ORDERS_JOB.format(more=more))
    project.write("data/orders.csv", "id,status,updated_at\n" + "".join(f"{line}\n" for line in lines))
    project.run("orders")


def test_the_dbt_snapshot_of_an_order_that_is_shipped(project):
    """docs.getdbt.com, "Add snapshots to your DAG": pending becomes shipped, strategy timestamp."""
    more = "strategy: timestamp, updated_at: updated_at"
    taken(project, more, "1,pending,2024-01-01T10:47:59")
    taken(project, more, "1,shipped,2024-01-02T11:05:32")
    taken(project, more, "1,shipped,2024-01-02T11:05:32")
    shown = [
        [str(row[name])[:19] for name in ("status", "dbt_valid_from", "dbt_valid_to")]
        for row in project.rows("silver.orders", "dbt_valid_from")
    ]
    assert shown == [
        ["pending", "2024-01-01 10:47:59", "2024-01-02 11:05:32"],
        ["shipped", "2024-01-02 11:05:32", "None"],
    ]


@pytest.mark.parametrize(
    "strategy", ["strategy: timestamp, updated_at: updated_at", "strategy: check, check_columns: [status]"]
)
def test_the_dbt_snapshot_of_a_deleted_order_with_a_new_record(project, strategy):
    """docs.getdbt.com, "hard_deletes": the deletion is a row of its own, once; the order that returns ends it."""
    more = f"{strategy}, hard_deletes: new_record"
    taken(project, more, "1,pending,2024-01-01T10:47:59", "2,pending,2024-01-01T10:47:59")
    for _ in range(2):
        taken(project, more, "1,pending,2024-01-01T10:47:59")
    rows = [row for row in project.rows("silver.orders", "dbt_valid_from") if row["id"] == 2]
    assert [(row["status"], row["__IS_DELETED"], row["dbt_valid_to"] is None) for row in rows] == [
        ("pending", False, False),
        ("pending", True, True),
    ]
    assert rows[0]["dbt_valid_to"] == rows[1]["dbt_valid_from"]
    taken(project, more, "1,pending,2024-01-01T10:47:59", "2,shipped,2099-01-02T11:05:32")
    rows = [row for row in project.rows("silver.orders", "dbt_valid_from") if row["id"] == 2]
    assert [(row["status"], row["__IS_DELETED"], row["dbt_valid_to"] is None) for row in rows] == [
        ("pending", False, False),
        ("pending", True, False),
        ("shipped", False, True),
    ]
    assert rows[1]["dbt_valid_to"] == rows[2]["dbt_valid_from"]
