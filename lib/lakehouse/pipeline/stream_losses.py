"""What a stream's source does not have any more: named before the stream starts, or accepted once and on record."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lakehouse.batches.step_errors import explained
from lakehouse.errors import DataError
from lakehouse.pipeline import progress
from lakehouse.pipeline.run_state import Run
from lakehouse.pipeline.stream_checkpoints import Checkpoint, drop_entry, offsets_at, offsets_of, rewrite_entry
from lakehouse.registry import call_options
from lakehouse.sources import Continued, StreamHooks
from lakehouse.storage import delete_tree, read_text

_COMMIT = 'v1\n{"nextBatchWatermarkMs":0}'
_SHOWN = 10  # partitions that a message names


def require_nothing_lost(run: Run, found: Checkpoint, hooks: StreamHooks) -> None:
    """Raises DataError naming what the stream can no longer read; under `--accept-loss` it goes on behind that instead.

    What the source notes of itself (the ids of its topics) is kept with the progress.
    """
    source = run.plan.source
    taken = _taken(run, found)
    with explained(run.plan, source):
        lost, known = hooks.go_on(Continued(taken, run.progress.seen), **call_options(source.entry, source.options))
    if lost and not run.accept_loss:
        raise DataError(
            f"{run.plan.name}: {_named(lost)}; to go on without what is lost, once and on record: "
            f"lakehouse run {run.plan.name} --accept-loss"
        )
    if lost:
        _go_on_behind(run, found, lost)
    run.progress = replace(run.progress, seen=known)


def _taken(run: Run, found: Checkpoint) -> Mapping[str, Mapping[str, int]] | None:
    """What the stream reads next: what the last batch ended with that need not be read again."""
    number = max(found.finished, min(found.planned, run.progress.batch))
    folder = f"{run.folder}/stream"
    return offsets_at(f"{folder}/offsets/{number}" if number >= 0 else f"{folder}/sources/0/0")


def _settled(run: Run, found: Checkpoint) -> int:
    """The last batch of which something is written: no later one may take its messages again."""
    begun = run.intent.batch if run.intent is not None else -1
    return max(found.finished, min(found.planned, max(run.progress.batch, begun)))


def _go_on_behind(run: Run, found: Checkpoint, lost: Sequence[Any]) -> None:
    """The checkpoint as if what is lost had been read, and the loss in the run record."""
    folder, number = f"{run.folder}/stream", _settled(run, found)
    if number < 0:
        delete_tree(folder)  # nothing was taken yet: it begins again
        run.progress = replace(run.progress, stream=None)
    else:
        entry = str(read_text(f"{folder}/offsets/{number}"))
        rewrite_entry(f"{folder}/offsets/{number}", _behind(entry, lost))
        if found.finished < number:
            rewrite_entry(f"{folder}/commits/{number}", _COMMIT)
        for later in range(number + 1, found.planned + 1):
            drop_entry(f"{folder}/offsets/{later}")
        run.progress = replace(run.progress, batch=max(run.progress.batch, number))
        run.save()
    progress.end(run.folder)
    run.intent = None
    notes = [f"loss accepted: {one}" for one in lost]
    run.record = replace(run.record, notes=(*run.record.notes, *notes))


def _behind(entry: str, lost: Sequence[Any]) -> str:
    """The entry with the first offset that is there in place of each that is gone."""
    lines = entry.split("\n")
    for index, line in enumerate(lines):
        offsets = offsets_of(line) if index else None
        if offsets:
            for one in lost:
                part = offsets.get(one.topic, {})
                part[str(one.partition)] = max(int(part.get(str(one.partition), 0)), one.earliest)
            for name in {one.topic for one in lost if one.is_anew}:  # it may have fewer partitions now
                offsets[name] = {str(one.partition): one.earliest for one in lost if one.topic == name}
            lines[index] = json.dumps(offsets)
    return "\n".join(lines)


def _named(lost: Sequence[Any]) -> str:
    more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
    return "; ".join(map(str, lost[:_SHOWN])) + more
