"""Set rules: which rows they name, what they measure of a batch, and what becomes of both in a job."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from conftest import balanced
from lakehouse import ConfigError, DataError


def rows(*values: Any) -> str:
    """Rows for YAML."""
    return "[" + ", ".join("[" + ", ".join(map(shown, row)) + "]" for row in values) + "]"


def shown(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)


def job(project, rules: str, *values: Any, schema: str = "id int, x int", more: str = "", name: str = "t") -> None:
    """A job of literal rows into `silver.<name>` with these rules."""
    listed = textwrap.indent(textwrap.dedent(rules).strip(), "  ")
    project.job(
        name,
        f'layer: silver\nsource:\n  rows: {{schema: "{schema}", rows: {rows(*values)}}}\n{more}'
        f"rules:\n{listed}\nsink:\n  append: {{table: silver.{name}}}\n",
    )


def broken(project, name: str = "t") -> list[tuple[str, list[str]]]:
    """The quarantined rows with the names of their reasons."""
    return sorted((row["row"], [reason["rule"] for reason in row["reasons"]]) for row in
                  (project.rows(f"silver.{name}__quarantine") if (project.lake / f"silver/{name}__quarantine").exists() else []))  # fmt: skip


def kept(project, column: str = "id", name: str = "t") -> list[Any]:
    return sorted((row[column] for row in project.rows(f"silver.{name}")), key=str)


def table(project, name: str, schema: str, *values: Any) -> None:
    """A table of literal rows that other jobs name."""
    layer, short = name.split(".")
    project.job(
        f"make_{short}",
        f'layer: {layer}\nsource:\n  rows: {{schema: "{schema}", rows: {rows(*values)}}}\n'
        f"sink:\n  overwrite: {{table: {name}}}\n",
    )
    project.run(f"make_{short}")


# --- unique


def test_unique_names_the_rows_beside_the_first_and_lets_null_pass(project):
    job(project, "- unique: {columns: x}", (1, 1), (2, 2), (3, 1), (4, None), (5, None), (6, 1))
    record = project.run("t")
    assert (record.rows_valid, record.rows_quarantined, balanced(record)) == (4, 2, True)
    assert kept(project) == [2, 4, 5, 6]  # of three alike the greatest row stays
    assert [reasons for _, reasons in broken(project)] == [["unique(x)"], ["unique(x)"]]


def test_unique_keeps_the_first_by_its_order_and_equal_rows_once(project):
    job(project, "- unique: {columns: [x], order_by: [id asc]}", (3, 1), (1, 1), (2, 1), (1, 1))
    assert project.run("t").rows_quarantined == 3
    assert kept(project) == [1]


def test_a_row_that_another_rule_takes_out_is_never_the_one_that_stays(project):
    rules = """
        - in_range: {column: id, min: 0}
        - unique: {columns: x, order_by: id asc, where: "id <> 1"}
    """
    job(project, rules, (-1, 7), (1, 7), (2, 7), (3, 7))
    project.run("t")
    assert kept(project) == [1, 2]
    assert [reasons for _, reasons in broken(project)] == [["in_range(id)"], ["unique(x)"]]


def test_a_where_that_errs_breaks_the_row_of_a_set_rule_and_not_the_job(project):
    job(project, "- unique: {columns: x, where: '10 / id > 1'}", (0, 1), (1, 1), (2, 1))
    project.run("t")
    assert kept(project) == [2]
    assert len(broken(project)) == 2


def test_set_rules_see_the_same_rows_whatever_their_order_and_every_reason_is_kept(project):
    rules = ["- unique: {columns: x, order_by: id asc}", "- unique: {columns: id, order_by: x asc, on_fail: drop}"]
    for turn, listed in enumerate((rules, rules[::-1])):
        job(project, "\n".join(listed), (1, 1), (1, 2), (2, 1), (2, 2), name=f"t{turn}")
        record = project.run(f"t{turn}")
        assert (record.rows_valid, record.rows_dropped, record.rows_quarantined) == (1, 1, 2)
        assert kept(project, name=f"t{turn}") == [1]
    assert sorted(len(reasons) for _, reasons in broken(project)) == []


def test_a_duplicate_can_warn_or_fail_the_run(project):
    job(project, "- unique: {columns: x, on_fail: warn}", (1, 1), (2, 1), name="w")
    assert (project.run("w").rows_warned, kept(project, name="w")) == (1, [1, 2])
    job(project, "- unique: {columns: x, on_fail: fail}", (1, 1), (2, 1), name="f")
    with pytest.raises(DataError, match=r"1 of 2 rows fail the run: unique\(x\): 1"):
        project.run("f")
    assert not (project.lake / "silver/f").exists()


def test_a_set_rule_that_no_row_breaks_gives_no_reason_beside_one_that_rows_break(project):
    rules = """
        - unique: {columns: id}
        - unique: {columns: x, name: twice}
        - in_range: {column: id, max: 9}
    """
    for name, more in (("t", ""), ("gated", "quality_gate: {max_quarantined_rows: 5}\n")):
        job(project, rules, (1, 1), (2, 1), (3, 3), (10, 4), name=name, more=more)
        assert balanced(project.run(name))
        assert kept(project, name=name) == [2, 3]
        assert [reasons for _, reasons in broken(project, name)] == [["twice"], ["in_range(id)"]]


def test_of_rows_alike_in_the_key_the_greatest_in_the_order_of_the_column_names_stays(project):
    values = ((1, 5, None), (1, 5, "a"), (1, 4, "z"), (1, None, "z"))
    job(project, "- unique: {columns: id}", *values, schema="id int, b int, c string")
    project.run("t")
    assert [(row["b"], row["c"]) for row in project.rows("silver.t")] == [(5, "a")]


# --- foreign_key


def test_foreign_key_needs_no_inputs_and_lets_null_pass(project):
    table(project, "silver.people", "person_id bigint, name string", (1, "a"), (2, "b"), (2, "c"), (None, "d"))
    rules = "- foreign_key: {column: x, table: silver.people, references: person_id}"
    job(project, rules, (1, 1), (2, 2), (3, 3), (4, None))
    record = project.run("t")
    assert (kept(project), [item.name for item in record.inputs]) == ([1, 2, 4], ["silver.people"])
    assert broken(project) == [('{"id":3,"x":3}', ["foreign_key(x)"])]


def test_foreign_key_compares_texts_with_numbers_and_never_errs(project):
    table(project, "silver.people", "person_id int", (7,))
    rules = "- foreign_key: {column: x, table: silver.people, references: person_id}"
    job(project, rules, (1, "007"), (2, "7"), (3, "seven"), (4, ""), schema="id int, x string")
    project.run("t")
    assert kept(project) == [1, 2]


def test_foreign_key_takes_several_columns(project):
    table(project, "silver.pairs", "a int, b string", (1, "x"), (2, "y"))
    job(
        project,
        "- foreign_key: {columns: [a, b], table: silver.pairs}",
        (1, "x"),
        (1, "y"),
        (2, None),
        schema="a int, b string",
    )
    project.run("t")
    assert kept(project, "a") == [1, 2]


def test_the_jobs_are_ordered_by_the_tables_that_rules_name(project, monkeypatch, capsys):
    from lakehouse.cli import command

    job(project, "- foreign_key: {column: x, table: silver.z, references: id}", (1, 1), name="a")
    job(project, "- not_null: {column: id}", (1, 1), name="z")
    monkeypatch.chdir(project.root)
    assert command(["run", "--all"]) == 0
    capsys.readouterr()
    assert command(["plan", "a", "--no-spark"]) == 0
    assert "inputs     silver.z\n  rule       foreign_key(x): quarantine" in capsys.readouterr().out


# --- outliers


@pytest.mark.parametrize(("method", "limit"), [("zscore", 2), ("iqr", 1.5), ("mad", 3.5)])
def test_outliers_are_named_by_each_method(project, method, limit):
    values = [(n, 10 + n % 3) for n in range(20)] + [(99, 1000), (98, None)]
    job(project, f"- outliers: {{column: x, method: {method}, limit: {limit}}}", *values)
    project.run("t")
    assert [row for row, _ in broken(project)] == ['{"id":99,"x":1000}']


def test_without_a_spread_there_is_no_outlier_and_nan_is_always_one(project):
    values = [(n, 0.1) for n in range(9)] + [(9, float("nan"))]
    text = ", ".join(f"[{n}, {'.nan' if x != x else x}]" for n, x in values)
    for method in ("zscore", "iqr", "mad"):
        project.job(
            method,
            f'layer: silver\nsource:\n  rows: {{schema: "id int, x double", rows: [{text}]}}\n'
            f"rules:\n  - outliers: {{column: x, method: {method}}}\nsink:\n  append: {{table: silver.{method}}}\n",
        )
        project.run(method)
        assert kept(project, name=method) == list(range(9))


# --- reconcile by key


def test_reconcile_names_the_rows_of_keys_that_differ_or_are_missing(project):
    table(
        project,
        "silver.payments",
        "order_id int, paid decimal(12,2)",
        (1, "10.00"),
        (1, "5.00"),
        (2, "7.00"),
        (4, "1.00"),
    )
    rules = """
        - reconcile:
            table: silver.payments
            keys: {id: order_id}
            sql: sum(x)
            other: sum(paid)
            tolerance: 0.5
    """
    job(project, rules, (1, 8), (1, 7), (2, 8), (3, 1), (None, 1))
    project.run("t")
    assert kept(project) == [1, 1, None]


# --- one of the user's own


def test_a_set_rule_of_the_jobs_script_works_like_the_products(project):
    project.write(
        "jobs/t.py",
        '''
from lakehouse import set_rule
from lakehouse.measures import Measure, Verdict
from pyspark.sql import Window
from pyspark.sql import functions as F


@set_rule(dimension="consistency")
def rising(df, *, column: str, order_by: str):
    """Each value is greater than the one before it."""
    before = F.lag(column).over(Window.orderBy(order_by))
    return df.withColumn("__holds", F.col(column) > before)


@set_rule(measures=True)
def spread(df, *, column: str, most: int):
    """The greatest less the smallest value is at most this."""

    def judge(seen):
        width = seen["high"] - seen["low"]
        return Verdict(width, f"at most {most}", f"the spread is {width}" if width > most else None)

    return Measure({"low": F.min(column), "high": F.max(column)}, judge)
''',
    )
    rules = """
        - in_range: {column: x, max: 100}
        - rising: {column: x, order_by: id, where: id > 0}
        - spread: {column: x, most: 9, on_fail: warn}
    """
    job(project, rules, (0, 50), (1, 1), (2, 999), (3, 0), (4, 5))
    record = project.run("t")
    assert kept(project) == [0, 1, 4]
    assert record.notes == ("spread(x): the spread is 49",)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return df", "it must return the frame with the column '__holds'"),
        (
            "return df.select('x').withColumn('__holds', F.lit(True))",
            "it must return the frame with all columns; 'id' is gone",
        ),
        ("return 3", "it must return a DataFrame; a rule that returns a Measure is a @set_rule(measures=True)"),
        ("return df.withColumn('__holds', F.col('y') > 1)", "[UNRESOLVED_COLUMN"),
    ],
)
def test_a_set_rule_that_returns_something_else_is_refused_at_its_line(project, body, message):
    head = "from lakehouse import set_rule\nfrom pyspark.sql import functions as F\n\n\n@set_rule\n"
    project.write("jobs/t.py", f"{head}def own(df):\n    '''Its own.'''\n    {body}\n")
    job(project, "- own", (1, 1))
    with pytest.raises(ConfigError) as refused:
        project.run("t")
    assert str(refused.value).startswith(f"{project.root}/conf/t.yml:5: rule 'own': {message}")


# --- the whole batch


JUDGED = [
    ("row_count: {min: 5}", "row_count: the number of rows is 4, asked is at least 5"),
    ("row_count: {max: 1, where: x > 1}", "row_count: the number of rows is 2, asked is at most 1"),
    ("row_count: {min: 4, max: 4}", None),
    ("row_count: {min: 2, max: 2, where: x > 1}", None),
    ("completeness: {column: x, min: 80%}", "completeness(x): x is there in 75.00% of 4 rows, asked is at least 80.0%"),
    ("completeness: {column: x, min: 0.75}", None),
    ("completeness: {column: x, min: 1, where: id < 4}", None),
    ("distinct_count: {column: x, min: 3}", "distinct_count(x): the number of different x is 2, asked is at least 3"),
    ("distinct_count: {columns: [id, x], min: 3, max: 3}", None),
    ("aggregate: {sql: sum(x), max: 4}", "aggregate: sum(x) is 5, asked is at most 4"),
    ("aggregate: {sql: sum(x) / count(*), min: 2, where: x > 1}", None),
    ("aggregate: {sql: sum(10 / (x - 1)), min: 20, max: 20, where: x > 1}", None),
    ("aggregate: {sql: count(distinct x), min: 2, max: 2}", None),
    ("aggregate: {sql: sum(x) / (count(*) - 4), min: 2}", "aggregate: it cannot be worked out: an expression divides by zero"),
    ("aggregate: {sql: sum(x), max: 3, table: silver.other}", "aggregate: sum(x) is 6, asked is at most 3"),
    ("freshness: {column: at, within: 1 hour}", "freshness(at): the newest at is 2020-01-02 00:00:00, "),
    ("freshness: {column: at, within: 9999 weeks}", None),
    ("reconcile: {table: silver.other, sql: sum(x), tolerance: 1}", None),
    ("reconcile: {table: silver.other, sql: sum(x), tolerance: 10%}", "reconcile: sum(x) is 5, but sum(x) of silver.other is 6, and 10% apart is allowed"),
    ("reconcile: {table: silver.other, sql: sum(x), other: sum(x) - 1}", None),
    ("reconcile: {table: silver.other, sql: sum(x), tolerance: 20%}", None),
    ("drift: {column: x}", "drift(x): no earlier run to compare x with; this one is the baseline"),
]  # fmt: skip
BATCH = [(1, 1, "2020-01-01"), (2, 2, "2020-01-02"), (3, 2, None), (4, None, "2020-01-01"), (-1, 1000, "2090-01-01")]


def judging(project, words: list[str], on_fail: str, name: str) -> None:
    """A job with these rules on the whole batch, and one that takes a row out."""
    table(project, "silver.other", "id int, x int", (1, 2), (2, 4))
    listed = [f"- {word.replace('{', f'{{on_fail: {on_fail}, ', 1)}" for word in words]
    rules = "\n".join([*listed, "- in_range: {column: id, min: 0}"])
    job(project, rules, *BATCH, schema="id int, x int, at date", name=name)


def test_rules_on_the_whole_batch_judge_the_rows_that_the_others_leave(project):
    judging(project, [word for word, _ in JUDGED], "warn", "t")
    record = project.run("t")
    assert (record.rows_valid, record.rows_quarantined) == (4, 1)
    expected = [said for _, said in JUDGED if said is not None]
    expected = [said for said in expected if said.startswith("drift")] + [
        said for said in expected if not said.startswith("drift")
    ]
    assert len(record.notes) == len(expected)
    for note, said in zip(record.notes, expected, strict=True):
        assert note.startswith(said)


def test_a_rule_on_the_whole_batch_stops_the_run_before_its_target(project):
    judging(project, [word for word, said in JUDGED if said is None or said.startswith("drift")], "fail", "good")
    assert project.run("good").rows_valid == 4
    chosen = [pair for pair in JUDGED if pair[1] is not None and pair[0].startswith(("row_count", "aggregate"))]
    judging(project, [word for word, _ in chosen], "fail", "bad")
    with pytest.raises(DataError) as refused:
        project.run("bad")
    for _, said in chosen:
        assert said in str(refused.value)
    assert str(refused.value).endswith(
        "nothing was written to the target, the broken rows are in silver.bad__quarantine"
    )
    assert not (project.lake / "silver/bad").exists()
    assert len(broken(project, "bad")) == 1


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("row_count: {min: 1, on_fail: quarantine}", "5: rule 'row_count': 'on_fail' cannot be 'quarantine'. Known: fail, warn."),
        ("reconcile: {table: silver.o, sql: sum(x), on_fail: drop}", "5: rule 'reconcile': 'on_fail' cannot be 'drop'. Known: fail, warn."),
        ("uniqe: {columns: x}", "5: there is no rule 'uniqe'. Did you mean 'unique'?"),
        ("unique: {column: x}", "5: rule 'unique' has no option 'column'. Did you mean 'columns'?"),
        ("aggregate: {sql: sum(x), max: 1, table: silver.o, where: x > 1}", "5: rule 'aggregate': 'where' speaks of the batch's rows, not of silver.o's: write sum(x) FILTER (WHERE ...)"),
        ("foreign_key: {column: x, table: silver.t}", "5: rule 'foreign_key': 'silver.t' is the job's own target; a rule cannot look into what the run is about to write"),
    ],
)  # fmt: skip
def test_what_a_plan_can_see_is_refused_there(project, rule, message):
    from lakehouse.planning.planner import plan_job

    job(project, f"- {rule}", (1, 1))
    with pytest.raises(ConfigError) as refused:
        plan_job(project.root / "conf/t.yml", lake=str(project.lake))
    assert str(refused.value).split("conf/t.yml:")[1].startswith(message)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("row_count: {}", "it needs 'min' or 'max'"),
        ("row_count: {min: 2, max: 1}", "'min' 2 is greater than 'max' 1"),
        ("aggregate: {sql: x, min: 1}", "["),
        ("aggregate: {sql: max(s), min: 1}", "max(s) is no number but a string"),
        ("freshness: {column: x, within: 1 day}", "'x' is no date or time but a int"),
        ("drift: {column: s, method: ks}", "'s' is string, of which ks can say nothing"),
        ("outliers: {column: s}", "'s' is no number but a string"),
        ("unique: {columns: [x, z]}", "no column 'z'"),
        ("distinct_count: {min: 1}", "needs either 'column' or 'columns'"),
        ("row_count: {min: 1, where: z > 1}", "[UNRESOLVED_COLUMN"),
        ("unique: {columns: x, where: z > 1}", "[UNRESOLVED_COLUMN"),
    ],
)  # fmt: skip
def test_what_needs_spark_is_refused_at_its_line_before_any_row_is_read(project, rule, message):
    job(project, f"- {rule}", (1, 1, "a"), schema="id int, x int, s string")
    with pytest.raises(ConfigError) as refused:
        project.run("t")
    name = rule.partition(":")[0]
    assert str(refused.value).startswith(f"{project.root}/conf/t.yml:5: rule '{name}': {message}")


# --- passes


def spark_jobs(spark) -> int:
    return int(spark.sparkContext._jsc.sc().dagScheduler().numTotalJobs())


MANY = """
- not_null: {column: id}
- in_range: {column: id, min: 0, name: range}
- expr: {sql: id < 100, name: small}
- in_range: {column: x, min: 0}
- foreign_key: {column: x, table: silver.other}
- unique: {columns: id}
- row_count: {min: 1, name: some}
- row_count: {max: 9, where: x > 1, name: few}
- completeness: {column: x, min: 10%}
- distinct_count: {column: x, min: 1}
- aggregate: {sql: sum(x), max: 99}
- aggregate: {sql: avg(x), max: 99, name: mean}
"""
# what holds rows against others needs them beside each other: a shuffle or a broadcast, in the same pass
ONE = "- aggregate: {sql: sum(x), max: 99}\n- foreign_key: {column: x, table: silver.other}\n- unique: {columns: id}\n"


def test_the_number_of_spark_jobs_does_not_grow_with_the_number_of_rules(project, spark):
    table(project, "silver.other", "x int", (1,), (2,))
    job(project, ONE, (1, 1), name="first")  # reads the log of silver.other, which is then known
    project.run("first")
    taken = {}
    for on_fail in ("fail", "warn"):
        for rules in (ONE, MANY):
            name = f"{on_fail}{len(rules)}"
            text = rules.replace("{column: x, min: 10%", f"{{on_fail: {on_fail}, column: x, min: 10%")
            for word in ("row_count", "distinct_count", "aggregate"):
                text = text.replace(f"{word}: {{", f"{word}: {{on_fail: {on_fail}, ")
            job(project, text, (1, 1), (2, 2), name=name)
            before = spark_jobs(spark)
            assert project.run(name).rows_valid == 2
            taken[on_fail, rules] = spark_jobs(spark) - before
    assert taken["fail", MANY] == taken["fail", ONE]
    assert taken["warn", MANY] == taken["warn", ONE]


def test_rules_that_cannot_raise_are_measured_in_the_pass_that_writes(project, spark):
    taken = []
    for number, rules in enumerate(
        (
            "- not_null: {column: id}",
            "- row_count: {min: 9, on_fail: warn}\n- distinct_count: {column: x, min: 1, on_fail: warn}",
        )
    ):
        job(project, rules, (1, 1), (2, 2), name=f"t{number}")
        before = spark_jobs(spark)
        record = project.run(f"t{number}")
        taken.append(spark_jobs(spark) - before)
    assert record.notes == ("row_count: the number of rows is 2, asked is at least 9",)
    assert taken[0] == taken[1]


# --- drift


def test_drift_compares_with_accepted_runs_alone(project):
    rules = "- drift: {column: x}\n- drift: {column: s, name: kinds}\n- drift: {column: x, method: ks, name: ks}"
    even = [(n, n % 50, "ab"[n % 2]) for n in range(200)]
    far = [(n, n % 50 + 40, "ab"[n % 2]) for n in range(200)]
    other = [(n, n % 50, "c") for n in range(200)]
    said = []
    for values in (even, even[::-1], far, other, even):
        job(project, rules, *values, schema="id int, x int, s string")
        try:
            said.append(project.run("t").notes)
        except DataError as error:
            said.append(str(error))
    assert [note.split(":")[0] for note in said[0]] == ["drift(x)", "kinds", "ks"]
    assert said[1] == said[4] == ()
    assert "drift(x): x has drifted: psi is " in said[2]
    assert "ks: x has drifted: ks is 0.8" in said[2]
    assert "kinds" not in said[2]
    assert said[3].startswith("kinds: s has drifted: psi is ")
