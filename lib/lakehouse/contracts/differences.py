"""Every difference between two versions of a contract, and whom it breaks: those who write its data, or those who read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lakehouse.config.contract import Contract, ContractField
from lakehouse.config.spark_types import Part, SparkType, spark_type, widens
from lakehouse.config.yaml_text import Path as KeyPath
from lakehouse.registry import length_of

Party = Literal["producers", "readers"]

NOBODY: frozenset[Party] = frozenset()
PRODUCERS: frozenset[Party] = frozenset({"producers"})
"""Data that the earlier version took is refused now."""
READERS: frozenset[Party] = frozenset({"readers"})
"""Who reads by the earlier version meets data that it did not allow, or misses what it promised."""
BOTH = PRODUCERS | READERS


@dataclass(frozen=True)
class Difference:
    """One difference: where it stands (in the earlier file for what is gone), what it is, and whom it breaks.

    `columns` are the names by which SQL would mention what differs; none where it is about no column. Of a column that
    is `missing` now a reader gets NULL, but SQL that mentions it fails.
    """

    path: KeyPath
    message: str
    breaks: frozenset[Party] = NOBODY
    columns: tuple[str, ...] = ()
    gone: bool = False
    missing: bool = False


def differences(old: Contract, new: Contract) -> list[Difference]:
    """What differs, in the order of the fields, then keys, rules and what is said of the contract as a whole."""
    return [*_fields(old, new), *_keys(old, new), *_rules(old, new), *_freshness(old, new), *_words(old, new)]


def _fields(old: Contract, new: Contract) -> Iterator[Difference]:
    before = {field.name.lower(): field for field in old.fields}
    after = {field.name.lower(): field for field in new.fields}
    old_keys, new_keys = ({key.lower() for key in contract.keys} for contract in (old, new))
    for index, field in enumerate(old.fields):
        if field.name.lower() not in after:
            yield _removed(field, index, required=field.required or field.name.lower() in old_keys)
    for index, field in enumerate(new.fields):
        earlier = before.get(field.name.lower())
        if earlier is None:
            required = field.required or field.name.lower() in new_keys
            what = "required field" if required else "optional field"
            breaks = PRODUCERS if required else NOBODY
            yield Difference(("fields", index), f"{what} '{field.name}' ({field.type}) added", breaks, (field.name,))
        else:
            yield from _field(earlier, field, index)
    kept = [[name for name in names if name in before and name in after] for names in (before, after)]
    if kept[0] != kept[1]:
        yield Difference(("fields",), "the fields stand in another order")


def _removed(field: ContractField, index: int, *, required: bool) -> Difference:
    """A reader gets NULL for a field that is gone: what it could always get before, unless the field was required."""
    what, breaks = ("required field", READERS) if required else ("optional field", NOBODY)
    return Difference(
        ("fields", index), f"{what} '{field.name}' removed", breaks, (field.name,), gone=True, missing=True
    )


def _field(old: ContractField, new: ContractField, index: int) -> Iterator[Difference]:
    path: KeyPath = ("fields", index)
    columns, name = (old.name,), f"'{new.name}'"
    if old.name != new.name:
        yield Difference((*path, "name"), f"'{old.name}' is spelled {name}; Spark takes both for one column")
    yield from _types(spark_type(old.type), spark_type(new.type), (old.name,), (*path, "type"))
    if old.required != new.required:
        said, breaks = ("is required now", PRODUCERS) if new.required else ("is no longer required", READERS)
        yield Difference((*path, "required"), f"{name} {said}", breaks, columns)
    yield from _allowed(old, new, path)
    yield from _bounds(old, new, path)
    yield from _pattern(old, new, path)
    yield from _references(old, new, path)
    if old.pii != new.pii:
        said = (
            "is personal (pii) now: its values are masked" if new.pii else "is no longer personal (pii): shown as it is"
        )
        yield Difference((*path, "pii"), f"{name} {said}", NOBODY, columns)
    if old.mask != new.mask:
        yield Difference(
            (*path, "mask"), f"{name} mask: {old.mask or 'none'} -> {new.mask or 'none'}", READERS, columns
        )
    if old.description != new.description:
        yield Difference((*path, "description"), f"{name} has another description", NOBODY, columns)


def _types(old: SparkType, new: SparkType, place: tuple[str, ...], path: KeyPath) -> Iterator[Difference]:
    """What differs between two types, at each place inside of them; `place` are the names down to it."""
    if old == new:
        return
    name, columns = f"'{'.'.join(place)}'", _mentioned(place)
    if old.name == new.name == "struct":
        yield from _structs(old, new, place, path)
    elif old.name == new.name and old.name in ("array", "map"):
        for before, after in zip(old.parts, new.parts, strict=True):
            yield from _types(before.type, after.type, (*place, before.name), path)
    elif widens(old, new):
        yield Difference(path, f"{name} type widened: {old} -> {new}", READERS, columns)
    elif widens(new, old):
        yield Difference(path, f"{name} type narrowed: {old} -> {new}", PRODUCERS, columns)
    else:
        yield Difference(path, f"{name} type changed: {old} -> {new}", BOTH, columns)


def _structs(old: SparkType, new: SparkType, place: tuple[str, ...], path: KeyPath) -> Iterator[Difference]:
    before, after = ({part.name.lower(): part for part in kind.parts} for kind in (old, new))
    for key, part in before.items():
        if key not in after:
            yield _nested(part, place, path, "removed", READERS, missing=True)
    for key, part in after.items():
        earlier = before.get(key)
        if earlier is None:
            yield _nested(part, place, path, f"({part.type}) added", PRODUCERS)
            continue
        if earlier.required != part.required:
            said, breaks = ("is required now", PRODUCERS) if part.required else ("is no longer required", READERS)
            here = (*place, part.name)
            yield Difference(path, f"'{'.'.join(here)}' {said}", breaks, _mentioned(here))
        yield from _types(earlier.type, part.type, (*place, part.name), path)
    kept = [[name for name in names if name in before and name in after] for names in (before, after)]
    if kept[0] != kept[1]:
        yield Difference(path, f"the fields of '{'.'.join(place)}' stand in another order")


def _nested(
    part: Part, place: tuple[str, ...], path: KeyPath, what: str, breaks: frozenset[Party], *, missing: bool = False
) -> Difference:
    """A field of a struct that came or went; only a required one breaks somebody by itself."""
    here = (*place, part.name)
    message = f"{'required' if part.required else 'optional'} field '{'.'.join(here)}' {what}"
    return Difference(path, message, breaks if part.required else NOBODY, _mentioned(here), missing=missing)


def _mentioned(nested: tuple[str, ...]) -> tuple[str, ...]:
    """How SQL would mention a field inside a struct: by its own name, or flattened."""
    names = [name for name in nested if name not in ("element", "key", "value")]
    return tuple(dict.fromkeys((names[-1], "_".join(names))))


def _allowed(old: ContractField, new: ContractField, path: KeyPath) -> Iterator[Difference]:
    path, columns = (*path, "allowed"), (old.name,)
    if old.allowed is None or new.allowed is None:
        if new.allowed is not None:
            yield Difference(path, f"'{new.name}' may only be one of {_listed(new.allowed)} now", PRODUCERS, columns)
        elif old.allowed is not None:
            yield Difference(path, f"'{new.name}' may be any value now", READERS, columns)
        return
    gone = [value for value in old.allowed if value not in new.allowed]
    more = [value for value in new.allowed if value not in old.allowed]
    if gone:
        yield Difference(path, f"'{new.name}' may no longer be {_listed(gone)}", PRODUCERS, columns)
    if more:
        yield Difference(path, f"'{new.name}' may be {_listed(more)} too", READERS, columns)


def _listed(values: list[str | int | float | bool]) -> str:
    return ", ".join(map(str, values))


def _bounds(old: ContractField, new: ContractField, path: KeyPath) -> Iterator[Difference]:
    for bound in ("min", "max"):
        before, after = getattr(old, bound), getattr(new, bound)
        if before == after:
            continue
        breaks = BOTH
        if before is None or after is None:
            breaks = PRODUCERS if before is None else READERS
        elif isinstance(before, str) == isinstance(after, str):
            breaks = PRODUCERS if (after > before) == (bound == "min") else READERS
        said = " -> ".join("none" if value is None else str(value) for value in (before, after))
        tighter = {PRODUCERS: "tightened", READERS: "loosened"}.get(breaks, "changed")
        yield Difference((*path, bound), f"'{new.name}' {bound} {tighter}: {said}", breaks, (old.name,))


def _pattern(old: ContractField, new: ContractField, path: KeyPath) -> Iterator[Difference]:
    """Two patterns cannot be compared: another one may refuse what was taken, and take what was refused."""
    if old.pattern != new.pattern:
        breaks = PRODUCERS if old.pattern is None else READERS if new.pattern is None else BOTH
        said = f"{old.pattern or 'none'} -> {new.pattern or 'none'}"
        yield Difference((*path, "pattern"), f"'{new.name}' pattern: {said}", breaks, (old.name,))


def _references(old: ContractField, new: ContractField, path: KeyPath) -> Iterator[Difference]:
    if old.references != new.references:
        breaks = PRODUCERS if old.references is None else READERS if new.references is None else BOTH
        said = f"{old.references or 'none'} -> {new.references or 'none'}"
        yield Difference((*path, "references"), f"'{new.name}' references: {said}", breaks, (old.name,))


def _keys(old: Contract, new: Contract) -> Iterator[Difference]:
    """Another key is another meaning of a row; the order of its columns is none."""
    if {key.lower() for key in old.keys} != {key.lower() for key in new.keys}:
        said = " -> ".join(", ".join(contract.keys) or "none" for contract in (old, new))
        yield Difference(("keys",), f"keys changed: {said}", BOTH, tuple(dict.fromkeys((*old.keys, *new.keys))))


def _rules(old: Contract, new: Contract) -> Iterator[Difference]:
    """Rules are compared as they stand: one that only warns breaks nobody."""
    for index, word in enumerate(old.rules):
        if word not in new.rules:
            breaks = NOBODY if _warns(word) else READERS
            yield Difference(("rules", index), f"rule {_rule_text(word)} removed", breaks, gone=True)
    for index, word in enumerate(new.rules):
        if word not in old.rules:
            breaks = NOBODY if _warns(word) else PRODUCERS
            yield Difference(("rules", index), f"rule {_rule_text(word)} added", breaks)


def _warns(word: dict[str, dict[str, object]]) -> bool:
    return next(iter(word.values())).get("on_fail") == "warn"


def _rule_text(word: dict[str, dict[str, object]]) -> str:
    name, options = next(iter(word.items()))
    return f"{name}{{{', '.join(f'{key}: {value}' for key, value in options.items())}}}"


def _freshness(old: Contract, new: Contract) -> Iterator[Difference]:
    before, after = (contract.sla.freshness if contract.sla else None for contract in (old, new))
    if before != after:
        said = f"{before or 'none'} -> {after or 'none'}"
        later = before is not None and (after is None or length_of(after) > length_of(before))
        yield Difference(("sla", "freshness"), f"freshness {said}", READERS if later else NOBODY)
    columns = [contract.sla.column if contract.sla else None for contract in (old, new)]
    if columns[0] != columns[1]:
        said = " -> ".join(column or "the last run" for column in columns)
        yield Difference(("sla", "column"), f"freshness is measured by another column: {said}")


def _words(old: Contract, new: Contract) -> Iterator[Difference]:
    """What is said for people."""
    for name in ("owner", "description", "classification", "compatibility", "tags"):
        before, after = getattr(old, name), getattr(new, name)
        if name == "tags":
            before, after = (", ".join(sorted(value)) or None for value in (before, after))
        if before != after:
            yield Difference((name,), f"{name}: {_or_none(before)} -> {_or_none(after)}", gone=after is None)


def _or_none(value: str | None) -> str:
    return "none" if value is None else " ".join(value.split())
