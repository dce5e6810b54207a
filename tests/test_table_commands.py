"""The commands on one table: the history of a key, the adoption of a table, a rebuilding that shows its difference first."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from lakehouse import ConfigError, SinkError, lake
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
        "= 5 .. 7  line=1, name=Ann",
        f"    5  upsert  line=1, name=Ann  (run {first.run_id}, 1.csv)",
        "= 7 .. 9  line=1, name=Bea",
        f"    7  upsert  name=Bea  (run {second.run_id}, 2.csv)",
        "= 9 .. 12  line=1, name=Ann",
        f"    9  upsert  name=Ann  (run {first.run_id}, 1.csv)",
        f"* 12  delete  (run {second.run_id}, 2.csv)",
        "= 20 .. now  line=1, name=Cid",
        f"    20  upsert  line=1, name=Cid  (run {second.run_id}, 2.csv)",
    ]
    found = json.loads(said(capsys, "history", "silver.t", "--key", "id=b", "--json"))
    assert [(version["start"], version["end"], version["values"]["name"]) for version in found["versions"]] == [
        (5, None, "Bob")
    ]
    assert said(capsys, "history", "silver.t", "--key", "zoe") == "silver.t, id=zoe: 0 versions, 0 events\n"


def test_history_shows_the_truncates_that_took_a_key_away(here, capsys):
    send(here, 1, "a,1,Ann,1,", ",,,5,T", "a,1,Bea,9,", sink="scd1", more=", apply_as_truncates: \"op = 'T'\"")
    lines = said(capsys, "history", "silver.t", "--key", "a").splitlines()
    assert [re.sub(r"\(.*\)", "", line).split() for line in lines] == [
        ["silver.t,", "id=a:", "1", "version,", "2", "events"],
        ["=", "line=1,", "name=Bea"],
        ["9", "upsert", "line=1,", "name=Bea"],
        ["*", "5", "truncate"],
    ]


def test_history_takes_a_key_of_several_columns(here, capsys):
    send(here, 1, "a,1,Ann,5,", "a,2,Bob,5,", sink="scd1", keys="id, line")
    shown = said(capsys, "history", "silver.t", "--key", "line=2", "--key", "id=a").splitlines()
    assert shown[0] == "silver.t, line=2, id=a: 1 version, 1 event"
    assert shown[1] == "= name=Bob"
    wrong = ("--key", "line=1", "--key", "name=Ann")
    assert "--key names 'name', which is no key." in said(capsys, "history", "silver.t", *wrong, code=2)
    assert said(capsys, "history", "silver.t", "--key", "a", code=2) == (
        "the key has 2 columns; name each: --key id=... --key line=...\n"
    )


def test_the_commands_take_keys_in_any_case(here, spark, capsys):
    send(here, 1, "a,1,Ann,1,", "a,1,Bea,5,", "b,1,Bob,1,", keys="ID, Line")
    shown = said(capsys, "history", "silver.t", "--key", "id=a", "--key", "LINE=1").splitlines()
    assert shown[0] == "silver.t, id=a, line=1: 2 versions, 2 events"
    assert shown[1] == "= 1 .. 5  name=Ann"
    assert "it is the same, row for row" in said(capsys, "rebuild", "silver.t")
    spark.sql(f"UPDATE delta.`{here.lake}/silver/t` SET name = 'Zoe' WHERE __START_AT = 5")
    assert "  ~ id=a, line=1, __START_AT=5  name Zoe -> Bea" in said(capsys, "rebuild", "silver.t").splitlines()


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
        "= 1 .. 3  name=Ann",
        "    1  snapshot",
        "= 3 .. 4  name=Bea",
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


# --- adopt


def others_table(spark, project, *rows, kinds="id string, line int, name string, __START_AT int, __END_AT int"):
    """A table that another tool made."""
    spark.createDataFrame(list(rows), kinds).write.format("delta").save(str(project.lake / "silver/t"))


def versions(project):
    rows = project.rows("silver.t")
    return sorted(f"{row['id']} {row['name']} {row['__START_AT']} {row['__END_AT']}" for row in rows)


def test_a_table_that_others_made_is_adopted_and_then_takes_late_events(here, spark, capsys):
    others_table(spark, here, ("a", 1, "Ann", 1, 5), ("a", 1, "Bea", 5, None), ("b", 1, "Bob", 2, 4), ("c", 1, "Cid", 1, 3), ("c", 1, "Cid", 7, None))  # fmt: skip
    with pytest.raises(SinkError, match=r"silver.t is there, but not the events .* `lakehouse adopt silver.t` takes"):
        send(here, 1, "a,1,Zoe,3,")
    assert said(capsys, "adopt", "silver.t") == ("silver.t: 5 rows adopted; `lakehouse run t` goes on from here\n")
    assert here.version("silver.t") == 0
    here.run("t")
    assert versions(here) == ["a Ann 1 3", "a Bea 5 None", "a Zoe 3 5", "b Bob 2 4", "c Cid 1 3", "c Cid 7 None"]
    send(here, 2, "b,1,Bob,3,", "b,1,Ben,9,", "c,1,Cid,2,", "c,,,8,D")
    assert versions(here)[3:] == ["b Ben 9 None", "b Bob 2 4", "c Cid 1 3", "c Cid 7 8"]
    assert "silver.t has its events already" in said(capsys, "adopt", "silver.t", code=4)


def test_a_table_of_one_row_a_key_is_adopted_by_its_sequence(here, spark, capsys):
    others_table(spark, here, ("a", 1, "Ann", 5), ("b", 1, "Bob", 5), kinds="id string, line int, name string, at int")
    send_sink = JOB.format(sink="scd1", keys="id", more="").replace("[op, at]", "[op]")
    here.job("t", send_sink)
    here.write("data/1.csv", "id,line,name,at,op\na,1,Old,3,\nb,1,New,9,\n")
    assert "2 rows adopted" in said(capsys, "adopt", "silver.t")
    here.run("t")
    assert [(row["id"], row["name"]) for row in here.rows("silver.t", "id")] == [("a", "Ann"), ("b", "New")]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", 1, "Ann", 1, 7), ("a", 1, "Bea", 5, None)], "id=a, __START_AT=1, __END_AT=7"),
        ([("a", 1, "Ann", 1, None), ("a", 1, "Bea", 5, None)], "id=a, __START_AT=1, __END_AT=None"),
        ([("a", 1, "Ann", 5, 5)], "id=a, __START_AT=5, __END_AT=5"),
        ([(None, 1, "Ann", 5, None)], "id=None"),
        ([("a", 1, "Ann", None, None)], "__START_AT=None"),
    ],
)
def test_a_table_that_is_no_history_is_not_adopted(here, spark, capsys, rows, message):
    others_table(spark, here, *rows)
    here.job("t", JOB.format(sink="scd2", keys="id", more=""))
    found = said(capsys, "adopt", "silver.t", code=3)
    assert "silver.t cannot be adopted: 1 row has a NULL in key, start or sequence" in found
    assert message in found
    assert not (here.lake / "_state").exists()


def test_a_table_of_snapshots_is_adopted_by_its_newest_bound(here, spark, capsys):
    others_table(spark, here, ("1", 1, "Ann", 1, 3), ("2", 1, "Bob", 2, None))
    sink = "snapshot: {table: silver.t, keys: [id], version_column: v, stored_as: 2}"
    here.job("t", f"layer: silver\nsource:\n  files: {{path: s, format: csv}}\nschema: 'id string, line int, name string, v int'\nsink:\n  {sink}\n")  # fmt: skip
    here.write("s/1.csv", "id,line,name,v\n9,1,Old,3\n2,1,Bob,4\n7,1,New,4\n")
    assert "its last snapshot is 3" in said(capsys, "adopt", "silver.t")
    assert here.run("t").notes == ("silver.t: snapshot 3 skipped, it is not newer than the last accepted one",)
    assert versions(here) == ["1 Ann 1 3", "2 Bob 2 None", "7 New 4 None"]


# --- rebuild


def test_a_rebuilt_table_shows_its_difference_and_replaces_only_when_told(here, spark, capsys):
    send(here, 1, "a,1,Ann,1,", "a,1,Bea,5,", "b,1,Bob,1,")
    assert said(capsys, "rebuild", "silver.t") == "silver.t: rebuilt from its source it is the same, row for row\n"
    spark.sql(f"UPDATE delta.`{here.lake}/silver/t` SET name = 'Zoe' WHERE __START_AT = 5")
    spark.sql(f"DELETE FROM delta.`{here.lake}/silver/t` WHERE id = 'b'")
    runs = len(here.rows("_runs"))
    shown = said(capsys, "rebuild", "silver.t").splitlines()
    assert shown == [
        "silver.t: rebuilt from its source it has 1 row more, lacks 0, and 1 differs",
        "  ~ id=a, __START_AT=5  name Zoe -> Bea",
        "  + id=b, __START_AT=1  line=1, name=Bob, __END_AT=NULL",
        "nothing was replaced; `lakehouse rebuild silver.t --replace` makes it the table's next version",
    ]
    assert (versions(here), len(here.rows("_runs"))) == (["a Ann 1 5", "a Zoe 5 None"], runs)
    assert "replaced: this is version 3 of silver.t" in said(capsys, "rebuild", "silver.t", "--replace")
    assert versions(here) == ["a Ann 1 5", "a Bea 5 None", "b Bob 1 None"]
    assert not (here.lake / "_rebuild").exists() or not any((here.lake / "_rebuild").iterdir())
    send(here, 2, "a,1,Mid,3,")
    assert versions(here)[:2] == ["a Ann 1 3", "a Bea 5 None"]


def test_a_crash_while_a_rebuilt_table_takes_over_is_mended_by_the_next_run(here, spark, capsys, monkeypatch):
    send(here, 1, "a,1,Ann,1,", "b,1,Bob,1,")
    here.write("data/1.csv", "id,line,name,at,op\na,1,Ann,1,\n")  # the source has changed behind the job's back
    monkeypatch.setitem(globals(), "JOB", JOB.replace("format: csv", "format: csv, on_rewrite: ignore"))
    save = lake.save

    def crash(df, path, *given, **options):
        if path.endswith("lake/silver/t"):
            raise RuntimeError("power cut")
        save(df, path, *given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(lake, "save", crash)
        assert command(["rebuild", "silver.t", "--replace"]) == 1
    send(here, 2, "b,1,Ben,5,")
    assert versions(here) == ["a Ann 1 None", "b Ben 5 None", "b Bob 1 5"]


def test_rebuild_and_adopt_refuse_a_table_that_keeps_no_events(here, capsys):
    here.job(
        "p", "layer: silver\nsource:\n  rows: {schema: 'id int', rows: [[1]]}\nsink:\n  append: {table: silver.p}\n"
    )
    for name in ("rebuild", "adopt"):
        assert "conf/p.yml:5: sink 'append': it keeps no events; only scd1" in said(capsys, name, "silver.p", code=2)
        assert "no job writes silver.q. Did you mean 'silver.p'?" in said(capsys, name, "silver.q", code=2)


def test_a_key_is_found_by_its_value_however_it_is_written(here, capsys):
    keys = {
        "decimal(9,2)": ("1.50", "1.5"),
        "double": ("-0.0", "0"),
        "timestamp": ("2026-01-02T00:00:00Z", "2026-01-02"),
    }
    for number, (kind, (value, given)) in enumerate(keys.items()):
        job = JOB.format(sink="scd2", keys="id", more="").replace("id string", f"id {kind}")
        here.job("t", job.replace("silver.t", f"silver.t{number}").replace("path: data", f"path: data{number}"))
        here.write(f"data{number}/1.csv", f"id,line,name,at,op\n{value},1,Ann,5,\n")
        here.run("t")
        assert ": 1 version, 1 event\n" in said(capsys, "history", f"silver.t{number}", "--key", given)
    assert "--key id: 'x' is no decimal(9,2)" in said(capsys, "history", "silver.t0", "--key", "x", code=2)


def test_bounds_far_away_are_shown_as_they_are(here, capsys):
    more = ', start_column: "from.day"'
    here.job("t", JOB.format(sink="scd2", keys="id", more=more).replace("at int", "at timestamp"))
    here.write("data/1.csv", "id,line,name,at,op\na,1,Ann,0001-01-03T00:00:00Z,\na,1,Bea,9999-12-31T23:59:59Z,\n")
    here.run("t")
    assert "= 0001-01-03 00:00:00+00:00 .. 9999-12-31 23:59:59+00:00" in said(
        capsys, "history", "silver.t", "--key", "a"
    )


def test_a_table_whose_bounds_have_dots_is_adopted(here, capsys):
    send(here, 1, "a,1,Ann,5,", more=', start_column: "from.day"')
    shutil.rmtree(here.lake / "_state")
    assert "1 row adopted" in said(capsys, "adopt", "silver.t")


def test_a_table_that_two_jobs_write_is_rebuilt_from_both(here, capsys):
    send(here, 1, "a,1,Ann,5,")
    here.job("u", JOB.format(sink="scd2", keys="id", more="").replace("path: data", "path: other"))
    here.write("other/1.csv", "id,line,name,at,op\na,1,Bea,7,\n")
    here.run("u")
    assert "it is the same, row for row" in said(capsys, "rebuild", "silver.t")


def test_a_full_refresh_takes_no_other_jobs_rows(here, capsys):
    send(here, 1, "a,1,Ann,5,")
    here.job("u", JOB.format(sink="scd2", keys="id", more="").replace("path: data", "path: other"))
    here.write("other/1.csv", "id,line,name,at,op\na,1,Bea,7,\nb,1,Bob,1,\n")
    here.run("u")
    before = here.rows("silver.t")
    refused = said(capsys, "run", "t", "--full-refresh", code=2)
    assert re.search(r"conf/t.yml:\d+: .*rows of job u out of silver.t.*`lakehouse run t u --full-refresh`, or "
                     "`lakehouse rebuild silver.t --replace`", refused)  # fmt: skip
    with pytest.raises(ConfigError, match="rows of job t"):
        here.run("u", full_refresh=True)
    assert here.rows("silver.t") == before
    said(capsys, "run", "t", "u", "--full-refresh")
    assert here.rows("silver.t") == before
    assert here.version("silver.t") == 1


def test_a_rebuilt_tables_difference_shows_no_personal_value(here, capsys):
    here.write("conf/contracts/c.yml", "name: c\nversion: 1.0.0\nfields:\n  - {name: id, type: string, pii: true}\n"
               "  - {name: name, type: string, pii: true}\n  - {name: at, type: int}\n")  # fmt: skip
    here.job("t", "layer: silver\nsource:\n  files: {path: data, format: csv}\ncontract: c\n"
             "sink:\n  scd2: {table: silver.t, keys: [id], sequence_by: [at]}\n")  # fmt: skip
    here.write("data/1.csv", "id,name,at\ncanary,canary,1\n")
    here.run("t")
    here.write("data/2.csv", "id,name,at\ncanary,canary2,2\n")
    found = said(capsys, "rebuild", "silver.t")
    assert "id=***" in found
    assert "canary" not in found
