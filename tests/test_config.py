"""A job's YAML at the door: shape, variables, overlays; every problem at once, each with its file and line."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from lakehouse import ConfigError
from lakehouse.config.contract import Contract
from lakehouse.config.jobs import Job, load_job, load_mapping
from lakehouse.config.project_files import project_root
from lakehouse.planning.planner import plan_job
from lakehouse.redaction import without_secrets

LEAST = """\
layer: silver
source:
  rows: {schema: "id int", rows: [[1]]}
sink:
  append: {table: silver.x}
"""


@pytest.fixture
def conf(tmp_path, monkeypatch) -> Path:
    (tmp_path / "conf" / "env").mkdir(parents=True)
    (tmp_path / "conf" / "contracts").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "conf"


def load(conf: Path, text: str, env: str | None = None, variables: dict[str, str] | None = None) -> Job:
    (conf / "x.yml").write_text(textwrap.dedent(text))
    return load_job(conf / "x.yml", env=env, lake="/lake", variables=variables or {})


def problems(conf: Path, text: str, env: str | None = None, variables: dict[str, str] | None = None) -> list[str]:
    """What is wrong with the file, in the order of its lines."""
    return sorted(map(str, load(conf, text, env, variables).problems), key=lambda line: int(line.split(":")[1]))


# --- shape


@pytest.mark.parametrize("text", ["", "- layer: gold", "gold"])
def test_a_job_is_a_mapping(conf, text):
    with pytest.raises(ConfigError, match=r"^conf/x\.yml:1: a job is a mapping: layer, source, sink, \.\.\.$"):
        load(conf, text)


def test_a_file_that_is_missing_or_no_text_is_named(conf):
    with pytest.raises(ConfigError, match=r"^conf/none\.yml: no such file$"):
        load_job(conf / "none.yml", env=None, lake="/lake")
    (conf / "x.yml").write_bytes(b"layer: \xff")
    with pytest.raises(ConfigError, match=r"^conf/x\.yml: cannot be read: 'utf-8' codec"):
        load_job(conf / "x.yml", env=None, lake="/lake")


def test_an_unknown_key_is_named_with_its_line_and_the_one_that_was_meant(conf):
    found = problems(conf, LEAST + "transformations:\n  - trim\n")
    assert found == [
        "conf/x.yml:6: unknown key 'transformations'. Did you mean 'transforms'? Known: allow_empty, contract, description, "
        "exclusive, expectations, inputs, layer, quality_gate, quarantine, read, rules, schema, sink, sinks, source, spark, "
        "stream, tags, transforms."
    ]


def test_every_wrong_value_is_named_at_once(conf):
    assert problems(
        conf,
        """\
        layer: sliver
        source: {files: {path: x}, delta: {table: a.b}}
        tags: x
        description: 3
        read: sometimes
        inputs: [a, b.c, 7]
        allow_empty: maybe
        quality_gate:
          max_quarantined: 135%
          min_rows: -1
          min_row: 2
        spark: {a: [1]}
        stream: {max_batches: 0}
        rules: {a: b}
        transforms:
          - [x]
          - {a: {}, b: {}}
          -
        sinks: []
        expectations: 3
        quarantine: q
        """,
    ) == [
        "conf/x.yml:1: 'layer' cannot be 'sliver'. Did you mean 'silver'? Known: bronze, gold, silver.",
        "conf/x.yml:2: 'source' must hold exactly one name with its options",
        "conf/x.yml:3: 'tags' must be a list, not 'x'",
        "conf/x.yml:4: 'description' must be a string, not 3",
        "conf/x.yml:5: 'read' cannot be 'sometimes'. Known: full, incremental.",
        "conf/x.yml:6: 'inputs.0' must be a table's name, layer.table, not 'a'",
        "conf/x.yml:6: 'inputs.2' must be a string, not 7",
        "conf/x.yml:7: 'allow_empty' must be true or false, not 'maybe'",
        "conf/x.yml:9: 'quality_gate.max_quarantined' is refused: input should be less than or equal to 1 (found '135%')",
        "conf/x.yml:10: 'quality_gate.min_rows' is refused: input should be greater than or equal to 0 (found -1)",
        "conf/x.yml:11: unknown key 'min_row'. Did you mean 'min_rows'? Known: dimensions, max_quarantined, max_quarantined_rows, min_rows.",
        "conf/x.yml:12: 'spark.a' must be a string, a whole number, a number or true or false, not a list",
        "conf/x.yml:13: 'stream.max_batches' is refused: input should be greater than or equal to 1 (found 0)",
        "conf/x.yml:14: 'rules' must be a list, not a mapping",
        "conf/x.yml:16: 'transforms.0' must be a mapping, not a list",
        "conf/x.yml:17: 'transforms.1' must hold exactly one name with its options",
        "conf/x.yml:18: 'transforms.2' must be a mapping, not nothing",
        "conf/x.yml:19: 'sinks' must not be empty",
        "conf/x.yml:20: 'expectations' must be a mapping, not 3",
        "conf/x.yml:21: 'quarantine' must be a table's name, layer.table, not 'q'",
    ]


def test_what_is_missing_is_named(conf):
    assert problems(conf, "description: x") == ["conf/x.yml:1: 'layer' is missing", "conf/x.yml:1: 'source' is missing"]


def test_a_quoted_number_is_no_number(conf):
    assert problems(conf, LEAST + 'quality_gate: {min_rows: "7"}\n') == [
        "conf/x.yml:6: 'quality_gate.min_rows' must be a whole number, not '7'"
    ]


def test_words_of_the_core_schema_reach_the_job_as_text(conf):
    job = load(conf, LEAST + "tags: [no, on, 2026-01-01]\ndescription: off\n")
    assert (job.config.tags, job.config.description, job.problems) == (["no", "on", "2026-01-01"], "off", ())


@pytest.mark.parametrize(
    ("text", "share"), [("35%", 0.35), ("0.5%", 0.005), ("1", 1.0), ("0.25", 0.25), ("100 %", 1.0)]
)
def test_a_share_is_a_percentage_or_a_fraction(conf, text, share):
    gate = load(conf, LEAST + f"quality_gate: {{max_quarantined: {text}}}\n").config.quality_gate
    assert gate is not None
    assert gate.max_quarantined == pytest.approx(share)


def test_a_word_without_options_may_stand_alone(conf):
    config = load(conf, LEAST + "transforms:\n  - trim\n  - trim:\n  - trim: {}\n").config
    assert config.transforms == [{"trim": {}}] * 3


@pytest.mark.parametrize(("file", "root"), [("a/conf/x.yml", "a"), ("a/conf/deep/x.yml", "a"), ("a/b/x.yml", "a/b")])
def test_the_project_is_the_parent_of_the_nearest_conf_else_the_files_own_folder(tmp_path, file, root):
    assert project_root(tmp_path / file) == tmp_path / root


# --- variables


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${V}", "v"),
        ("a ${V} b ${V:-c}", "a v b v"),
        ("${NONE:-d}", "d"),
        ("${NONE:-}", ""),
        ("${NONE:-a:-b $x {y}", "a:-b $x {y"),
        ("${EMPTY}|${EMPTY:-d}", "|d"),
        ("$${V}", "${V}"),
        ("$${V} ${V}", "${V} v"),
        ("$V {V} $ {V}", "$V {V} $ {V}"),
        ("${LAKE}/x", "/lake/x"),
    ],
)
def test_a_variable_is_replaced_within_text(conf, text, value):
    job = load(conf, LEAST + f"description: '{text}'\n", variables={"V": "v", "EMPTY": "", "LAKE": "/elsewhere"})
    assert job.config.description == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${NONE}", "the variable NONE is not set; set it, or write ${NONE:-default}"),
        ("${NONE:x}", "'${NONE:x}' is neither ${VAR} nor ${VAR:-default}; a literal is $${"),
        ("${}", "'${}' is neither ${VAR} nor ${VAR:-default}; a literal is $${"),
        ("${a b}", "'${a b}' is neither ${VAR} nor ${VAR:-default}; a literal is $${"),
        ("${open", "'${' is neither ${VAR} nor ${VAR:-default}; a literal is $${"),
        ("${NONE:-${V}}", "'${NONE:-${V}' is neither ${VAR} nor ${VAR:-default}; a literal is $${"),
        (
            "${secret:db/password}",
            "a secret may stand under source, sink, sinks, spark alone: what stands here is shown",
        ),
    ],
)
def test_a_variable_that_cannot_be_had_is_an_error_at_its_line(conf, text, message):
    assert problems(conf, LEAST + f"description: '{text}'\n", variables={"V": "v"}) == [f"conf/x.yml:6: {message}"]


WITH_SECRET = LEAST.replace("rows: [[1]]", "rows: [['${secret:db/password}']]").replace("id int", "id string")


@pytest.mark.parametrize("content", ["hush $HUSH ${A} 'x'\n", "hush $HUSH ${A} 'x'", "hush $HUSH ${A} 'x'\r\n"])
def test_a_secret_comes_from_a_folder_and_is_shown_nowhere(conf, tmp_path, content):
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "password").write_text(content)
    job = load(conf, WITH_SECRET, variables={"LAKE_SECRETS": str(tmp_path)})
    value = "hush $HUSH ${A} 'x'"
    assert (job.problems, job.config.source["rows"]["rows"]) == ((), [[value]])
    assert without_secrets([f"a {value} b", "hush%20%24HUSH%20%24%7BA%7D%20%27x%27"]) == ["a *** b", "***"]
    assert str(ConfigError(f"not {value}, is it")) == "not ***, is it"


def test_a_secret_comes_from_a_command_that_no_name_can_turn_into_another(conf):
    command = "printf '%s' 'of {name}'"
    job = load(conf, WITH_SECRET, variables={"LAKE_SECRET_COMMAND": command, "LAKE_SECRETS": "/nowhere"})
    assert job.config.source["rows"]["rows"] == [["of db/password"]]
    for name in ("a; touch b", "../up", "/etc/passwd", "-x", ""):
        text = WITH_SECRET.replace("db/password", name)
        assert "cannot be a secret's name" in problems(conf, text, variables={"LAKE_SECRET_COMMAND": command})[0]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"LAKE_SECRETS": "{here}"}, "there is no secret db/password: no file {here}/db/password; write it there, "
         "or name another folder in LAKE_SECRETS, or a command that prints it in LAKE_SECRET_COMMAND"),
        ({}, "there is no secret db/password: no file /run/secrets/db/password; write it there, "
         "or name another folder in LAKE_SECRETS, or a command that prints it in LAKE_SECRET_COMMAND"),
        ({"LAKE_SECRET_COMMAND": "true"}, "the secret db/password is empty"),
        ({"LAKE_SECRET_COMMAND": "ls /no/such"}, "LAKE_SECRET_COMMAND gave no secret db/password: exit code 2, "
         "ls: cannot access '/no/such': No such file or directory"),
        ({"LAKE_SECRET_COMMAND": "no-such-program {name}"}, "LAKE_SECRET_COMMAND gave no secret db/password: "
         "[Errno 2] No such file or directory: 'no-such-program'"),
        ({"LAKE_SECRET_COMMAND": "echo 'open"}, "LAKE_SECRET_COMMAND gave no secret db/password: No closing quotation"),
    ],
)  # fmt: skip
def test_a_secret_that_cannot_be_had_is_an_error_at_its_line(conf, tmp_path, variables, message):
    given = {name: value.replace("{here}", str(tmp_path)) for name, value in variables.items()}
    assert problems(conf, WITH_SECRET, variables=given) == [f"conf/x.yml:3: {message.replace('{here}', str(tmp_path))}"]


def test_all_unset_variables_are_named_at_once(conf):
    found = problems(conf, LEAST + "description: ${A}\ntags: ['${B} ${C}']\n")
    assert [line.split(" is not set")[0] for line in found] == [
        "conf/x.yml:6: the variable A", "conf/x.yml:7: the variable B", "conf/x.yml:7: the variable C",
    ]  # fmt: skip


def test_a_variable_may_be_a_number_or_a_truth_value(conf):
    text = LEAST + 'quality_gate: {min_rows: "${N}", max_quarantined: "${P}"}\nallow_empty: ${T}\ndescription: ${N}\n'
    job = load(conf, text, variables={"N": "7", "P": "35%", "T": "true"})
    assert job.problems == ()
    assert job.config.quality_gate is not None
    assert (job.config.quality_gate.min_rows, job.config.quality_gate.max_quarantined) == (7, 0.35)
    assert (job.config.allow_empty, job.config.description) == (True, "7")
    assert load(conf, text, variables={"N": "7", "P": "0.5", "T": "true"}).config.quality_gate.max_quarantined == 0.5


def test_a_variable_that_is_no_number_is_refused_where_one_is_wanted(conf):
    assert problems(conf, LEAST + 'quality_gate: {min_rows: "${N}"}\n', variables={"N": "many"}) == [
        "conf/x.yml:6: 'quality_gate.min_rows' must be a whole number, not 'many'"
    ]


def test_a_variable_cannot_bring_yaml_in(conf):
    job = load(conf, LEAST + "description: ${V}\n", variables={"V": "x\nlayer: gold # {a: [b"})
    assert (job.config.layer, job.config.description) == ("silver", "x\nlayer: gold # {a: [b")


def test_the_environment_reaches_a_job_and_its_numbers(conf, monkeypatch):
    monkeypatch.setenv("FEWEST", "3")
    (conf / "x.yml").write_text(
        LEAST + 'rules:\n  - in_range: {column: id, min: 1}\nquality_gate: {min_rows: "${FEWEST}"}\n'
    )
    gate = plan_job(conf / "x.yml", lake="/lake").job.config.quality_gate
    assert gate is not None
    assert gate.min_rows == 3


# --- environments

SHOP = LEAST + "description: as it is\ntags: [x]\nquality_gate: {min_rows: 1}\n"


def overlay(conf: Path, text: str) -> None:
    (conf / "env" / "dev.yml").write_text(textwrap.dedent(text))


def test_an_environment_lies_over_every_job_and_over_one(conf):
    overlay(conf, """\
        all:
          description: all
          quality_gate: {max_quarantined: 5%}
        jobs:
          x: {description: mine, tags: [y], spark: {spark.sql.shuffle.partitions: 3}}
        """)  # fmt: skip
    config = load(conf, SHOP, env="dev").config
    assert (config.description, config.tags, config.spark) == ("mine", ["y"], {"spark.sql.shuffle.partitions": 3})
    assert config.quality_gate is not None
    assert (config.quality_gate.min_rows, config.quality_gate.max_quarantined) == (1, 0.05)
    assert load(conf, SHOP).config.description == "as it is"


def test_an_environment_changes_options_of_a_source_or_names_another(conf):
    overlay(conf, "all:\n  source: {rows: {rows: [[2]]}}\n")
    assert load(conf, SHOP, env="dev").config.source == {"rows": {"schema": "id int", "rows": [[2]]}}
    overlay(conf, "all:\n  source: {files: {path: small}}\n")
    assert load(conf, SHOP, env="dev").config.source == {"files": {"path": "small"}}


def test_a_key_set_to_nothing_is_taken_away(conf):
    overlay(conf, "all: {quality_gate: null}\n")
    assert load(conf, SHOP, env="dev").config.quality_gate is None


def test_an_environments_variables_yield_to_the_real_ones(conf):
    overlay(conf, "variables: {A: one, B: 2, C: true, D: 0.5, LAKE: /other}\n")
    text = LEAST + "description: ${A} ${B} ${C} ${D} ${LAKE}\n"
    assert load(conf, text, env="dev").config.description == "one 2 true 0.5 /lake"
    assert load(conf, text, env="dev", variables={"A": "real"}).config.description == "real 2 true 0.5 /lake"


def test_a_problem_in_an_environment_is_named_there(conf):
    overlay(conf, """\
        all:
          quality_gate:
            min_row: 1
        jobs:
          x:
            description: ${NONE}
            layer: [gold]
        """)  # fmt: skip
    assert problems(conf, SHOP, env="dev") == [
        "conf/env/dev.yml:3: unknown key 'min_row'. Did you mean 'min_rows'? Known: dimensions, max_quarantined, max_quarantined_rows, min_rows.",
        "conf/env/dev.yml:6: the variable NONE is not set; set it, or write ${NONE:-default}",
        "conf/env/dev.yml:7: 'layer' cannot be a list. Did you mean 'gold'? Known: bronze, gold, silver.",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alll: {}\nvars: {}", "conf/env/dev.yml:1: unknown key 'alll'. Did you mean 'all'? Known: all, jobs, variables.\n"
                               "conf/env/dev.yml:2: unknown key 'vars'. Did you mean 'variables'? Known: all, jobs, variables."),
        ("- all", "conf/env/dev.yml:1: the file must be a mapping, not a list"),
        ("all: 3\njobs: [x]", "conf/env/dev.yml:1: 'all' must be a mapping, not 3\n"
                              "conf/env/dev.yml:2: 'jobs' must be a mapping, not a list"),
        ("jobs: {x: 3}", "conf/env/dev.yml:1: 'jobs.x' must be a mapping, not 3"),
        ("variables: {A: [1]}", "conf/env/dev.yml:1: 'variables.A' must be a string, a whole number, a number or true or false, not a list"),
        ("jobs:\n  xx: {}", "conf/env/dev.yml:2: there is no job 'xx'. Did you mean 'x'? Known: x."),
    ],
)  # fmt: skip
def test_an_environment_of_the_wrong_shape_is_refused(conf, text, message):
    overlay(conf, text)
    with pytest.raises(ConfigError) as refused:
        load(conf, SHOP, env="dev")
    assert str(refused.value) == message


def test_an_empty_environment_changes_nothing_and_a_missing_one_is_named(conf):
    overlay(conf, "# nothing yet\n")
    assert load(conf, SHOP, env="dev").config == load(conf, SHOP).config
    with pytest.raises(ConfigError, match=r"^conf/env/prod\.yml: no such file$"):
        load(conf, SHOP, env="prod")


# --- contracts


def test_a_contracts_problems_are_named_at_once(conf):
    file = conf / "contracts" / "c.yml"
    file.write_text("nam: c\nfields:\n  - {name: id, requird: true}\n  - {type: int, min: [1]}\nkeys: id\n")
    with pytest.raises(ConfigError) as refused:
        load_mapping(Contract, file)
    known = "allowed, description, mask, max, min, name, pattern, pii, references, required, type"
    assert str(refused.value).splitlines() == [
        "conf/contracts/c.yml:1: 'name' is missing",
        "conf/contracts/c.yml:1: unknown key 'nam'. Did you mean 'name'? Known: classification, compatibility, description, "
        "fields, keys, name, owner, rules, sla, tags, version.",
        f"conf/contracts/c.yml:3: unknown key 'requird'. Did you mean 'required'? Known: {known}.",
        "conf/contracts/c.yml:4: 'fields.1.min' must be a number, a whole number or a string, not a list",
        "conf/contracts/c.yml:4: 'fields.1.name' is missing",
        "conf/contracts/c.yml:5: 'keys' must be a list, not 'id'",
    ]
