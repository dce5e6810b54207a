"""The results of rules: what is kept of each run, gates, and what `lakehouse quality` makes of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from lakehouse import DataError, rule_results
from lakehouse.cli import command
from lakehouse.commands.quality_reports import anomalies, scores
from lakehouse.rule_results import Checked, RuleResult
from lakehouse.tables import Layout
from test_set_rules import job, kept

NAMES = ("rule", "column", "dimension", "on_fail", "passed", "failed", "sample")


def results(project, name: str = "t") -> list[tuple]:
    """The results of a job, the newest run first, the rules by name."""
    return [tuple(row[key] for key in NAMES) for row in rule_results.read(Layout(str(project.lake)), name)]


CONTRACT = """\
name: c
fields:
  - {name: id, type: int, required: true}
  - {name: mail, type: string, pii: true, pattern: '@'}
  - {name: x, type: int, min: 0}
keys: [id]
"""


def test_every_rule_has_a_row_with_its_counts_and_personal_values_are_masked(project):
    project.write("conf/contracts/c.yml", CONTRACT)
    project.job(
        "t",
        """\
        layer: silver
        source:
          rows:
            schema: "id int, mail string, x int"
            rows: [[1, a@b.co, 1], [2, secret, 2], [2, c@d.eu, -7], [null, e@f.gh, -7], [5, secret, 5]]
        contract: c
        rules:
          - unique: {columns: id}
          - expr: {sql: x < 5, on_fail: warn, dimension: accuracy}
          - row_count: {min: 9, on_fail: warn}
          - expr: {sql: x < 9}
        sink:
          append: {table: silver.t}
        """,
    )
    record = project.run("t")
    assert (record.rows_valid, record.rows_quarantined) == (1, 4)
    assert results(project) == [
        ("expr", None, "accuracy", "warn", 4, 1, []),
        ("expr #2", None, "consistency", "quarantine", 5, 0, []),
        ("in_range(x)", "x", "validity", "quarantine", 3, 2, ["-7"]),
        ("matches(mail)", "mail", "validity", "quarantine", 3, 2, ["***"]),
        ("not_null(id)", "id", "completeness", "quarantine", 4, 1, []),
        ("row_count", None, "completeness", "warn", 0, 1, []),
        ("unique(id)", "id", "uniqueness", "quarantine", 5, 0, []),
    ]
    found = {row["rule"]: row for row in rule_results.read(Layout(str(project.lake)), "silver.t")}
    assert (found["row_count"]["value"], found["row_count"]["limit"]) == ("1", "at least 9")
    assert found["in_range(x)"]["share"] == 0.4
    assert {(row["run_id"], row["job"], row["accepted"]) for row in found.values()} == {(record.run_id, "t", True)}
    assert "secret" not in str(found)


def test_a_clean_batch_pays_nothing_for_its_results_and_one_with_warnings_one_pass(project, spark):
    from test_set_rules import spark_jobs

    taken = []
    for name, value in (("t", 1), ("u", 1), ("w", -1)):
        job(project, "- in_range: {column: x, min: 0, on_fail: warn}", (1, value), name=name)
        before = spark_jobs(spark)
        project.run(name)
        taken.append(spark_jobs(spark) - before)
    assert taken[2] - taken[1] in (1, 2)  # one query
    assert results(project, "u") == [("in_range(x)", "x", "validity", "warn", 1, 0, [])]
    assert results(project, "w") == [("in_range(x)", "x", "validity", "warn", 0, 1, ["-1"])]


def test_a_refused_run_keeps_its_results_and_one_that_read_nothing_has_none(project):
    job(project, "- in_range: {column: x, min: 0, on_fail: fail}\n- row_count: {max: 1}", (1, -1), (2, 2))
    with pytest.raises(DataError, match=r"1 of 2 rows fail the run: in_range\(x\): 1"):
        project.run("t")
    assert [row[:6] for row in results(project)] == [
        ("in_range(x)", "x", "validity", "fail", 1, 1), ("row_count", None, "completeness", "fail", 1, 0),
    ]  # fmt: skip
    assert {row["accepted"] for row in rule_results.read(Layout(str(project.lake)))} == {False}
    job(project, "- not_null: {column: id}", name="empty")
    project.run("empty")
    assert results(project, "empty") == []


def test_the_batches_of_a_run_add_up_to_one_row_a_rule(project):
    project.write("data/1.csv", "id,x\n1,1\n2,-1\n")
    project.write("data/2.csv", "id,x\n3,-2\n")
    project.job(
        "t",
        """\
        layer: silver
        source:
          files: {path: data, format: csv, max_files_per_trigger: 1}
        schema: "id int, x int"
        rules:
          - in_range: {column: x, min: 0}
        sink:
          append: {table: silver.t}
        """,
    )
    assert project.run("t").batches == 2
    assert [row[4:] for row in results(project)] == [(1, 2, ["-1", "-2"])]
    assert project.run("t").rows_read == 0
    assert len(results(project)) == 1


def test_a_run_whose_results_are_there_already_gets_no_second_rows(tmp_path):
    layout = Layout(str(tmp_path))
    run = Checked("r1", "t", "silver.t", datetime(2026, 1, 1, tzinfo=UTC), accepted=True)
    for _ in range(2):
        rule_results.append(layout, run, [RuleResult("a", None, "validity", "warn", 1, 0)], once=True)
    assert len(rule_results.read(layout)) == 1


# --- gates


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ("{max_quarantined_rows: 1}", "2 of 4 rows (50.0%) are broken (in_range(x): 2), quality_gate allows 1"),
        ("{max_quarantined_rows: 2, dimensions: {validity: 50%, uniqueness: 0.3, timeliness: 0}}", None),
        ("{dimensions: {validity: 49%}}", "2 of 4 rows (50.0%) break a rule on validity, quality_gate allows 49.0%"),
        ("{dimensions: {uniqueness: 10%, validity: 10%}}", "1 of 4 rows (25.0%) break a rule on uniqueness, quality_gate allows 10.0%; 2 of 4"),
    ],
)  # fmt: skip
def test_a_gate_by_rows_and_by_dimension_leaves_the_target_untouched(project, gate, said):
    rules = "- in_range: {column: x, min: 0}\n- unique: {columns: id, on_fail: warn}"
    job(project, rules, (1, 1), (1, 2), (3, -1), (4, -1), more=f"quality_gate: {gate}\n")
    if said is None:
        assert project.run("t").rows_valid == 2
        assert kept(project) == [1, 1]
        return
    with pytest.raises(DataError) as refused:
        project.run("t")
    assert str(refused.value).startswith(said)
    assert not (project.lake / "silver/t").exists()
    assert len(project.rows("silver.t__quarantine")) == 2


def test_a_contracts_reference_is_a_foreign_key_and_its_keys_may_repeat(project):
    from test_set_rules import table

    table(project, "silver.people", "person_id int", (7,))
    project.write(
        "conf/contracts/c.yml",
        "name: c\nfields:\n  - {name: id, type: int}\n  - {name: x, type: int, references: silver.people.person_id}\nkeys: [id]\n",
    )
    job(project, "- not_null: {column: x, on_fail: warn}", (1, 7), (1, 7), (2, 8), (3, None), more="contract: c\n")
    record = project.run("t")
    assert kept(project) == [1, 1, 3]
    assert [item.name for item in record.inputs] == ["silver.people"]


# --- reports


def history(layout: Layout, shares: list[float], rule: str = "r", dimension: str = "validity") -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for day, share in enumerate(shares):
        run = Checked(f"run{day}", "t", "silver.t", start + timedelta(days=day), accepted=True)
        failed = round(share * 1000)
        result = RuleResult(rule, "x", dimension, "warn", 1000 - failed, failed, ("-1",) if failed else ())
        rule_results.append(layout, run, [result])


@pytest.mark.parametrize(
    ("shares", "unusual"),
    [
        ([0.01, 0.012, 0.011, 0.009, 0.01, 0.2], True),
        ([0.01, 0.012, 0.011, 0.009, 0.01, 0.013], False),
        ([0.0, 0.0, 0.0, 0.0, 0.0, 0.001], False),
        ([0.0, 0.0, 0.0, 0.0, 0.0, 0.002], True),
        ([0.5, 0.5, 0.5, 0.5, 0.5, 0.0], True),
        ([0.0, 0.0, 0.0, 0.0, 0.9], False),
    ],
)
def test_a_rule_is_unusual_beyond_three_deviations_of_five_runs(tmp_path, shares, unusual):
    layout = Layout(str(tmp_path))
    history(layout, shares)
    assert bool(anomalies(rule_results.read(layout))) == unusual


def test_a_score_is_the_mean_of_what_passes_in_the_last_run(tmp_path):
    layout = Layout(str(tmp_path))
    history(layout, [0.9, 0.5])
    history(layout, [0.0, 0.0], rule="s")
    history(layout, [0.0, 0.25], rule="u", dimension="uniqueness")
    found = scores(rule_results.read(layout))
    assert found == {
        "completeness": None, "accuracy": None, "consistency": None, "timeliness": None, "validity": 75.0, "uniqueness": 75.0,
    }  # fmt: skip


def test_quality_prints_trends_scores_and_what_no_rule_covers(project, monkeypatch, capsys):
    project.write("conf/contracts/c.yml", CONTRACT)
    for turn in range(6):
        bad = "secret" if turn == 5 else "a@b.co"
        project.job(
            "t",
            f"""\
            layer: silver
            source:
              rows: {{schema: "id int, mail string, x int", rows: [[1, a@b.co, 1], [{turn}, {bad}, 3]]}}
            contract: c
            sink:
              overwrite: {{table: silver.t}}
            """,
        )
        project.run("t")
    monkeypatch.chdir(project.root)
    assert command(["quality", "silver.t", "--limit", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("silver.t: 3 rules, 6 runs, the last at 20")
    assert [line.split() for line in lines[3:6]] == [
        ["in_range(x)", "validity", "quarantine", "0", "0%", "0%"],
        ["matches(mail)", "validity", "quarantine", "1", "0%", "50%", "***"],
        ["not_null(id)", "completeness", "quarantine", "0", "0%", "0%"],
    ]
    assert lines[6] == "score: completeness 100, accuracy -, consistency -, timeliness -, validity 75, uniqueness -"
    assert lines[7] == "covered: 0 of 1 critical columns have a rule beyond not_null; none: id"
    assert command(["quality", "--anomalies"]) == 0
    assert capsys.readouterr().out.startswith(
        "silver.t  matches(mail): 50% failed, usual are 0% to 0.10% (5 runs before "
    )
    assert command(["quality", "silver.t", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["scores"]["validity"], told["coverage"], told["rules"][0]["shares"]) == (75.0, {"id": []}, [0.0] * 5)
    assert command(["quality", "silver.u"]) == 2
    assert "no run of silver.u is in " in capsys.readouterr().err
