"""From config to plan, without Spark: names, options and references, scripts, order and selection of jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Project
from lakehouse import ConfigError, registry, reports
from lakehouse.config.project_files import find_job
from lakehouse.planning import graph
from lakehouse.planning.plan import Plan
from lakehouse.planning.planner import plan_job
from shop import seconds_of_programs

HEAD = """\
layer: silver
source:
  rows: {schema: "id int", rows: [[1]]}
"""
SINK = """\
sink:
  append: {table: silver.x}
"""
RULES = ", ".join(sorted(entry.name for kind in ("rule", "set_rule") for entry in registry.known(kind)))
COMMON = "cluster_by, comment, constraints, partition_by, schema_evolution, table_properties, type_widening"


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    """A project without a session: a plan needs none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    return Project(tmp_path)


def plan(project: Project, text: str, name: str = "x") -> Plan:
    return plan_job(project.job(name, text), lake=str(project.lake))


def refusal(project: Project, text: str, name: str = "x") -> list[str]:
    with pytest.raises(ConfigError) as refused:
        plan(project, text, name)
    return str(refused.value).splitlines()


# --- words and options


def test_a_plan_binds_every_word_of_a_job(project):
    found = plan(
        project,
        """
        layer: gold
        source:
          delta: {table: silver.orders}
        inputs: [silver.customers]
        rules:
          - not_null: {column: id, on_fail: drop, name: has_id, where: "id > 0"}
        transforms:
          - lookup: {table: silver.customers, on: [id], columns: [name]}
        sinks:
          - append: {table: gold.a}
            where: id > 1
          - files: {path: out, format: csv}
        exclusive: true
        """,
    )
    assert (found.name, found.read, found.inputs, found.outputs) == (
        "x",
        "full",
        ["silver.orders", "silver.customers"],
        ["gold.a"],
    )
    assert (found.rules[0].name, found.rules[0].settings.on_fail, found.rules[0].settings.where) == (
        "has_id",
        "drop",
        "id > 0",
    )
    assert [sink.where for sink in found.sinks] == ["id > 1", None]
    assert found.quarantine == "gold.a__quarantine"
    assert not found.streams


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(HEAD.replace("rows:", "row:", 1) + SINK, ["conf/x.yml:3: there is no source 'row'. Did you mean 'rows'? Known: "], id="source"),
        pytest.param(HEAD + SINK + "rules:\n  - not_nul: {column: id}\n",
                     [f"conf/x.yml:7: there is no rule 'not_nul'. Did you mean 'not_null'? Known: {RULES}."], id="rule"),
        pytest.param(HEAD + SINK + "transforms:\n  - keep_lates: {}\n",
                     ["conf/x.yml:7: there is no transform 'keep_lates'. Did you mean 'keep_latest'? Known: "], id="transform"),
        pytest.param(HEAD + "sink:\n  appendd: {table: silver.x}\n",
                     ["conf/x.yml:5: there is no sink 'appendd'. Did you mean 'append'? Known: "], id="sink"),
        pytest.param(HEAD + SINK + "transforms:\n  - keep_latest:\n      keys: [id]\n      order: [id]\n",
                     ["conf/x.yml:7: transform 'keep_latest' needs the option 'order_by'",
                      "conf/x.yml:9: transform 'keep_latest' has no option 'order'. Did you mean 'order_by'? Known: extras, keys, order_by."], id="option"),
        pytest.param(HEAD + SINK + "rules:\n  - not_null: {column: id, on_fial: drop}\n",
                     ["conf/x.yml:7: rule 'not_null' has no option 'on_fial'. Did you mean 'on_fail'? Known: column, dimension, name, on_fail, where."], id="common option of a rule"),
        pytest.param(HEAD + SINK + "rules:\n  - not_null: {column: id, on_fail: explode, dimension: [x]}\n",
                     ["conf/x.yml:7: rule 'not_null': 'dimension' cannot be a list. Known: accuracy, completeness, consistency, timeliness, uniqueness, validity.",
                      "conf/x.yml:7: rule 'not_null': 'on_fail' cannot be 'explode'. Known: drop, fail, quarantine, warn."], id="value of a common option"),
        pytest.param(HEAD + SINK + "rules:\n  - in_range: {column: id, min: [1]}\n",
                     ["conf/x.yml:7: rule 'in_range': 'min' must be a whole number, a number or a string, not a list"], id="type"),
        pytest.param(HEAD + SINK + "transforms:\n  - join: {with: silver.y, on: [1], how: outre}\ninputs: [silver.y]\n",
                     ["conf/x.yml:7: transform 'join': 'how' cannot be 'outre'. Known: full, inner, left, left_anti, left_semi, right.",
                      "conf/x.yml:7: transform 'join': 'on.0' must be a string, not 1"], id="either a list or a mapping"),
        pytest.param(HEAD + SINK + "transforms:\n  - window: {time_column: at, size: 5 minutes, slide: 1 hour, measures: {n: count(*)}}\n",
                     ["conf/x.yml:7: transform 'window': 'slide: 1 hour' is longer than 'size: 5 minutes': rows between two windows would be in none"], id="gaps between windows"),
        pytest.param(HEAD + "sink:\n  append:\n    table: silver\n    partition: [x]\n",
                     ["conf/x.yml:6: sink 'append': 'table' must be a table's name, layer.table, not 'silver'",
                      f"conf/x.yml:7: sink 'append' has no option 'partition'. Did you mean 'partition_by'? Known: {COMMON.replace('table_prop', 'table, table_prop')}."], id="sink option"),
        pytest.param(HEAD + "sink:\n  files: {path: x, format: csv, partition_by: [id]}\n",
                     ["conf/x.yml:5: sink 'files' has no option 'partition_by'. Known: "], id="a sink that is no table has no table settings"),
        pytest.param(HEAD, ["conf/x.yml:1: a job has either 'sink' or 'sinks'"], id="no sink"),
        pytest.param(HEAD + SINK + "sinks:\n  - append: {table: a.b}\n", ["conf/x.yml:4: a job has either 'sink' or 'sinks'"], id="both sinks"),
        pytest.param(HEAD + "sinks:\n  - where: id > 1\n  - append: {table: a.b}\n    where: 3\n",
                     ["conf/x.yml:5: each of 'sinks' is one sink with its options, and 'where' at most",
                      "conf/x.yml:6: each of 'sinks' is one sink with its options, and 'where' at most"], id="a route"),
        pytest.param(HEAD + "sinks:\n  - append: {table: a.b}\n  - append: {table: a.b}\n",
                     ["conf/x.yml:6: 'a.b' is written twice; give one sink the other's rows"], id="one target twice"),
        pytest.param("layer: silver\nsource:\n  delta: {}\n" + SINK, ["conf/x.yml:3: source 'delta': needs either 'table' or 'path'"], id="delta of nothing"),
        pytest.param("layer: silver\nsource:\n  delta: {table: a.b, path: c}\n" + SINK,
                     ["conf/x.yml:3: source 'delta': needs either 'table' or 'path'"], id="delta of two"),
        pytest.param("layer: silver\nsource:\n  delta: {table: silver.x}\n" + SINK, ["conf/x.yml:5: 'silver.x' is both input and target"], id="own target"),
        pytest.param(HEAD + SINK + "stream: {trigger: 10 seconds}\n",
                     ["conf/x.yml:6: it goes on with what is new, and this job reads all each time; set read: incremental"], id="a stream of everything"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(project, text, expected):
    found = refusal(project, text)
    assert len(found) == len(expected), found
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(start) if start.endswith("Known: ") else line == start


@pytest.mark.parametrize(
    ("sink", "message"),
    [
        ("append: {table: a.b, partition_by: [id], cluster_by: [id]}", "'partition_by' and 'cluster_by' exclude each other"),
        ("scd1: {table: a.b, keys: [id, ID], sequence_by: [at]}", "'keys' names 'id' twice; once is enough"),
        ("scd2: {table: a.b, keys: [id], sequence_by: [id]}", "'sequence_by' names the key 'id': all events of a key"),
        ("snapshot: {table: a.b, keys: [id], version_column: id}", "'version_column' names the key 'id': each snapshot"),
        ("snapshot: {table: a.b, keys: [id]}", "strategy full needs 'version_column' or 'version_pattern'"),
        ("snapshot: {table: a.b, keys: [id], version_pattern: 'v_('}", "'v_(' is no regular expression"),
        ("snapshot: {table: a.b, keys: [id], version_pattern: 'v_.*'}", "'version_pattern' has no group; put ( )"),
        ("snapshot: {table: a.b, keys: [id], version_pattern: '(.*)', version_type: dat}", "'version_type' cannot be 'dat'"),
        ("snapshot: {table: a.b, keys: [id], version_pattern: '(.*)', version_format: yyyy}", "'version_format' needs 'version_type'"),
        ("snapshot: {table: a.b, keys: [id], version_column: v, version_format: yyyy}", "reads what 'version_pattern' finds"),
        ("snapshot: {table: a.b, keys: [id], version_pattern: '(.*)', version_type: date, version_format: YYYY}",
         "'version_format' 'YYYY' has 'YYYY', which Spark does not take; a date is yyyy-MM-dd"),
        ("snapshot: {table: a.b, keys: [id], version_pattern: '(.*)', version_type: date, version_format: \"%Y'\"}",
         "has a quote without its end"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_in_a_sink_is_named_before_spark_starts(project, sink, message):
    found = refusal(project, HEAD + f"sink:\n  {sink}\n")
    assert len(found) == 1
    assert found[0].startswith("conf/x.yml:5: sink '")
    assert message in found[0]


def test_every_pattern_that_java_takes_is_left_to_it(project):
    for pattern in (r"(\p{Digit}+)", "(?<day>[0-9&&[^9]]+)", r"\Qv_\E(.*+)", "(?<day>.*)"):
        project.job("x", f"{HEAD}sink:\n  snapshot: {{table: a.b, keys: [id], version_pattern: '{pattern}'}}\n")
        assert plan_job(project.root / "conf/x.yml", lake="lake").sinks


def test_a_plan_shows_how_its_tables_are_laid_out(project):
    project.job("x", HEAD + "sink:\n  append: {table: a.b, partition_by: [id, day]}\n")
    assert "  write      append {table: a.b} partitioned by id, day\n" in reports.plan_text(
        plan_job(project.root / "conf/x.yml", lake="lake")
    )


def test_every_problem_of_every_kind_is_named_at_once(project):
    project.write("conf/contracts/c.yml", "name: c\nfields:\n  - {name: id, typ: int}\n")
    found = refusal(
        project,
        """\
        layer: sliver
        source:
          filez: {path: x}
        contract: c
        sinc: x
        description: ${NOT_SET_ANYWHERE}
        rules:
          - not_nul: {column: id}
          - 3
          - not_null: {colum: id}
        transforms:
          - {trim: {}, drop: {}}
          - trim: {columns: 3}
        sink:
          append: {tabel: silver.x}
        """,
    )
    assert [line.split(". ")[0].split(";")[0] for line in found] == [
        "conf/contracts/c.yml:3: unknown key 'typ'",
        "conf/x.yml:1: 'layer' cannot be 'sliver'",
        "conf/x.yml:3: there is no source 'filez'",
        "conf/x.yml:5: unknown key 'sinc'",
        "conf/x.yml:6: the variable NOT_SET_ANYWHERE is not set",
        "conf/x.yml:8: there is no rule 'not_nul'",
        "conf/x.yml:9: 'rules.1' must be a mapping, not 3",
        "conf/x.yml:10: rule 'not_null' has no option 'colum'",
        "conf/x.yml:10: rule 'not_null' needs the option 'column'",
        "conf/x.yml:12: 'transforms.0' must hold exactly one name with its options",
        "conf/x.yml:13: transform 'trim': 'columns' must be a list, not 3",
        "conf/x.yml:15: sink 'append' has no option 'tabel'",
        "conf/x.yml:15: sink 'append' needs the option 'table'",
    ]


@pytest.mark.parametrize(
    ("step", "tables"),
    [
        ("join: {with: silver.y, on: [id]}", ["silver.y"]),
        ("lookup: {table: silver.y, on: [id], columns: [a]}", ["silver.y"]),
        ("union: {tables: [silver.y, silver.z]}", ["silver.y", "silver.z"]),
    ],
)
def test_a_table_that_is_no_input_is_named_with_its_remedy(project, step, tables):
    text = HEAD + SINK + f"transforms:\n  - {step}\n"
    word = step.split(":")[0]
    assert refusal(project, text) == [
        f"conf/x.yml:7: transform '{word}': '{table}' is not among the job's inputs; add it:  inputs: [{table}]"
        for table in tables
    ]
    plan(project, text + f"inputs: [{', '.join(tables)}]\n")


@pytest.mark.parametrize(
    ("sink", "what"),
    [
        ("overwrite: {table: silver.x}", "overwrite"),
        ("merge: {table: silver.x, keys: [id], when_missing: delete}", "when_missing: delete"),
    ],
)
def test_what_needs_all_rows_is_refused_with_an_incremental_read(project, sink, what):
    text = f"layer: silver\nsource:\n  files: {{path: x}}\nsink:\n  {sink}\n"
    word = sink.split(":")[0]
    message = f"conf/x.yml:5: sink '{word}': {what} needs all rows each time; set read: full"
    assert refusal(project, text) == [message]
    assert refusal(project, text + "read: incremental\n") == [message]
    assert plan(project, text + "read: full\n").read == "full"


def test_a_source_that_is_read_whole_cannot_be_incremental(project):
    assert refusal(project, HEAD + SINK + "read: incremental\n") == [
        "conf/x.yml:6: source 'rows' can only be read in full; take 'read: incremental' out"
    ]


@pytest.mark.parametrize(
    ("layer", "source", "read"),
    [
        ("bronze", "files: {path: x}", "incremental"),
        ("silver", "delta: {table: bronze.x}", "incremental"),
        ("gold", "delta: {table: bronze.x}", "full"),
        ("gold", "files: {path: x}", "incremental"),
        ("silver", "sql: {query: select 1}", "full"),
        ("silver", "rows: {schema: id int, rows: []}", "full"),
    ],
)
def test_what_is_read_by_default(project, layer, source, read):
    assert plan(project, f"layer: {layer}\nsource:\n  {source}\n{SINK}").read == read


# --- contracts


def test_a_contract_gives_rules_before_the_jobs_own(project):
    project.write("conf/contracts/c.yml", """\
name: c
fields:
  - {name: ID, type: int}
  - {name: state, allowed: [a, b], required: true}
  - {name: n, type: int, min: 0, max: 9.5}
  - {name: mail, pattern: '@'}
keys: [id]
""")  # fmt: skip
    found = plan(project, HEAD + SINK + "contract: c\nrules:\n  - length: {column: mail, max: 9}\n")
    assert [rule.name for rule in found.rules] == [
        "not_null(ID)", "not_null(state)", "accepted_values(state)", "in_range(n)", "matches(mail)", "length(mail)",
    ]  # fmt: skip
    assert str(found.rules[3].step.problem("x")) == "conf/contracts/c.yml:5: rule 'in_range': x"


def test_what_is_wrong_in_a_contract_is_named_there(project):
    project.write("conf/contracts/orders.yml", """\
name: c
fields:
  - {name: id}
  - {name: ID}
  - {name: r, references: a.b}
keys: [idd]
""")  # fmt: skip
    assert refusal(project, HEAD + SINK + "contract: orders\nschema: id int\n") == [
        "conf/contracts/orders.yml:4: field 'ID' is here twice",
        "conf/contracts/orders.yml:5: 'a.b' is no column of a table; it is layer.table.column",
        "conf/contracts/orders.yml:6: key 'idd' is not among the fields",
        "conf/x.yml:6: a job has either 'contract' or 'schema'",
    ]
    assert refusal(project, HEAD + SINK + "contract: order\n") == [
        "conf/x.yml:6: there is no contract order.yml. Did you mean 'orders'? Known: orders."
    ]


# --- a job's own script

OWN = '''
from lakehouse import rule, transform


@transform
def double(df, *, column: str, times: int = 2):
    """Doubled."""
    return df


@rule
def is_even(*, column: str):
    """Even."""
'''


def test_a_jobs_own_words_are_known_to_it_alone(project):
    project.write("jobs/own.py", OWN)
    text = HEAD + SINK + "transforms:\n  - double: {column: id}\nrules:\n  - is_even: {column: id, on_fail: warn}\n"
    found = plan(project, text, "own")
    assert found.transforms[0].option("times") == 2
    assert found.rules[0].name == "is_even(id)"
    assert [line.split(". ")[0] for line in refusal(project, text, "other")] == [
        "conf/other.yml:7: there is no transform 'double'", "conf/other.yml:9: there is no rule 'is_even'",
    ]  # fmt: skip
    assert refusal(project, HEAD + SINK + "transforms:\n  - double: {colum: id, times: x}\n", "own") == [
        "conf/own.yml:7: transform 'double' has no option 'colum'. Did you mean 'column'? Known: column, times.",
        "conf/own.yml:7: transform 'double' needs the option 'column'",
        "conf/own.yml:7: transform 'double': 'times' must be a whole number, not 'x'",
    ]


def test_a_jobs_own_word_goes_before_the_products(project):
    project.write("jobs/own.py", OWN.replace("def double", "def trim"))
    assert (
        plan(project, HEAD + SINK + "transforms:\n  - trim: {column: id}\n", "own").transforms[0].option("times") == 2
    )


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import nowhere_at_all\n", "jobs/own.py:1: cannot be imported: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("x = 1\ndef f(:\n", "jobs/own.py:2: cannot be imported: SyntaxError: invalid syntax (own.py, line 2)"),
        ("x = 1\n\n\ndef f():\n    raise ValueError('boom')\nf()\n", "jobs/own.py:5: cannot be imported: ValueError: boom"),
        ("from lakehouse import rule\n@rule\ndef f(column): ...\n",
         "jobs/own.py:2: cannot be imported: TypeError: rule 'f': each option is a keyword: def f(*, option: type)"),
        ("from lakehouse import transform\n@transform\ndef f(df, a): ...\n",
         "jobs/own.py:2: cannot be imported: TypeError: transform 'f': each option is a keyword: def f(df, *, option: type)"),
        ("from lakehouse import sink\n@sink\ndef f(df, write, **options): ...\n",
         "jobs/own.py:2: cannot be imported: TypeError: sink 'f': each option is a keyword: def f(df, write, *, option: type)"),
    ],
)  # fmt: skip
def test_a_broken_script_is_named_with_its_line_beside_the_yamls_problems(project, code, message):
    project.write("jobs/own.py", code)
    assert refusal(project, HEAD + SINK, "own") == [message]
    assert len(refusal(project, HEAD + SINK + "sinc: 1\n", "own")) == 2


def test_options_of_no_type_take_anything_and_of_an_unknown_type_are_named(project):
    project.write("jobs/own.py", "from lakehouse import transform\n@transform\ndef f(df, *, a, b=1):\n    return df\n")
    assert plan(project, HEAD + SINK + "transforms:\n  - f: {a: [1]}\n", "own").transforms[0].option("a") == [1]
    project.write(
        "jobs/wrong.py", "from lakehouse import transform\n@transform\ndef f(df, *, a: 'Nope'):\n    return df\n"
    )
    assert refusal(project, HEAD + SINK + "transforms:\n  - f: {a: 1}\n", "wrong") == [
        f"{project.root}/jobs/wrong.py:2: the types of f's options cannot be read: name 'Nope' is not defined"
    ]


# --- several jobs


def chain(project: Project, *jobs: tuple[str, str, str], inputs: str = "", tags: str = "") -> list[Plan]:
    """One plan a (name, input, output)."""
    return [
        plan(project, f"layer: silver\nsource:\n  delta: {{table: s.{source}}}\nsink:\n  append: {{table: s.{target}}}\n"
                      f"inputs: [{inputs}]\ntags: [{tags}]\n", name)
        for name, source, target in jobs
    ]  # fmt: skip


def names(plans: list[Plan]) -> list[str]:
    return [found.name for found in plans]


def test_jobs_run_after_those_that_they_read_from(project):
    jobs = chain(project, ("c", "b", "c"), ("b", "a", "b"), ("a", "z", "a"))
    jobs += chain(project, ("d", "q", "d"), inputs="s.c")
    assert names(graph.ordered(jobs)) == names(graph.ordered(jobs[::-1])) == ["a", "b", "c", "d"]


def test_writers_of_one_table_follow_each_other_and_go_before_its_readers(project):
    jobs = chain(project, ("reader", "t", "r"), ("first", "x", "t"), ("second", "y", "t"))
    assert names(graph.ordered(jobs)) == ["first", "second", "reader"]
    assert graph.edges(jobs) == {"reader": {"first", "second"}, "first": set(), "second": {"first"}}


@pytest.mark.parametrize(
    ("jobs", "circle"),
    [
        ([("a", "b", "a"), ("b", "a", "b")], "conf/a.yml:2: the jobs form a cycle: a -> b -> a"),
        (
            [("a", "c", "a"), ("b", "a", "b"), ("c", "b", "c"), ("d", "a", "d")],
            "conf/a.yml:2: the jobs form a cycle: a -> b -> c -> a",
        ),
        (
            [("start", "z", "s"), ("p", "s", "p"), ("d", "b", "d"), ("b", "d", "b")],
            "conf/d.yml:2: the jobs form a cycle: d -> b -> d",
        ),
    ],
)
def test_a_cycle_is_named_with_its_path(project, jobs, circle):
    with pytest.raises(ConfigError) as refused:
        graph.ordered(chain(project, *jobs))
    assert str(refused.value) == circle


def test_two_files_of_one_stem_are_not_run_as_one(project):
    first = plan(project, HEAD + SINK)
    other = plan_job(project.write("more/conf/x.yml", HEAD + SINK), lake=str(project.lake))
    with pytest.raises(ConfigError, match=r"^conf/x\.yml:1: .*/more/conf/x\.yml is a job of that name too$"):
        graph.ordered([first, other])


@pytest.mark.parametrize(
    ("selectors", "chosen"),
    [
        (["b"], "b"), (["+b"], "a b"), (["b+"], "b c"), (["+b+"], "a b c"), (["a", "c"], "a c"), (["tag:t"], "a c"),
        (["+tag:u"], "a b c d"), (["layer:silver"], "a b c d"), (["tag:u", "a+"], "a b c d"), ([" d "], "d"),
    ],
)  # fmt: skip
def test_jobs_are_selected_by_name_neighbour_or_tag(project, selectors, chosen):
    jobs = chain(project, ("a", "z", "a"), tags="t") + chain(project, ("b", "a", "b"))
    jobs += chain(project, ("c", "b", "c"), tags="u, t") + chain(project, ("d", "q", "d"), tags="u")
    assert names(graph.selected(graph.ordered(jobs), selectors)) == chosen.split()


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("bb", "--select bb fits no job. Did you mean 'b'? Known: a, b, tag:t."),
        ("tag:tt", "--select tag:tt fits no job. Did you mean 'tag:t'? Known: a, b, tag:t."),
        ("+", "--select + fits no job. Known: a, b, tag:t."),
        ("a+b", "--select a+b fits no job. Known: a, b, tag:t."),
    ],
)
def test_a_selector_that_fits_nothing_is_an_error(project, selector, message):
    jobs = chain(project, ("a", "z", "a"), ("b", "a", "b"), tags="t")
    with pytest.raises(ConfigError) as refused:
        graph.selected(jobs, ["a", selector])
    assert str(refused.value) == message


