"""YAML by its 1.2 core: what a plain word means, what is refused, and on which line it stands."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lakehouse import ConfigError
from lakehouse.config.yaml_files import read_yaml
from lakehouse.config.yaml_text import parse, scalar


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        parse(text, "x.yml")
    return str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "yes",
        "on",
        "off",
        "y",
        "n",
        "No",
        "ON",
        "Yes",
        "2026-01-01",
        "2026-01-01T10:00:00Z",
        "12:30:45",
        "1_000",
        "0b1",
        "0o8",
        "nULL",
        "tRUE",
        "=",
        "<<",
        "1.2.3",
        "++1",
        "0x",
    ],
)
def test_what_the_core_schema_does_not_name_is_text(text):
    assert scalar(text) == text
    assert parse(f"a: {text}", "x.yml").value == {"a": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(word, None) for word in ("", "~", "null", "Null", "NULL")],
        *[(word, True) for word in ("true", "True", "TRUE")],
        *[(word, False) for word in ("false", "False", "FALSE")],
        *[("0", 0), ("-1", -1), ("+12", 12), ("012", 12), ("0o17", 15), ("0x1F", 31)],
        *[(".5", 0.5), ("1.", 1.0), ("-1.5e3", -1500.0), ("1e3", 1000.0), (".inf", math.inf), ("-.INF", -math.inf)],
    ],
)
def test_what_the_core_schema_names_is_a_value(text, value):
    found = parse(f"a: {text}", "x.yml").value
    assert found == {"a": value}
    assert type(found["a"]) is type(value)


def test_not_a_number_is_one():
    assert math.isnan(scalar(".nan"))


@pytest.mark.parametrize("text", ['"no"', "'1'", '"true"', "'~'", "|\n  1", ">-\n  null"])
def test_what_is_quoted_or_a_block_is_text(text):
    value = parse(f"a: {text}", "x.yml").value["a"]
    assert isinstance(value, str)


def test_a_number_longer_than_any_number_is_text():
    assert scalar("9" * 5000) == "9" * 5000


def test_keys_are_words_whatever_they_look_like():
    assert parse("1: a\nno: b\nnull: c\n2026-01-01: d\n<<: {e: f}", "x.yml").value == {
        "1": "a", "no": "b", "null": "c", "2026-01-01": "d", "<<": {"e": "f"},
    }  # fmt: skip


def test_every_key_and_item_has_its_line():
    document = parse("# a job\nlayer: silver\n\nrules:\n  - a: {x: 1}\n  - b:\n      y: 2\n", "x.yml")
    assert document.lines[("layer",)] == 2
    assert document.lines[("rules",)] == 4
    assert document.lines[("rules", 0, "a", "x")] == 5
    assert document.lines[("rules", 1)] == 6
    assert document.lines[("rules", 1, "b", "y")] == 7


@pytest.mark.parametrize("text", ["", "# nothing", "---", "---\n# nothing\n...\n"])
def test_an_empty_file_is_nothing(text):
    assert parse(text, "x.yml").value is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "x.yml:3: 'a' is here twice; the first is on line 1"),
        ("s:\n  k: 1\n  k: 2", "x.yml:3: 'k' is here twice; the first is on line 2"),
        ("a: 1\r\n'a': 2", "x.yml:2: 'a' is here twice; the first is on line 1"),
        ("- {a: 1, a: 2}", "x.yml:1: 'a' is here twice; the first is on line 1"),
        ("a: 1\na: 2\na: 3", "x.yml:2: 'a' is here twice; the first is on line 1\nx.yml:3: 'a' is here twice; the first is on line 1"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]", "x.yml:2: YAML tags are not allowed: tag:yaml.org,2002:python/object/apply:os.system"),
        ("a: !!str 1", "x.yml:1: YAML tags are not allowed: tag:yaml.org,2002:str"),
        ("a: ! 1", "x.yml:1: YAML tags are not allowed: !"),
        ("%TAG ! tag:x,2000:\n---\na: !b c", "x.yml:3: YAML tags are not allowed: tag:x,2000:b"),
        ("a: 1\n---\nb: 2", "x.yml:2: not YAML: but found another document"),
        ("a: b: c", "x.yml:1: not YAML: mapping values are not allowed in this context"),
        ("a:\n\t- b", "x.yml:2: not YAML: found character that cannot start any token"),
        ("a: *b", "x.yml:1: not YAML: found undefined alias"),
        ("? [a]\n: b", "x.yml:1: a key must be a word"),
        ("a: x\x00y", "x.yml: not YAML: unacceptable character #x0000: control characters are not allowed"),
        ("a: &a [*a]", "x.yml:1: nested deeper than 40 levels by aliases"),
        ("a:\n  &a {b: *a}", "x.yml:2: nested deeper than 40 levels by aliases"),
    ],
)  # fmt: skip
def test_what_is_refused_says_why_and_where(text, message):
    assert refusal(text) == message


def test_all_duplicates_are_named_at_once():
    assert refusal("a: 1\na: 2\nb:\n  c: 1\n  c: 2").count("\n") == 1


def test_an_alias_bomb_is_refused_before_it_goes_off():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    assert refusal("\n".join(lines)) == "x.yml: more than 50000 values (aliases counted as often as used)"


def test_an_alias_gives_the_same_value_again():
    assert parse("a: &x {k: [1]}\nb: *x", "x.yml").value == {"a": {"k": [1]}, "b": {"k": [1]}}


@pytest.mark.parametrize(
    "text", ["[" * 41 + "]" * 41, "{a: " * 20_000, "- " * 3_000 + "x"], ids=["lists", "maps", "items"]
)
def test_deep_nesting_is_refused_before_anything_is_built(text):
    assert refusal(text) == "x.yml:1: nested deeper than 40 levels"


def test_aliases_that_nest_deep_together_are_refused():
    lines = ["a0: &a0 " + "[" * 30 + "x" + "]" * 30]
    lines += [f"a{i}: &a{i} " + "[" * 30 + f"*a{i - 1}" + "]" * 30 for i in range(1, 60)]
    assert "nested deeper than 40 levels by aliases" in refusal("\n".join(lines))


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    file = tmp_path / "x.yml"
    file.write_bytes(b"\xef\xbb\xbflayer: gold\r\n")
    assert read_yaml(file).value == {"layer": "gold"}
    assert parse("\ufefflayer: gold", "x.yml").value == {"layer": "gold"}


@given(st.text(max_size=200) | st.text("ab:-{}[]&*!|>'\"#%@,?\n \t~0x.", max_size=60))
@example("&a [*a]")
@example("a: " + "9" * 5000)
@example("a: 1e999999")
@settings(max_examples=400, deadline=None)
def test_any_text_is_a_value_or_a_refusal(text):
    try:
        document = parse(text, "x.yml")
    except ConfigError as refused:
        assert all(problem.file == "x.yml" and problem.message for problem in refused.problems)
    else:
        assert isinstance(document.value, None | bool | int | float | str | list | dict)


texts = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")), max_size=8)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(values)
@settings(max_examples=200, deadline=None)
def test_json_is_yaml(value):
    assert parse(json.dumps(value, ensure_ascii=False), "x.yml").value == value
