"""The files of a new job as text: its YAML, contract, script and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from lakehouse.config.variables import escaped
from lakehouse.config.yaml_text import yaml_line
from lakehouse.new_files.inference import Suggested, suggested
from lakehouse.new_files.samples import Sample

SCHEMAS = ".schemas"
"""The folder of the JSON Schemas in a project."""

_MADE_UP = {
    "boolean": (True, False), "date": ("2026-01-01", "2026-01-02"), "string": ("a", "b"),
    "timestamp": ("2026-01-01 08:00:00", "2026-01-02 08:00:00"),
    "timestamp_ntz": ("2026-01-01 08:00:00", "2026-01-02 08:00:00"),
}  # fmt: skip
_NUMBERS = ("bigint", "int", "smallint", "tinyint", "double", "float", "decimal")


def job_files(name: str, layer: str, sample: Sample) -> dict[str, str]:
    """The job's files by their paths in the project; bronze keeps rows as they come, and has no contract."""
    said = suggested(sample)
    files = {
        f"conf/{name}.yml": _job(name, layer, sample, said),
        f"jobs/{name}.py": _script(name, layer),
        f"tests/jobs/{name}.yml": _test(name, layer, sample, said),
    }
    return files if layer == "bronze" else {**files, f"conf/contracts/{name}.yml": _contract(name, sample, said)}


def schema_line(kind: str, depth: int) -> str:
    """The first line by which an editor knows what a file may say."""
    return f"# yaml-language-server: $schema={'../' * depth}{SCHEMAS}/{kind}.json\n"


def table_of(name: str, layer: str) -> str:
    """The table that a job of this name writes."""
    return f"{layer}.{name.removeprefix(f'{layer}_')}"


def _job(name: str, layer: str, sample: Sample, said: Suggested) -> str:
    lines = [
        schema_line("job", 1),
        f"# conf/{name}.yml\n",
        f"layer: {layer}\n",
        f"description: {_sentence(layer, said)}\n",
    ]
    lines += ["source:\n", f"  {_source(sample)}\n"]
    if layer != "bronze":
        lines.append(f"contract: {name}\n")
    return "".join([*lines, "sink:\n", f"  {_sink(table_of(name, layer), layer, said)}\n"])


def _sentence(layer: str, said: Suggested) -> str:
    if layer == "bronze":
        return "Every row as it came."
    return f"One typed, valid row per {', '.join(said.keys)}." if said.keys else "Every valid row, typed."


def _source(sample: Sample) -> str:
    if sample.format is None:
        return f"delta: {{table: {sample.place}}}"
    return f"files: {yaml_line(escaped({'path': sample.place, 'format': sample.format}))}"


def _sink(table: str, layer: str, said: Suggested) -> str:
    if layer == "gold":
        return f"overwrite: {{table: {table}}}"
    if layer == "bronze" or not said.keys:
        return f"append: {{table: {table}}}"
    sequence = {"sequence_by": [said.sequence]} if said.sequence else {}
    return f"merge: {yaml_line({'table': table, 'keys': list(said.keys), **sequence})}"


def _contract(name: str, sample: Sample, said: Suggested) -> str:
    rows = f"{len(sample.rows):,} rows of {sample.place}"
    fields = "".join(f"  - {yaml_line(escaped(field))}\n" for field in said.fields)
    keys = f"keys: {yaml_line(list(said.keys))}\n" if said.keys else ""
    return (
        f"{schema_line('contract', 2)}# conf/contracts/{name}.yml - from {rows}: take out what only happened to be so.\n"
        f"name: {name}\nversion: 1.0.0\ndescription: One row of {sample.place}.\n{keys}fields:\n{fields}"
    )


def _script(name: str, layer: str) -> str:
    title = f"{layer.capitalize()} {name.removeprefix(f'{layer}_').replace('_', ' ')}"
    return (
        f'"""{title}: see conf/{name}.yml."""\n\nfrom lakehouse import main\n\n'
        'if __name__ == "__main__":\n    raise SystemExit(main(__file__))\n'
    )


def _test(name: str, layer: str, sample: Sample, said: Suggested) -> str:
    """Made-up rows, no row of the data: a test is read by many, and kept for ever."""
    typed = [{field["name"]: _value(field, turn) for field in said.fields if _is_plain(field)} for turn in (0, 1)]
    came = [{key: _as_it_comes(value, sample.types[key]) for key, value in row.items()} for row in typed]
    is_text = layer == "bronze" and sample.format in ("csv", "json")
    kept = [{key: _as_it_comes(value, "string") for key, value in row.items()} for row in came] if is_text else typed
    lines = [schema_line("job_test", 2), f"# tests/jobs/{name}.yml\n", "tests:\n"]
    lines += ["  - name: rows that are valid are kept, and a second run changes nothing\n", "    given:\n"]
    lines += [*_given(sample, came), "    when: rerun\n", "    expect:\n", "      rows:\n"]
    lines += [f"        {table_of(name, layer)}:\n", *(f"          - {yaml_line(row)}\n" for row in kept)]
    return "".join([*lines, "      quarantine: []\n"])


def _given(sample: Sample, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    items = [f"          - {yaml_line(row)}\n" for row in rows]
    if sample.format is None:
        return ["      rows:\n", f"        {sample.place}:\n", *items]
    return ["      files:\n", f"        {yaml_line(_file_name(sample))}:\n", *items]


def _file_name(sample: Sample) -> str:
    """A name that the source reads: the only file's own, or one that fits the glob."""
    parts = PurePosixPath(sample.place).parts
    globbed = next((place for place, part in enumerate(parts) if set("*?") & set(part)), None)
    if globbed is not None:
        return "/".join(parts[globbed:]).replace("*", "made_up").replace("?", "x")
    is_file = parts[-1].lower().endswith((".csv", ".json", ".jsonl", ".ndjson", ".parquet"))
    return parts[-1] if is_file else f"made_up.{sample.format}"


def _is_plain(field: Mapping[str, Any]) -> bool:
    """True for a column for which a value can be made up: no struct, no array."""
    kind = str(field["type"]).partition("(")[0]
    return kind in _MADE_UP or kind in _NUMBERS


def _value(field: Mapping[str, Any], turn: int) -> Any:
    kind = str(field["type"]).partition("(")[0]
    if field.get("allowed"):
        return field["allowed"][turn % len(field["allowed"])]
    return _MADE_UP[kind][turn] if kind in _MADE_UP else turn + 1


def _as_it_comes(value: Any, kind: str) -> Any:
    """The value in the source's own type: text, where that is what its files hold."""
    if kind != "string" or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)