def test_a_job_is_found_by_name_from_any_folder_of_its_project(project):
    file = project.job("orders", HEAD + SINK)
    inner = project.root / "a" / "b"
    inner.mkdir(parents=True)
    assert find_job("orders", inner) == file
    assert find_job("some/where.yml", inner) == Path("some/where.yml")
    with pytest.raises(ConfigError, match=r"no job 'order' in .*/conf\. Did you mean 'orders'\? Known: orders\."):
        find_job("order", inner)
    (project.root / "conf/more.yaml").write_text(file.read_text())
    with pytest.raises(ConfigError, match=r"conf/more\.yaml: .* ends in \.yml; rename it, or run it by its path"):
        find_job("more", inner)
    nearer = project.write("nested/conf/more.yml", file.read_text())
    assert find_job("more", nearer.parents[1]) == nearer, "what lies further out is none of this project's"


# --- identity


def test_a_fingerprint_follows_what_a_job_does_not_where_its_lake_lies(project):
    text = HEAD + "sink:\n  files: {path: '${LAKE}/out', format: csv}\n"
    file = project.job("x", text)
    prints = {plan_job(file, lake=lake).fingerprint for lake in ("/a", "s3a://b/c")}
    project.job("x", "# moved\n" + text.replace("{path", "{  path"))
    assert {plan_job(file, lake="/a").fingerprint} == prints
    project.job("x", text.replace("[[1]]", "[[2]]"))
    assert plan_job(file, lake="/a").fingerprint not in prints


