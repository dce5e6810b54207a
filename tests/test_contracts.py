"""Contracts against their earlier versions: what differs, whom it breaks, and when that is refused. No Spark."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from lakehouse.cli import command
from lakehouse.config.contract import Contract, fingerprint
from lakehouse.config.jobs import of_document
from lakehouse.config.spark_types import spark_type, widens
from lakehouse.config.yaml_text import parse
from lakehouse.contracts.differences import differences
from lakehouse.contracts.versions import version_of

CONTRACT = """name: orders
version: {version}
compatibility: {mode}
keys: [id]
fields:
  - {{name: id, type: bigint}}
{fields}"""


def contract(fields: str = "", *, version: object = "1.0.0", mode: str = "backward", more: str = "") -> str:
    lines = "".join(f"  - {{{field}}}\n" for field in fields.split("; ") if field)
    return CONTRACT.format(version=version, mode=mode, fields=lines) + more


def loaded(text: str) -> Contract:
    return of_document(Contract, parse(text, "orders.yml"))[0]


def found(old: str, new: str) -> dict[str, str]:
    """Each difference's text and whom it breaks: p, r, pr or nobody."""
    both = differences(loaded(old), loaded(new))
    return {item.message: "".join(sorted(party[0] for party in item.breaks)) or "-" for item in both}


# --- what differs, and whom it breaks


@pytest.mark.parametrize(
    ("old", "new", "message", "breaks"),
    [
        ("", "name: a, type: int", "optional field 'a' (int) added", "-"),
        ("", "name: a, type: int, required: true", "required field 'a' (int) added", "p"),
        ("name: a, type: int", "", "optional field 'a' removed", "-"),
        ("name: a, type: int, required: true", "", "required field 'a' removed", "r"),
        ("name: a, type: int", "name: a, type: long", "'a' type widened: int -> bigint", "r"),
        ("name: a, type: float", "name: a, type: double", "'a' type widened: float -> double", "r"),
        ("name: a, type: date", "name: a, type: timestamp_ntz", "'a' type widened: date -> timestamp_ntz", "r"),
        ("name: a, type: bigint", "name: a, type: int", "'a' type narrowed: bigint -> int", "p"),
        ("name: a, type: bigint", "name: a, type: double", "'a' type changed: bigint -> double", "pr"),
        ("name: a, type: int", "name: a, type: string", "'a' type changed: int -> string", "pr"),
        ("name: a, type: date", "name: a, type: timestamp", "'a' type changed: date -> timestamp", "pr"),
        ('name: a, type: "decimal(10,2)"', 'name: a, type: "decimal(12,2)"', "'a' type widened: decimal(10,2) -> decimal(12,2)", "r"),
        ('name: a, type: "decimal(10,2)"', 'name: a, type: "decimal(10,4)"', "'a' type changed: decimal(10,2) -> decimal(10,4)", "pr"),
        ('name: a, type: "struct<b: int>"', 'name: a, type: "struct<b: bigint, c: int>"', "'a.b' type widened: int -> bigint", "r"),
        ('name: a, type: "struct<b: int>"', 'name: a, type: "struct<b: int, c: int>"', "optional field 'a.c' (int) added", "-"),
        ('name: a, type: "struct<b: int>"', 'name: a, type: "struct<b: int, c: int NOT NULL>"', "required field 'a.c' (int) added", "p"),
        ('name: a, type: "struct<b: int NOT NULL, c: int>"', 'name: a, type: "struct<c: int>"', "required field 'a.b' removed", "r"),
        ('name: a, type: "struct<b: int NOT NULL>"', 'name: a, type: "struct<b: int>"', "'a.b' is no longer required", "r"),
        ('name: a, type: "array<struct<b: bigint>>"', 'name: a, type: "array<struct<b: int>>"', "'a.element.b' type narrowed: bigint -> int", "p"),
        ('name: a, type: "map<string,int>"', 'name: a, type: "map<string,string>"', "'a.value' type changed: int -> string", "pr"),
        ("name: a", "name: a, required: true", "'a' is required now", "p"),
        ("name: a, required: true", "name: a", "'a' is no longer required", "r"),
        ("name: a", "name: a, allowed: [x, y]", "'a' may only be one of x, y now", "p"),
        ("name: a, allowed: [x]", "name: a", "'a' may be any value now", "r"),
        ("name: a, allowed: [x, y]", "name: a, allowed: [x]", "'a' may no longer be y", "p"),
        ("name: a, allowed: [x]", "name: a, allowed: [y, x]", "'a' may be y too", "r"),
        ("name: a, type: int", "name: a, type: int, min: 0", "'a' min tightened: none -> 0", "p"),
        ("name: a, type: int, min: 0", "name: a, type: int, min: -1", "'a' min loosened: 0 -> -1", "r"),
        ("name: a, type: int, max: 9", "name: a, type: int, max: 10", "'a' max loosened: 9 -> 10", "r"),
        ("name: a, type: int, max: 9", "name: a, type: int, max: 8.5", "'a' max tightened: 9 -> 8.5", "p"),
        ("name: a, type: date, max: '2026-01-01'", "name: a, type: date", "'a' max loosened: 2026-01-01 -> none", "r"),
        ("name: a", "name: a, pattern: x", "'a' pattern: none -> x", "p"),
        ("name: a, pattern: x", "name: a, pattern: xy", "'a' pattern: x -> xy", "pr"),
        ("name: a", "name: A", "'a' is spelled 'A'; Spark takes both for one column", "-"),
        ("name: a, pii: true", "name: a", "'a' is no longer personal (pii): shown as it is", "-"),
        ("name: a", "name: a, description: b", "'a' has another description", "-"),
    ],
)  # fmt: skip
def test_a_change_of_a_field_breaks_those_who_write_or_those_who_read(old, new, message, breaks):
    assert found(contract(old), contract(new))[message] == breaks


