"""Which columns a change-data target has and what each is for, out of a sink's options and the frame's columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from lakehouse.errors import did_you_mean

PREVIOUS = "previous_"
CHANGED_AT = "_changed_at"
CURRENT = "is_current"


@dataclass(frozen=True)
class Selection:
    """One of the pairs of options that choose columns: all but `excluded`, or only `included`; neither is the default."""

    option: str
    included: Sequence[str] | None = None
    excluded: Sequence[str] | None = None

    def of(self, names: Sequence[str], *, default: bool) -> tuple[str, ...]:
        """The chosen ones of these columns; raises ValueError for a list that names another one."""
        if self.included is not None and self.excluded is not None:
            raise ValueError(
                f"'{self.option}column_list' and '{self.option}except_column_list' exclude each other; keep one"
            )
        given = self.included if self.included is not None else self.excluded
        if given is None:
            return tuple(names) if default else ()
        word = f"{self.option}{'' if self.included is not None else 'except_'}column_list"
        listed = set(spelled(given, names, word))
        return tuple(name for name in names if (name in listed) == (self.included is not None))


@dataclass(frozen=True)
class Options:
    """A change-data sink's options, as the YAML gives them."""

    keys: Sequence[str]
    sequence_by: Sequence[str]
    columns: Selection
    ignore_nulls: Selection
    tracked: Selection = Selection("track_history_")
    ignore_all_nulls: bool = False
    keep_previous: Sequence[str] = ()
    versioned: bool = False
    start: str = "__START_AT"
    end: str = "__END_AT"
    current_flag: bool = False
    state_retention: str | None = None

    def meaning(self) -> dict[str, object]:
        """What must stay as it is for the remembered events to make the same rows."""
        lists = {
            f"{chosen.option}{kind}column_list": list(names)
            for chosen in (self.tracked, self.ignore_nulls)
            for kind, names in (("", chosen.included), ("except_", chosen.excluded))
            if names is not None
        }
        return {
            "keys": list(self.keys), "sequence_by": list(self.sequence_by), "versions": self.versioned,
            "ignore_null_updates": self.ignore_all_nulls, "keep_previous": list(self.keep_previous),
            "start_column": self.start, "end_column": self.end, "current_flag": self.current_flag, **lists,
        }  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """What each column is for.

    `keys` name an entity, `kept` are the target's other columns of the source, in its order; of these `tracked` open a
    version, `filled` are not changed by a NULL, `previous` remember their last value. `sequence` orders the events and
    need not be kept.
    """

    keys: tuple[str, ...]
    sequence: tuple[str, ...]
    kept: tuple[str, ...]
    tracked: tuple[str, ...]
    filled: tuple[str, ...]
    previous: tuple[str, ...]
    versioned: bool
    start: str
    end: str
    current: str | None

    def without(self, names: Collection[str]) -> Shape:
        """The same of a target that does not keep these columns."""
        kept, tracked, filled, previous = (
            tuple(name for name in chosen if name not in names)
            for chosen in (self.kept, self.tracked, self.filled, self.previous)
        )
        return replace(self, kept=kept, tracked=tracked, filled=filled, previous=previous)

    @property
    def own(self) -> tuple[str, ...]:
        """The columns that the sink adds."""
        beside = [f"{PREVIOUS}{name}" for name in self.previous] + [f"{name}{CHANGED_AT}" for name in self.previous]
        bounds = [self.start, self.end] if self.versioned else []
        return (*beside, *bounds, *([self.current] if self.current else []))

    @property
    def identity(self) -> tuple[str, ...]:
        """What names one row of the target."""
        return (*self.keys, self.start) if self.versioned else self.keys

    @property
    def remembers_all(self) -> bool:
        """True where more than the newest event of a key decides its row."""
        return self.versioned or bool(self.filled) or bool(self.previous)


def shaped(options: Options, columns: Sequence[str], known: Sequence[str]) -> Shape:
    """The options over a frame's columns; `known` are those that earlier batches had.

    Raises ValueError for what makes no sense: no key, an unknown column, a dropped key, lists that contradict.
    """
    if not options.sequence_by:
        raise ValueError("'sequence_by' is empty; name the columns that order the events of a key")
    there = {name.lower() for name in columns}
    names = [*columns, *(name for name in known if name.lower() not in there)]
    keys = keys_of(options.keys, columns)
    kept = kept_columns(options.columns, names, keys)
    shape = Shape(
        keys,
        spelled(options.sequence_by, columns, "sequence_by"),
        kept,
        options.tracked.of(kept, default=True),
        kept if options.ignore_all_nulls else options.ignore_nulls.of(kept, default=False),
        spelled(options.keep_previous, kept, "keep_previous"),
        options.versioned,
        options.start,
        options.end,
        CURRENT if options.current_flag else None,
    )
    require_no_clash(shape.own, (*keys, *kept))
    return shape


def keys_of(keys: Sequence[str], columns: Sequence[str]) -> tuple[str, ...]:
    """The key columns as the frame spells them; raises ValueError where there is none."""
    if not keys:
        raise ValueError("'keys' is empty; name the columns that tell one entity from another")
    return spelled(keys, columns, "keys")


def kept_columns(chosen: Selection, names: Sequence[str], keys: Sequence[str]) -> tuple[str, ...]:
    """The columns beside the keys that the target keeps; raises ValueError where a key is dropped."""
    dropped = set(spelled(chosen.excluded or (), names, "except_column_list")) & set(keys)
    if dropped:
        raise ValueError(f"'except_column_list' drops the key {', '.join(sorted(dropped))}; keys stay")
    return tuple(name for name in chosen.of(names, default=True) if name not in keys)


def require_no_clash(own: Sequence[str], names: Iterable[str]) -> None:
    """Raises ValueError where a column of the source is named like one that the sink adds."""
    names_of_own = [name.lower() for name in own]
    taken = set(names_of_own)
    if len(taken) < len(names_of_own):
        raise ValueError(f"the sink's own columns need different names; they are {', '.join(own)}")
    clash = [name for name in names if name.lower() in taken]
    if clash:
        raise ValueError(
            f"the source's column '{clash[0]}' is named like one that the sink adds; "
            "rename it, or leave it out with except_column_list"
        )


def spelled(names: Iterable[str], columns: Sequence[str], option: str) -> tuple[str, ...]:
    """The names as the columns spell them; raises ValueError for one that is none of them."""
    by_lower = {name.lower(): name for name in columns}
    missing = [name for name in names if name.lower() not in by_lower]
    if missing:
        raise ValueError(
            f"'{option}' names '{missing[0]}', which is no column here.{did_you_mean(missing[0], columns)}"
        )
    return tuple(dict.fromkeys(by_lower[name.lower()] for name in names))