# --- from the command line


def lakehouse(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program, where a JVM that starts would leave a mark."""
    marked = {**os.environ, "JAVA_TOOL_OPTIONS": "-XX:Flags=/nowhere", "LAKE": str(project.lake)}
    program = Path(sys.executable).with_name("lakehouse")
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, cwd=project.root, env=marked, timeout=60
    )


def test_a_wrong_config_ends_with_2_within_two_seconds_and_starts_no_jvm(project):
    project.job("x", HEAD + SINK + "transforms:\n  - keep_latest: {keys: [id], order: [id]}\n  - drp: {columns: id}\n")
    before = seconds_of_programs()
    done = lakehouse(project, "run", "x")
    seconds = seconds_of_programs() - before
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == (
        "conf/x.yml:7: transform 'keep_latest' has no option 'order'. Did you mean 'order_by'? Known: extras, keys, order_by."
    )
    assert [line[:13] for line in done.stderr.splitlines()] == ["conf/x.yml:7:", "conf/x.yml:7:", "conf/x.yml:8:"]
    assert "JAVA_TOOL_OPTIONS" not in done.stderr  # every JVM says that it picked them up
    assert not project.lake.exists()
    assert seconds < 2


def test_problems_of_several_jobs_are_named_at_once(project):
    project.job("a", HEAD + SINK + "sinc: 1\n")
    project.job("b", HEAD)
    done = lakehouse(project, "run", "a", "b")
    assert done.returncode == 2
    assert [line.split(".")[0] for line in done.stderr.splitlines()] == ["conf/a", "conf/b"]


def test_the_schema_of_a_job_names_what_the_plan_takes(project):
    done = lakehouse(project, "schema")
    assert done.returncode == 0, done.stderr
    schema = json.loads(done.stdout)
    assert set(schema["properties"]) >= {
        "layer",
        "description",
        "tags",
        "source",
        "read",
        "inputs",
        "contract",
        "schema",
        "rules",
        "sink",
        "sinks",
    }
    assert schema["additionalProperties"] is False