@pytest.mark.parametrize(
    ("old", "new", "message", "breaks"),
    [
        ("", "rules:\n  - expr: {sql: a > b}\n", "rule expr{sql: a > b} added", "p"),
        ("", "rules:\n  - expr: {sql: a > b, on_fail: warn}\n", "rule expr{sql: a > b, on_fail: warn} added", "-"),
        ("rules:\n  - expr: {sql: a > b}\n", "", "rule expr{sql: a > b} removed", "r"),
        ("sla: {freshness: 1 day}\n", "sla: {freshness: 2 days}\n", "freshness 1 day -> 2 days", "r"),
        ("sla: {freshness: 1 day}\n", "sla: {freshness: 90 minutes}\n", "freshness 1 day -> 90 minutes", "-"),
        ("sla: {freshness: 1 day}\n", "", "freshness 1 day -> none", "r"),
        ("owner: shop\n", "owner: sales\n", "owner: shop -> sales", "-"),
    ],
)
def test_a_change_of_the_whole_breaks_those_who_write_or_those_who_read(old, new, message, breaks):
    assert found(contract(more=old), contract(more=new))[message] == breaks


def test_another_key_is_another_meaning_of_a_row_and_its_order_is_none():
    two = contract("name: a, type: int").replace("keys: [id]", "keys: [id, a]")
    assert found(contract("name: a, type: int"), two) == {"keys changed: id -> id, a": "pr"}
    assert found(two, two.replace("[id, a]", "[A, id]")) == {}


def test_a_renamed_field_is_one_that_went_and_one_that_came():
    both = found(contract("name: a, type: int"), contract("name: b, type: int"))
    assert list(both) == ["optional field 'a' removed", "optional field 'b' (int) added"]


