"""Spark's types as their DDL says them, without Spark: read, spelled in one way, and compared by what fits into what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(r"\s*(`(?:[^`]|``)*`|'(?:[^'\\]|\\.)*'|[A-Za-z_0-9]+|[<>(),:])")
_SPELLINGS = {
    "byte": "tinyint", "short": "smallint", "integer": "int", "long": "bigint", "real": "float", "dec": "decimal",
    "numeric": "decimal", "character": "char", "timestamp_ltz": "timestamp",
}  # fmt: skip
_PLAIN = {
    "boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "decimal", "date", "timestamp",
    "timestamp_ntz", "time", "string", "char", "varchar", "binary", "void", "variant",
}  # fmt: skip
_DIGITS = {"tinyint": 10, "smallint": 10, "int": 10, "bigint": 20}  # Delta asks a decimal for so many before the point
_WHOLE = tuple(_DIGITS)


@dataclass(frozen=True)
class SparkType:
    """A type under its one spelling: `numbers` of decimal(p,s) or varchar(n), `parts` of a struct, array or map.

    Text that is none of the types known here is a type of that name, equal to itself alone.
    """

    name: str
    numbers: tuple[int, ...] = ()
    parts: tuple[Part, ...] = ()

    def __str__(self) -> str:
        """The type as DDL."""
        if self.name == "struct":
            return f"struct<{', '.join(map(str, self.parts))}>"
        if self.parts:
            return f"{self.name}<{','.join(str(part.type) for part in self.parts)}>"
        return f"{self.name}({','.join(map(str, self.numbers))})" if self.numbers else self.name


@dataclass(frozen=True)
class Part:
    """A field of a struct, the element of an array, or the key or value of a map."""

    name: str
    type: SparkType
    required: bool = False

    def __str__(self) -> str:
        """The field as DDL."""
        name = self.name if re.fullmatch(r"[A-Za-z_]\w*", self.name) else "`" + self.name.replace("`", "``") + "`"
        return f"{name}: {self.type}{' NOT NULL' if self.required else ''}"


def spark_type(text: str) -> SparkType:
    """The type that a DDL text names."""
    try:
        reader = _Reader(text)
        found = reader.type()
        reader.end()
    except ValueError:
        return SparkType(" ".join(text.lower().split()))
    return found


def is_known(kind: SparkType) -> bool:
    """True for a type that Spark has."""
    return kind.name in {*_PLAIN, "struct", "array", "map"}


def widens(old: SparkType, new: SparkType) -> bool:
    """True where every value of the old type is one of the new one too, and a Delta column can become it in place."""
    if old.name in _WHOLE:
        if new.name == "decimal":
            return new.numbers[0] - new.numbers[1] >= _DIGITS[old.name]
        later = _WHOLE[_WHOLE.index(old.name) + 1 :]
        return new.name in later or (new.name == "double" and old.name != "bigint")
    if old.name == new.name == "decimal":
        more, finer = (after - before for before, after in zip(old.numbers, new.numbers, strict=True))
        return more >= finer >= 0 and old != new
    if old.name in ("char", "varchar"):
        return new.name == "string" or (new.name == "varchar" and new.numbers > old.numbers)
    return (old.name, new.name) in (("float", "double"), ("date", "timestamp_ntz"))


class _Reader:
    """The words of a DDL text, one after the other; raises ValueError where they are no type."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_words(text))
        self._place = 0

    def end(self) -> None:
        if self._place < len(self._tokens):
            raise ValueError(f"'{self._tokens[self._place]}' is too much")

    def type(self) -> SparkType:
        word = self._next().lower()
        name = _SPELLINGS.get(word, word)
        if name == "array":
            (element,) = self._within()
            return SparkType(name, parts=(Part("element", element),))
        if name == "map":
            key, value = self._within()
            return SparkType(name, parts=(Part("key", key), Part("value", value)))
        if name == "struct":
            return SparkType(name, parts=tuple(self._fields()))
        if name not in _PLAIN:
            raise ValueError(f"'{word}' is no type")
        numbers = self._numbers()
        if name == "decimal":
            numbers = (*(numbers or (10,)), 0)[:2]
        return SparkType(name, numbers)

    def _within(self) -> list[SparkType]:
        self._expect("<")
        found = [self.type()]
        while self._peek() == ",":
            self._next()
            found.append(self.type())
        self._expect(">")
        return found

    def _fields(self) -> Iterator[Part]:
        self._expect("<")
        while self._peek() != ">":
            name = self._next()
            if self._peek() == ":":
                self._next()
            kind = self.type()
            yield Part(name[1:-1].replace("``", "`") if name[0] == "`" else name, kind, self._not_null())
            if self._peek() == ",":
                self._next()
        self._expect(">")

    def _not_null(self) -> bool:
        """What may follow a field's type: NOT NULL, and a comment, which says nothing of its values."""
        required = self._peek().lower() == "not"
        if required:
            self._next()
            self._expect("null")
        if self._peek().lower() == "comment":
            self._next()
            self._next()
        return required

    def _numbers(self) -> tuple[int, ...]:
        if self._peek() != "(":
            return ()
        self._next()
        found = [int(self._next())]
        while self._peek() == ",":
            self._next()
            found.append(int(self._next()))
        self._expect(")")
        return tuple(found)

    def _peek(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _next(self) -> str:
        word = self._peek()
        if not word:
            raise ValueError("the type ends too early")
        self._place += 1
        return word

    def _expect(self, word: str) -> None:
        if self._next().lower() != word:
            raise ValueError(f"'{word}' is missing")


def _words(text: str) -> Iterator[str]:
    place = 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"'{text[place:]}' is no part of a type")
        yield match[1]
        place = match.end()
