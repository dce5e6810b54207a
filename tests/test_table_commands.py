"""The commands on one table: the history of a key, the adoption of a table, a rebuilding that shows its difference first."""

from __future__ import annotations

import json

import pytest

from lakehouse.cli import command

JOB = """
layer: silver
source:
  files: {{path: data, format: csv}}
schema: "id string, line int, name string, at int, op string"
sink:
  {sink}: {{table: silver.t, keys: [{keys}], sequence_by: [at], apply_as_deletes: "op = 'D'", except_column_list: [op, at]{more}}}
"""


@pytest.fixture
def here(project, monkeypatch):
    monkeypatch.chdir(project.root)
    return project


def send(project, number, *lines, sink="scd2", keys="id", more=""):
    project.job("t", JOB.format(sink=sink, keys=keys, more=more))
    project.write(f"data/{number}.csv", "id,line,name,at,op\n" + "".join(f"{line}\n" for line in lines))
    return project.run("t")


def said(capsys, *arguments, code=0):
    capsys.readouterr()
    assert command(arguments) == code
    found = capsys.readouterr()
    return found.err if code else found.out


# --- history


def test_history_prints_the_versions_of_a_key_with_their_events(here, capsys):
    first = send(here, 1, "a,1,Ann,5,", "a,1,Ann,9,", "b,1,Bob,5,")
    second = send(here, 2, "a,1,Bea,7,", "a,,,12,D", "a,1,Cid,20,")
    assert said(capsys, "history", "silver.t", "--key", "a").splitlines() == [
        "silver.t, id=a: 4 versions, 5 events",
        "= 5 .. 7  id=a, line=1, name=Ann",
        f"    5  upsert  line=1, name=Ann  (run {first.run_id}, 1.csv)",
        "= 7 .. 9  id=a, line=1, name=Bea",
        f"    7  upsert  line=1, name=Bea  (run {second.run_id}, 2.csv)",
        "= 9 .. 12  id=a, line=1, name=Ann",
        f"    9  upsert  line=1, name=Ann  (run {first.run_id}, 1.csv)",
        f"* 12  delete  (run {second.run_id}, 2.csv)",
        "= 20 .. now  id=a, line=1, name=Cid",
        f"    20  upsert  line=1, name=Cid  (run {second.run_id}, 2.csv)",
    ]
    found = json.loads(said(capsys, "history", "silver.t", "--key", "id=b", "--json"))
    assert [(version["start"], version["end"], version["values"]["name"]) for version in found["versions"]] == [
        (5, None, "Bob")
    ]
    assert said(capsys, "history", "silver.t", "--key", "zoe") == "silver.t, id=zoe: 0 versions, 0 events\n"


def test_history_takes_a_key_of_several_columns(here, capsys):
    send(here, 1, "a,1,Ann,5,", "a,2,Bob,5,", sink="scd1", keys="id, line")
    shown = said(capsys, "history", "silver.t", "--key", "line=2", "--key", "id=a").splitlines()
    assert shown[0] == "silver.t, line=2, id=a: 1 version, 1 event"
    assert shown[1] == "= id=a, line=2, name=Bob"
    wrong = ("--key", "line=1", "--key", "name=Ann")
    assert "--key names 'name', which is no key." in said(capsys, "history", "silver.t", *wrong, code=2)
    assert said(capsys, "history", "silver.t", "--key", "a", code=2) == (
        "the key has 2 columns; name each: --key id=... --key line=...\n"
    )


def test_history_of_snapshots_names_those_at_which_the_key_changed(here, capsys):
    sink = "snapshot: {table: silver.s, keys: [id], version_column: v, stored_as: 2}"
    here.job(
        "s",
        f"layer: silver\nsource:\n  files: {{path: s, format: csv}}\nschema: 'id int, name string, v int'\nsink:\n  {sink}\n",
    )
    here.write("s/1.csv", "id,name,v\n1,Ann,1\n1,Ann,2\n1,Bea,3\n2,Bob,4\n")
    run = here.run("s")
    shown = said(capsys, "history", "silver.s", "--key", "1").splitlines()
    assert [line.partition("  (run")[0] for line in shown] == [
        "silver.s, id=1: 2 versions, 3 events",
        "= 1 .. 3  id=1, name=Ann",
        "    1  snapshot",
        "= 3 .. 4  id=1, name=Bea",
        "    3  snapshot",
        "* 4  snapshot",
    ]
    assert run.run_id in shown[2]


def test_history_says_what_it_cannot_show(here, capsys):
    here.job(
        "plain", "layer: silver\nsource:\n  rows: {schema: 'id int', rows: [[1]]}\nsink:\n  append: {table: silver.p}\n"
    )
    here.run("plain")
    assert "silver.p keeps no events; only scd1" in said(capsys, "history", "silver.p", "--key", "1", code=3)
    assert "there is no table silver.q" in said(capsys, "history", "silver.q", "--key", "1", code=3)
    assert "'customers' is no table's name" in said(capsys, "history", "customers", "--key", "1", code=2)
    send(here, 1, "a,1,Ann,5,")
    send(here, 2, "a=b,1,Ann,5,", "c,1,Ann,5,")
    assert "id=a=b: 1 version" in said(capsys, "history", "silver.t", "--key", "a=b")