def test_the_same_contract_in_another_order_of_keys_with_comments_differs_in_nothing():
    text = contract('name: a, type: "struct<b: int>"; name: c, allowed: [x, y]', more="tags: [p, q]\nowner: shop\n")
    other = "# a comment\nowner: shop\ntags: [q, p]\n" + text.replace("owner: shop\n", "").replace("tags: [p, q]\n", "")
    other = other.replace("int>", "INTEGER >").replace("[x, y]", "[y, x]")
    assert found(text, other) == {}
    assert fingerprint(loaded(text)) == fingerprint(loaded(other))
    assert fingerprint(loaded(text)) != fingerprint(loaded(text.replace("[x, y]", "[x]")))


@pytest.mark.parametrize(
    ("older", "newer"), [("1.9.0", "1.10.0"), (1, 2), ("1.10", "2.0"), (1.9, "1.10"), ("2.0.0-rc1", "2.0.0"), ("v1", "1.0.1")]
)  # fmt: skip
def test_versions_are_compared_as_numbers(older, newer):
    assert version_of(older) < version_of(newer)


def test_zeros_at_the_end_of_a_version_say_nothing():
    assert version_of("1.0.0") == version_of(1)
    assert version_of("0.0").major == 0


def test_types_are_read_as_spark_reads_them():
    shown = {
        "struct<a: int NOT NULL COMMENT 'x>y', `b c` array<string>>": "struct<a: int NOT NULL, `b c`: array<string>>",
        "map<string,array<decimal>>": "map<string,array<decimal(10,0)>>",
        "DECIMAL( 12 , 2 )": "decimal(12,2)",
        "interval day": "interval day",
        "array<int, int>": "array<int, int>",
        "'x": "'x",
    }
    assert {text: str(spark_type(text)) for text in shown} == shown


@pytest.mark.parametrize(
    ("old", "new"), [("int", "decimal(11,2)"), ("decimal(10,2)", "decimal(11,4)"), ("string", "varchar(9)")]
)
def test_what_does_not_fit_into_the_new_type_is_no_widening(old, new):
    assert not widens(spark_type(old), spark_type(new))


# --- the command


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def commit(folder: Path, text: str, name: str = "orders") -> None:
    write(folder / "conf" / "contracts" / f"{name}.yml", text)
    if not (folder / ".git").exists():
        git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "a version")


def change(folder: Path, text: str) -> None:
    write(folder / "conf" / "contracts" / "orders.yml", text)


def check(capsys, *arguments: str) -> tuple[int, list[str], str]:
    capsys.readouterr()
    code = command(["contract", "check", *arguments])
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


def test_every_difference_is_a_line_with_its_place_and_a_break_is_refused(here, capsys):
    commit(here, contract("name: a, type: bigint; name: b"))
    change(here, contract("name: a, type: int; name: c"))
    code, lines, err = check(capsys, "orders")
    assert (code, lines) == (2, [
        "HEAD:conf/contracts/orders.yml:8: optional field 'b' removed; breaks nobody",
        "conf/contracts/orders.yml:7: 'a' type narrowed: bigint -> int; breaks producers",
        "conf/contracts/orders.yml:8: optional field 'c' (string) added; breaks nobody",
        "orders 1.0.0 -> 1.0.0 (backward) against HEAD: 3 differences, 1 breaks the promise, not announced",
    ])  # fmt: skip
    assert err == (
        "conf/contracts/orders.yml:2: 1 difference breaks what backward promises (against HEAD, 1.0.0 -> 1.0.0); "
        "take it back, or announce it by version 2.0.0\n"
    )
    change(here, contract("name: a, type: int; name: c", version="2.0.0"))
    code, lines, err = check(capsys)
    assert (code, err) == (0, "")
    assert lines[-1].endswith("3 differences, 1 breaks the promise, announced by a major version")


PRODUCERS, READERS = ("name: a", "name: a, required: true"), ("name: a, required: true", "name: a")


@pytest.mark.parametrize(
    ("mode", "change_", "code"),
    [("backward", PRODUCERS, 2), ("backward", READERS, 0), ("forward", PRODUCERS, 0), ("forward", READERS, 2),
     ("full", PRODUCERS, 2), ("full", READERS, 2), ("none", PRODUCERS, 0), ("none", READERS, 0)],
)  # fmt: skip
def test_backward_protects_those_who_write_and_forward_those_who_read(here, capsys, mode, change_, code):
    write(here / "before.yml", contract(change_[0], mode=mode))
    change(here, contract(change_[1], mode=mode, version="1.1.0"))
    assert check(capsys, "orders", "--against", "before.yml")[0] == code


