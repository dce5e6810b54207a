"""The reference of change data against examples that others worked out: the rules' own, Databricks' AUTO CDC, dbt's snapshots."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from math import nan
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from change_data_invariants import counted, deletes, violations
from change_data_reference import IS_DELETED, Options, accepted, changes, equal, rank, ranks, scd1, scd2, scd3, snapshot
from change_data_streams import KEYS, Draw, change_deliveries, options_of, snapshot_deliveries

PEOPLE = Options(
    keys=["id"], sequence_by=["seq"], apply_as_deletes=lambda event: event.get("op") == "D",
    apply_as_truncates=lambda event: event.get("op") == "T", except_column_list=["op", "seq"],
)  # fmt: skip


def people(text, **columns):
    """Events of key 1 from words like Alice@5; -@7 deletes and _@7 has NULL for a name."""
    words = [word.split("@") for word in text.split()]
    return [
        {"id": 1, "name": None if name in "-_" else name, "op": "D" if name == "-" else "U", "seq": int(seq), **columns}
        for name, seq in words
    ]


def periods(events, **options):
    rows = scd2(events, Options(**{**vars(PEOPLE), **options}))
    return [(row["name"], row["__START_AT"], row["__END_AT"]) for row in rows]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Alice@5 Alice@15 Bob@12", [("Alice", 5, 12), ("Bob", 12, 15), ("Alice", 15, None)]),
        ("Alice@5 Alice@15", [("Alice", 5, None)]),
        ("Alice@15 Alice@5", [("Alice", 5, None)]),
        ("A@1 B@2 A@3", [("A", 1, 2), ("B", 2, 3), ("A", 3, None)]),
        ("A@1 -@3 A@5", [("A", 1, 3), ("A", 5, None)]),
        ("-@3 A@1", [("A", 1, 3)]),
        ("-@3 -@5 A@4", [("A", 4, 5)]),
        ("-@3 -@5 A@1 A@4", [("A", 1, 3), ("A", 4, 5)]),
        ("A@1 A@9 -@5", [("A", 1, 5), ("A", 9, None)]),
        ("A@1 -@9 B@5", [("A", 1, 5), ("B", 5, 9)]),
        ("A@1 -@1", []),
        ("A@1 B@3 -@3", [("A", 1, 3)]),
        ("A@1 B@1", [("B", 1, None)]),
        ("A@1 _@1", [("A", 1, None)]),
        ("A@1 _@2", [("A", 1, 2), (None, 2, None)]),
        ("A@-3 B@0", [("A", -3, 0), ("B", 0, None)]),
    ],
)
def test_type_2_rows_are_runs_whatever_the_order_of_arrival(text, expected):
    for events in permutations(people(text)):
        assert periods([*events, events[0]]) == expected


def test_an_untracked_change_updates_its_row_in_place_a_closed_one_too():
    events = people("A@1 A@3 B@5", mail="new") + people("A@2", mail="older")
    events[0]["mail"] = "oldest"
    rows = scd2(events, Options(**{**vars(PEOPLE), "track_history_column_list": ["name"]}))
    assert [(row["mail"], row["__START_AT"], row["__END_AT"]) for row in rows] == [("new", 1, 5), ("new", 5, None)]


def test_ties_of_upserts_go_to_the_greater_payload_in_column_name_order():
    rows = [{"id": 1, "seq": 1, "b": b, "a": a} for a, b in [(None, 9), (1.0, 1), (nan, None)]]
    for events in permutations(rows):
        assert ranks(scd1(events, PEOPLE)[0], ["a", "b"]) == (rank(nan), rank(None))


def test_a_null_declines_to_change_where_the_option_says_so():
    assert periods(people("A@1 _@2 B@3"), ignore_null_updates=True) == [("A", 1, 3), ("B", 3, None)]
    assert periods(people("A@1 _@3 B@2"), ignore_null_updates=True) == [("A", 1, 2), ("B", 2, None)]
    assert periods(people("A@1 _@3 -@2"), ignore_null_updates=True) == [("A", 1, 2), (None, 3, None)]
    events = people("A@1 _@2", mail="x") + people("_@3", mail=None)
    by_list = scd1(events, Options(**{**vars(PEOPLE), "ignore_null_updates_column_list": ["name"]}))
    all_but = scd1(events, Options(**{**vars(PEOPLE), "ignore_null_updates_except_column_list": ["name"]}))
    assert (by_list[0]["name"], by_list[0]["mail"]) == ("A", None)
    assert (all_but[0]["name"], all_but[0]["mail"]) == (None, "x")


def test_nulls_in_a_struct_decline_field_by_field():
    values = [{"a": 1, "b": {"c": 1}}, {"a": None, "b": {"c": 2}}, None, {"a": None, "b": None}]
    events = [{"id": 1, "seq": seq, "s": value} for seq, value in enumerate(values)]
    filled = Options(**{**vars(PEOPLE), "ignore_null_updates": True})
    assert [row["s"] for row in scd2(events, filled)] == [{"a": 1, "b": {"c": 1}}, {"a": 1, "b": {"c": 2}}]


def test_a_truncate_removes_all_keys_up_to_it_and_the_highest_counts():
    events = [{"id": key, "seq": seq, "op": "U"} for key, seq in [(1, 1), (2, 4), (3, 5), (4, 9)]]
    cuts = [{"id": None, "seq": seq, "op": "T"} for seq in (2, 5)]
    for arrived in permutations(events + cuts):
        assert [row["id"] for row in scd1(arrived, PEOPLE)] == [4]
    with pytest.raises(ValueError, match="truncate"):
        scd2(events + cuts, PEOPLE)


def test_values_compare_by_value_and_null_to_null():
    same = [(nan, -nan), (0.0, -0.0), (None, None), (1, Decimal("1.00")), ([("a", 1), ("b", 2)], [("b", 2), ("a", 1)])]
    assert all(equal({"v": left}, {"v": right}, ["v"]) for left, right in same)
    less = [(None, ""), ("10", "9"), (2**53, 2**53 + 1), (False, True), (float("inf"), nan), ([], [None]), ("A", "a"),
            ([None], ["a"]), ({"a": None, "b": 2}, {"a": 1, "b": 1}), (None, {"a": None}), ("z", "é")]  # fmt: skip
    assert all(rank(left) < rank(right) for left, right in less)


def test_a_null_in_key_or_sequence_is_refused():
    for event in ({"id": None, "seq": 1}, {"id": 1, "seq": None}, {"id": None, "seq": 1, "op": "D"}):
        with pytest.raises(ValueError, match="NULL"):
            scd1([event], PEOPLE)


def test_several_sequence_columns_give_a_struct():
    options = Options(keys=["id"], sequence_by=["day", "nr"], except_column_list=["day", "nr"])
    rows = scd2([{"id": 1, "v": v, "day": day, "nr": nr} for v, day, nr in [(1, 2, "10"), (2, 2, "9")]], options)
    assert [row["__START_AT"] for row in rows] == [{"day": 2, "nr": "10"}, {"day": 2, "nr": "9"}]


def test_type_3_keeps_the_value_before_the_last_change_of_the_same_life():
    def kept(text, sink=scd3):
        rows = sink(people(text), Options(**{**vars(PEOPLE), "keep_previous": ["name"]}))
        return [(row["name"], row["previous_name"], row["name_changed_at"]) for row in rows]

    assert kept("A@1") == kept("A@1 A@2 -@0") == [("A", None, None)]
    assert kept("A@1 B@2 B@3") == [("B", "A", 2)]
    assert kept("A@1 B@2 A@3") == [("A", "B", 3)]
    assert kept("A@1 _@2 B@3") == [("B", None, 3)]
    assert kept("A@1 B@2 -@3 C@4") == [("C", None, None)]
    assert kept("A@1 B@2 -@3") == []
    assert kept("A@1 B@2 C@4", scd2) == [("A", None, None), ("B", "A", 2), ("C", "B", 4)]


# The change feed of Databricks' documentation on AUTO CDC, in its order there.
FEED = [
    (124, "Raul", "Oaxaca", "INSERT", 1), (123, "Isabel", "Monterrey", "INSERT", 1),
    (125, "Mercedes", "Tijuana", "INSERT", 2), (126, "Lily", "Cancun", "INSERT", 2),
    (123, None, None, "DELETE", 6), (125, "Mercedes", "Guadalajara", "UPDATE", 6),
    (125, "Mercedes", "Mexicali", "UPDATE", 5), (123, "Isabel", "Chihuahua", "UPDATE", 5),
]  # fmt: skip
USERS = [dict(zip(("userId", "name", "city", "operation", "sequenceNum"), row, strict=True)) for row in FEED]
USER = {
    "keys": ["userId"], "sequence_by": ["sequenceNum"], "apply_as_deletes": lambda event: event["operation"] == "DELETE",
    "apply_as_truncates": lambda event: event["operation"] == "TRUNCATE",
    "except_column_list": ["operation", "sequenceNum"],
}  # fmt: skip


def values(rows):
    return sorted((tuple(row.values()) for row in rows), key=lambda row: (row[0], str(row[-2])))


def test_type_1_is_what_databricks_publishes():
    expected = [("Raul", "Oaxaca"), ("Mercedes", "Guadalajara"), ("Lily", "Cancun")]
    assert [(row["name"], row["city"]) for row in scd1(USERS, Options(**USER))] == expected
    cut = {"userId": None, "name": None, "city": None, "operation": "TRUNCATE", "sequenceNum": 3}
    assert [row["userId"] for row in scd1([*USERS, cut], Options(**USER))] == [125]


def test_type_2_is_what_databricks_publishes():
    assert values(scd2(USERS, Options(**{**USER, "column_list": ["name", "city"], "except_column_list": None}))) == [
        (123, "Monterrey", "Isabel", 1, 5), (123, "Chihuahua", "Isabel", 5, 6), (124, "Oaxaca", "Raul", 1, None),
        (125, "Tijuana", "Mercedes", 2, 5), (125, "Mexicali", "Mercedes", 5, 6),
        (125, "Guadalajara", "Mercedes", 6, None), (126, "Cancun", "Lily", 2, None),
    ]  # fmt: skip


def test_type_2_with_a_tracked_list_is_what_databricks_publishes():
    assert values(scd2(USERS, Options(**USER, track_history_except_column_list=["city"]))) == [
        (123, "Chihuahua", "Isabel", 1, 6), (124, "Oaxaca", "Raul", 1, None),
        (125, "Guadalajara", "Mercedes", 2, None), (126, "Cancun", "Lily", 2, None),
    ]  # fmt: skip


ORDERS = Options(keys=["id"])


def orders(*rows):
    return [dict(zip(("id", "status", "updated_at"), row, strict=False)) for row in rows]


def bounds(rows):
    return [
        (row["status"], row["__START_AT"], row["__END_AT"], *([True] if row.get(IS_DELETED) else [])) for row in rows
    ]


def test_snapshots_insert_update_and_delete_by_comparison():
    taken = [
        (1, orders((1, "new"), (2, "new"))),
        (3, orders((1, "paid"), (2, "new"))),
        (2, []),
        (5, orders((3, "new"))),
    ]
    assert snapshot(taken, ORDERS) == [{"id": 3, "status": "new"}]
    assert bounds(snapshot(taken, ORDERS, stored_as=2)) == [
        ("new", 1, 3), ("paid", 3, 5), ("new", 1, 5), ("new", 5, None)
    ]  # fmt: skip
    assert snapshot([*taken, (6, [])], ORDERS) == []
    kept = snapshot(taken, ORDERS, stored_as=2, hard_deletes="ignore")
    assert bounds(kept) == [("new", 1, 3), ("paid", 3, None), ("new", 1, None), ("new", 5, None)]


def test_equal_rows_of_a_key_collapse_and_different_ones_refuse_the_snapshot():
    assert len(snapshot([(1, orders((1, -0.0), (1, 0.0)))], ORDERS)) == 1
    with pytest.raises(ValueError, match="different rows for one key"):
        snapshot([(1, orders((1, "a"), (1, "b")))], ORDERS)


def test_the_timestamp_strategy_is_dbts():
    # dbt's documentation: an order that is pending and then shipped
    taken = [(2, orders((1, "pending", 1))), (3, orders((1, "shipped", 2))), (4, orders((1, "late", 2)))]
    rows = snapshot(taken, ORDERS, stored_as=2, strategy="timestamp", updated_at="updated_at")
    assert bounds(rows) == [("pending", 1, 2), ("shipped", 2, None)]


def test_the_check_strategy_is_dbts():
    taken = [(1, orders((1, "a", 1))), (2, orders((1, "a", 2))), (3, orders((1, "b", 3))), (4, orders((1, None, 4)))]
    rows = snapshot(taken, ORDERS, stored_as=2, strategy="check", check_columns=["status"])
    assert bounds(rows) == [("a", 1, 3), ("b", 3, 4), (None, 4, None)]
    assert [row["updated_at"] for row in rows] == [1, 3, 4]
    assert len(snapshot(taken, ORDERS, stored_as=2, strategy="check", check_columns="all")) == 4


@pytest.mark.parametrize(
    ("hard_deletes", "gone", "back"),
    [
        ("ignore", [("a", 1, None)], [("a", 1, None)]),
        ("invalidate", [("a", 1, 2)], [("a", 1, 2), ("a", 5, None)]),
        ("new_record", [("a", 1, 2), ("a", 2, None, True)], [("a", 1, 2), ("a", 2, 5, True), ("a", 5, None)]),
    ],
)
def test_hard_deletes_are_dbts(hard_deletes, gone, back):
    taken = [(1, orders((1, "a"))), (2, []), (3, []), (5, orders((1, "a")))]

    def rows(count):
        return bounds(snapshot(taken[:count], ORDERS, stored_as=2, strategy="check", hard_deletes=hard_deletes))

    assert rows(2) == rows(3) == gone
    assert rows(4) == back


def test_full_is_check_of_all_columns_with_deletes_invalidated():
    for seed in range(30):
        taken = snapshot_deliveries(seed, [1, 2], runs=3, empty=True).arrived(3)
        checked = snapshot(taken, Options(keys=list(KEYS)), stored_as=2, strategy="check", hard_deletes="invalidate")
        full = snapshot(taken, Options(keys=list(KEYS)), stored_as=2)
        assert counted(full, list(full[0])) == counted(checked, list(full[0]))


def test_time_travel_over_type_2_returns_every_snapshot():
    options = Options(keys=list(KEYS))
    for seed in range(30):
        taken = list(accepted(snapshot_deliveries(seed, [1, 2, 3], runs=3).arrived(3)))
        history = snapshot(taken, options, stored_as=2)
        columns = sorted(set(history[0]) - {"__START_AT", "__END_AT"})
        for place, (version, _) in enumerate(taken):
            seen = counted(as_of(history, rank(version)), columns)
            assert seen == counted(snapshot(taken[: place + 1], options), columns)


def as_of(rows, moment):
    """The type 2 rows that were true at a moment, or, with None, at the end."""
    ends = [(row, rank(row["__END_AT"])) for row in rows]
    return [row for row, end in ends if rank(row["__START_AT"]) <= moment and (row["__END_AT"] is None or end > moment)]


OPTION_SETS = [
    {},
    {"except_column_list": ["op", "seq"]},
    {"except_column_list": ["op", "seq"], "track_history_column_list": ["name", "address"]},
    {"except_column_list": ["op", "seq"], "ignore_null_updates": True},
    {
        "except_column_list": ["op", "seq"],
        "ignore_null_updates_column_list": ["name", "address"],
        "keep_previous": ["qty"],
    },
]


@pytest.mark.parametrize("more", OPTION_SETS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers())
def test_any_order_and_any_repeat_give_rows_that_keep_the_invariants(more, seed):
    sink = {"keys": list(KEYS), "sequence_by": ["seq"], "apply_as_deletes": "op = 'D'", **more}
    options, events = options_of(sink), Draw(seed, nulls=0.5).events(1, ["seq"])
    rows, columns = scd2(events, options), sorted({name for row in scd2(events, options) for name in row})
    again = [*events, *events[:3]]
    Random(seed).shuffle(again)
    assert counted(scd2(again, options), columns) == counted(rows, columns)
    assert not violations(rows, options, deletes(events, options), scd1(events, options))


@pytest.mark.parametrize("more", OPTION_SETS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers())
def test_type_2_at_a_moment_is_type_1_of_the_events_until_then(more, seed):
    sink = {"keys": list(KEYS), "sequence_by": ["seq"], "apply_as_deletes": "op = 'D'", **more}
    options, events = options_of(sink), Draw(seed, nulls=0.5).events(1, ["seq"])
    history = scd2(events, options)
    tracked = [
        *KEYS,
        *(name for name in events[0] if name not in KEYS and options.keeps(name) and options.tracks(name)),
    ]
    for event in events:
        until = [other for other in events if other["seq"] <= event["seq"]]
        assert counted(as_of(history, rank(event["seq"])), tracked) == counted(scd1(until, options), tracked)


def test_streams_hold_what_goes_wrong_elsewhere():
    sent = change_deliveries("1", range(100), ["seq"], batches=3, truncates=2)
    events = [event for batch in sent.batches for event in batch]
    options = options_of({"keys": list(KEYS), "sequence_by": ["seq"], "apply_as_deletes": "op = 'D'"})
    of_key = {}
    for event in events:
        if event["op"] != "T":
            of_key.setdefault(ranks(event, options.keys), []).append(event)
    ties = [mine for mine in of_key.values() if len({event["seq"] for event in mine}) < len(mine)]
    lone = [mine for mine in of_key.values() if all(event["op"] == "D" for event in mine)]
    late = [mine for mine in of_key.values() if mine != sorted(mine, key=lambda event: event["seq"])]
    plain = options_of({**vars(options), "except_column_list": ["op", "seq"]})
    fewer = [mine for mine in of_key.values() if len(scd2(mine, plain)) < len(scd2(mine, options))]
    assert min(map(len, (ties, lone, late, fewer))) > 5
    assert {event["op"] for event in events} >= {"T", "D", "U", None, "?"}


def test_broken_targets_are_told():
    rows = [{"id": 1, "__START_AT": first, "__END_AT": end} for first, end in [(1, 3), (3, None)]]
    assert not violations(rows, PEOPLE, set(), [{"id": 1}])
    for number, bounds_of, gone, type_1 in [
        ("I1", [(1, None), (3, None)], None, None), ("I2", [(3, 3)], None, None), ("I2", [(None, 3)], None, None),
        ("I3", [(1, 4), (3, None)], None, None), ("I4", [(1, 2), (3, None)], set(), None), ("I5", [(1, 2)], None, [{"id": 1}]),
    ]:  # fmt: skip
        broken = [{"id": 1, "__START_AT": first, "__END_AT": end} for first, end in bounds_of]
        assert any(text.startswith(number) for text in violations(broken, PEOPLE, gone, type_1))


def test_a_missing_key_is_a_delete_once():
    taken = [(1, orders((1, "a"))), (2, []), (3, [])]
    assert [event["__version"] for event in changes(taken, ORDERS, deletes=True) if event["__deleted"]] == [2]
