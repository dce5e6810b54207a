"""What is always true of a type 2 target, whatever arrived: the invariants I1 to I5."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from change_data_reference import NULL, Options, Rank, Row, rank, ranks


def counted(rows: Iterable[Row], columns: Sequence[str]) -> Counter[Rank]:
    """The rows as a multiset, compared as values are."""
    return Counter(ranks(row, columns) for row in rows)


def deletes(events: Iterable[Row], options: Options) -> set[tuple[Rank, Rank]]:
    """Key and sequence of each delete, the sequence as the target's bounds have it."""
    return {(ranks(event, options.keys), bound(event, options)) for event in events if options.apply_as_deletes(event)}


def bound(event: Row, options: Options) -> Rank:
    parts = ranks(event, options.sequence_by)
    return parts[0] if len(parts) == 1 else (1, parts)


def violations(
    rows: Iterable[Row],
    options: Options,
    gone: set[tuple[Rank, Rank]] | None = None,
    type_1: Sequence[Row] | None = None,
) -> list[str]:
    """Each broken invariant and its key; I4 where the deletes are given, I5 where the type 1 rows are."""
    start, end = options.start_column, options.end_column
    of_key: dict[Rank, list[tuple[Rank, Rank]]] = defaultdict(list)
    current = []
    for row in rows:
        of_key[ranks(row, options.keys)].append((rank(row[start]), rank(row[end])))
        if row[end] is None:
            current.append({name: value for name, value in row.items() if name not in (start, end)})
    found = [broken for key, bounds in of_key.items() for broken in broken_bounds(key, sorted(bounds), gone)]
    if type_1 is not None:
        columns = sorted({name for row in [*type_1, *current] for name in row})
        if counted(current, columns) != counted(type_1, columns):
            found.append("I5: the open rows are not the type 1 table")
    return found


def broken_bounds(key: Rank, bounds: Sequence[tuple[Rank, Rank]], gone: set[tuple[Rank, Rank]] | None) -> Iterator[str]:
    """I1 to I4 of one key's intervals, sorted."""
    if sum(last == NULL for _, last in bounds) > 1:
        yield f"I1: two open rows of {key}"
    if any(first == NULL or (last != NULL and first >= last) for first, last in bounds):
        yield f"I2: no start, or none before its end, of {key}"
    for (_, last), (first, _) in pairwise(bounds):
        if last == NULL or last > first:
            yield f"I3: rows of {key} overlap"
        elif gone is not None and last < first and (key, last) not in gone:
            yield f"I4: a gap of {key} without a delete"