def test_a_promise_cannot_be_dropped_in_the_change_that_breaks_it(here, capsys):
    write(here / "before.yml", contract("name: a", mode="full"))
    change(here, contract("name: a, required: true", mode="none"))
    code, _, err = check(capsys, "orders", "--against", "before.yml")
    assert code == 2
    assert "breaks what full and none promises" in err


@pytest.mark.parametrize(("version", "code"), [("1.10.0", 0), ("1.8.9", 2), ("0.9", 2)])
def test_a_version_may_not_go_back(here, capsys, version, code):
    write(here / "before.yml", contract(version="1.9.0"))
    change(here, contract(version=version))
    assert check(capsys, "orders", "--against", "before.yml")[0] == code


def test_transitive_looks_at_every_version_in_the_history(here, capsys):
    commit(here, contract("name: a", version="1.8.0"))
    commit(here, contract("", version="1.9.0"))
    change(here, contract("name: a, type: int", version="1.10.0"))
    assert check(capsys, "orders")[0] == 0, "an optional field is new to 1.9.0"
    change(here, contract("name: a, type: int", version="1.10.0", mode="backward_transitive"))
    code, lines, err = check(capsys, "orders")
    assert code == 2
    assert "conf/contracts/orders.yml:7: 'a' type changed: string -> int; breaks producers and readers" in lines
    assert "1.8.0 -> 1.10.0" in err
    commit(here, "no: contract\n")
    change(here, contract("name: a", version="1.10.0", mode="full_transitive"))
    code, _, err = check(capsys, "orders", "--against", "HEAD~1")
    assert (code, err) == (0, "")
    commit(here, contract("", version="1.9.0"))
    change(here, contract("name: a", version="1.10.0", mode="full_transitive"))
    code, _, err = check(capsys, "orders")
    assert code == 0
    assert "orders: left out: " in err, "a version that is no contract is named"


def test_a_break_against_an_old_version_needs_a_major_version_of_its_own(here, capsys):
    commit(here, contract("name: a, type: bigint", version="1.0.0"))
    commit(here, contract("name: a, type: int", version="2.0.0"))
    change(here, contract("name: a, type: int; name: b", version="2.1.0", mode="backward_transitive"))
    code, lines, _ = check(capsys, "orders")
    assert code == 0
    assert [line.partition(": ")[2] for line in lines if line.startswith("orders ")] == [
        "2 differences, compatible",
        "3 differences, 1 breaks the promise, announced by a major version",
    ]


def test_a_folder_holds_the_earlier_versions_and_a_contract_that_is_not_in_it_is_new(here, capsys):
    write(here / "old" / "conf" / "contracts" / "orders.yml", contract("name: a"))
    change(here, contract("name: a; name: b", version="1.1.0"))
    write(here / "conf" / "contracts" / "carts.yml", contract())
    code, lines, _ = check(capsys, "--against", "old")
    assert code == 0
    assert lines[0] == "carts 1.0.0: new, there is no earlier version"
    assert lines[-1] == (
        "orders 1.0.0 -> 1.1.0 (backward) against old/conf/contracts/orders.yml: 1 difference, compatible"
    )


@pytest.mark.parametrize(
    ("against", "said"),
    [("HEAD", "is in no git repository; name a file or a folder"), ("v9", "is in no git repository")],
)
def test_what_cannot_be_looked_at_is_said_in_one_line(here, capsys, against, said):
    change(here, contract())
    code, _, err = check(capsys, "--against", against)
    assert code == 2
    assert said in err
    commit(here, contract())
    code, _, err = check(capsys, "--against", "v9")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "is neither a file, a folder nor a commit of git" in err


def test_without_git_a_file_still_serves(here, capsys, monkeypatch):
    write(here / "before.yml", contract())
    change(here, contract())
    monkeypatch.setenv("PATH", str(here))
    assert check(capsys, "--against", "before.yml")[0] == 0
    code, _, err = check(capsys)
    assert (code, "git is not installed" in err) == (2, True)


def test_a_version_that_is_a_number_is_named(here, capsys):
    write(here / "before.yml", contract(version=1.9))
    change(here, contract(version="1.10"))
    code, _, err = check(capsys, "--against", "before.yml")
    assert code == 2, "1.10 reads as 1.1, which is older than 1.9"
    assert (
        "conf/contracts/orders.yml:2: version 1.1 is a number to YAML, which reads 1.10 as 1.1; put it in quotes" in err
    )


@pytest.mark.parametrize("text", ["name: orders\n", contract(version="one"), contract("name: ID")])
def test_a_wrong_contract_is_refused_at_its_line(here, capsys, text):
    change(here, text)
    code, _, err = check(capsys)
    assert code == 2
    assert err.startswith("conf/contracts/orders.yml")


SILVER = """layer: silver
source:
  delta: {table: bronze.orders}
contract: orders
transforms:
  - rename: {columns: {a: amount}}
sink:
  append: {table: silver.orders}
"""
GOLD = """layer: gold
source:
  sql:
    query: select id, sum(AMOUNT) as total from silver.orders group by id
inputs: [silver.orders]
sink:
  overwrite: {table: gold.totals}
"""
OTHER = """layer: gold
source:
  sql: {query: select id as amount from bronze.carts}
inputs: [bronze.carts]
sink:
  overwrite: {table: gold.other}
"""


def test_the_jobs_that_a_column_reaches_are_named_at_the_line_that_mentions_it(here, capsys):
    for name, text in (("silver_orders", SILVER), ("gold_totals", GOLD), ("gold_other", OTHER)):
        write(here / "conf" / f"{name}.yml", text)
    write(here / "before.yml", contract("name: a, type: int; name: b"))
    change(here, contract(version="1.1.0"))
    code, lines, _ = check(capsys, "--against", "before.yml")
    assert lines[0] == (
        "before.yml:7: optional field 'a' removed; breaks readers: silver_orders (conf/silver_orders.yml:6), "
        "gold_totals (conf/gold_totals.yml:3)"
    )
    assert lines[1] == "before.yml:8: optional field 'b' removed; breaks nobody", "no job mentions it"
    assert code == 2, "a job that mentions what is gone breaks, whatever the mode says of others"
    change(here, contract("name: a, type: int, min: 0; name: b", version="1.1.0"))
    _, lines, _ = check(capsys, "--against", "before.yml")
    assert lines[0].endswith("breaks producers: silver_orders (conf/silver_orders.yml:4)")


def test_a_job_that_does_not_plan_is_said_to_be_left_out(here, capsys):
    write(here / "conf" / "silver_orders.yml", SILVER.replace("rename", "rname"))
    write(here / "before.yml", contract())
    change(here, contract())
    code, _, err = check(capsys, "--against", "before.yml")
    assert (code, err.startswith("silver_orders is not looked at: conf/silver_orders.yml:6: ")) == (0, True)


def test_the_verdict_as_json(here, capsys):
    write(here / "before.yml", contract("name: a"))
    change(here, contract("name: a, required: true"))
    code, lines, err = check(capsys, "--json", "--against", "before.yml")
    told = json.loads("\n".join(lines))
    assert (code, err, told["compatible"]) == (2, "", False)
    (verdict,) = told["contracts"]
    assert verdict["findings"] == [{
        "place": {"file": "conf/contracts/orders.yml", "line": 7, "message": "'a' is required now"},
        "breaks": ["producers"], "jobs": [], "counts": True,
    }]  # fmt: skip
    assert (verdict["earlier_version"], verdict["version"], verdict["announced"]) == ("1.0.0", "1.0.0", False)
