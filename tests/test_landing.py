"""Files on their way in, without Spark: what a look finds, how the ledger grows, what a move into an archive leaves."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from lakehouse import storage
from lakehouse.errors import DataError, SinkError
from lakehouse.landing import archive
from lakehouse.landing.looks import batches, file_now, look_at, require_as_taken, whole_files
from lakehouse.landing.taken import Taken
from lakehouse.pipeline import ledger, progress
from lakehouse.pipeline.progress import Progress
from lakehouse.storage import FileInfo, write_text


def names(place: str, folder: str) -> list[str]:
    return [file.path.removeprefix(f"{place}/{folder}/") for file in storage.list_files(f"{place}/{folder}")]


def as_taken(files: list[FileInfo]) -> dict[str, Taken]:
    return {file.path: Taken(file.size, file.modified, file.etag) for file in files}


def pinned(files: list[FileInfo], most: int | None = None, seen: dict[str, str] | None = None) -> list[list[str]]:
    return [[Path(row[0]).name for row in pin["files"]] for pin in batches(files, most, seen)]


# --- what a look finds


def test_a_look_leaves_what_is_unfinished_hidden_or_archived(place):
    for name in ("1.csv", "2.csv.part", "3.tmp", "4.csv._COPYING_", "_5.csv", ".6.csv", "sub/7.csv", "done/8.csv"):
        write_text(f"{place}/in/{name}", name)
    apart = archive.inside(f"{place}/in", f"{place}/in/done")
    found = [file.path.removeprefix(f"{place}/in/") for file in whole_files(f"{place}/in", apart)]
    assert found == ["1.csv", "sub/7.csv"]
    assert [file.path for file in whole_files(f"{place}/in/2.csv.part")] == [
        f"{place}/in/2.csv.part"
    ]  # asked for by name


def test_a_look_tells_new_files_from_those_that_are_done_or_rewritten(place):
    for name in ("a", "b", "c", "d"):
        write_text(f"{place}/in/{name}.csv", name)
    first = look_at(f"{place}/in", {})
    assert (first.listed, len(first.new)) == (4, 4)
    taken = as_taken(list(first.new))
    bad = f"{place}/in/d.csv"
    taken |= {bad: replace(taken[bad], bad=True, size=99)}
    taken.pop(f"{place}/in/a.csv")
    write_text(f"{place}/in/c.csv", "C")  # of the same size; on S3 perhaps within the same second
    os.utime(f"{place}/in/c.csv", (1, 1)) if place.startswith("/") else None
    found = look_at(f"{place}/in", taken)
    told = [[Path(file.path).stem for file in files] for files in (found.new, found.rewritten, found.done)]
    assert told == [["a"], ["c"], ["b"]]  # and d waits for its replay
    with pytest.raises(DataError, match=r"1 file was rewritten since taken \(.*/in/c\.csv\); give new data a new name"):
        require_as_taken(found.rewritten)


def test_files_younger_than_min_age_wait(tmp_path):
    for name, age in (("old.csv", 3600), ("young.csv", 5)):
        file = tmp_path / name
        file.write_text("a\n1\n")
        at = file.stat().st_mtime - age
        os.utime(file, (at, at))
    assert [Path(file.path).name for file in look_at(str(tmp_path), {}, min_age=60).new] == ["old.csv"]
    assert len(look_at(str(tmp_path), {}).new) == 2


def test_a_file_that_changed_or_went_since_it_was_listed_is_left_out_just_before_its_turn(tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.csv").write_text("a\n1\n")
    pins = batches(list(look_at(str(tmp_path), {}).new), 2, None)
    first = next(pins)
    assert [Path(row[0]).name for row in first["files"]] == ["0.csv", "1.csv"]
    (tmp_path / "2.csv").write_text("a\n1\n2\n")
    (tmp_path / "3.csv").unlink()
    second = next(pins)
    assert [Path(row[0]).name for row in second["files"]] == ["4.csv"]
    assert second["_notes"] == [f"{tmp_path}/3.csv was listed, and was gone before it was read"]
    assert [Path(file.path).name for file in look_at(str(tmp_path), {}).new] == ["0.csv", "1.csv", "2.csv", "4.csv"]


def test_the_same_content_is_found_by_its_hash_within_a_batch_across_batches_and_runs(place):
    for name, text in {"1": "x", "2": "y", "3": "x", "4": "z", "5": "y", "6": "z"}.items():
        write_text(f"{place}/in/{name}.csv", text)
    files, seen = list(look_at(f"{place}/in", {}).new), {}
    assert pinned(files, 2, seen) == [["1.csv", "2.csv"], ["4.csv"]]
    last = list(batches(files[4:], None, dict(seen)))
    assert [row[0] for row in last[0]["same"]] == [f"{place}/in/5.csv", f"{place}/in/6.csv"]
    assert last[0]["files"] == []
    assert last[0]["_notes"][0] == f"{place}/in/5.csv holds what {place}/in/2.csv held: it was not read"
    assert pinned(files, 2) == [["1.csv", "2.csv"], ["3.csv", "4.csv"], ["5.csv", "6.csv"]]


# --- the ledger


def test_a_ledger_of_many_batches_is_read_back_whole(tmp_path):
    state, folder = Progress("id"), str(tmp_path)
    for batch in range(120):
        files = {f"/in/{batch:03}-{number}.csv": Taken(1, number, bad=number == 7) for number in range(50)}
        before, state = state, replace(ledger.with_taken(folder, state, files), batch=batch)
        progress.save(folder, state)
        ledger.drop_old_parts(folder, state, before)
    found = progress.load(folder)[0]
    assert found.taken == state.taken
    assert len(found.taken) == 6_000
    assert sorted(name.name for name in (tmp_path / "files").iterdir()) == sorted(
        part.name.removeprefix("files/") for part in found.parts
    )
    assert len(found.parts) <= 5
    # as older versions wrote it
    old = {"id": "x", "batch": 3, "taken": {"/in/a.csv": [3, 4]}, "evidence": [], "targets": []}
    progress.write_object(f"{folder}/old/progress.json", old)
    assert progress.load(f"{folder}/old")[0].taken == {"/in/a.csv": Taken(3, 4)}


def test_a_part_of_the_ledger_that_is_gone_or_damaged_is_a_refusal(tmp_path):
    folder = str(tmp_path)
    state = ledger.with_taken(folder, Progress("id"), {f"/in/{number}": Taken(1, 1) for number in range(2_000)})
    progress.save(folder, state)
    part = tmp_path / state.parts[0].name
    whole = part.read_text()
    other = ledger.with_taken(folder, Progress("id"), {f"/in/{number}": Taken(2, 2) for number in range(2_000)})
    for text in (whole[:-20], whole.replace("/in/1999", "/in/1998"), "", (tmp_path / other.parts[0].name).read_text()):
        part.write_text(text)
        with pytest.raises(
            SinkError, match=r"(is damaged|is not what this job wrote): restore it, or run the job with"
        ):
            progress.load(folder)
    part.unlink()
    with pytest.raises(SinkError, match="is gone: restore it"):
        progress.load(folder)


def test_the_ledger_of_many_files_costs_no_more_by_the_file(tmp_path, monkeypatch):
    written = []

    def counted(path, text):
        written.append(len(text))
        write_text(path, text)

    def cost(batches: int) -> float:
        written.clear()
        state, folder = Progress("id"), str(tmp_path / str(batches))
        for batch in range(batches):
            files = {f"/in/{batch:05}-{number:03}.csv": Taken(1, number) for number in range(100)}
            state = replace(ledger.with_taken(folder, state, files), batch=batch)
            progress.save(folder, state)
        return sum(written) / (batches * 100)

    monkeypatch.setattr(progress, "write_text", counted)
    few, many = cost(25), cost(200)
    assert many < 2 * few  # all of it after each batch would be eight times as much


# --- the archive


def test_done_files_go_into_the_archive_under_their_names_and_a_changed_one_stays(place):
    for name in ("in/1.csv", "in/sub/2.csv", "in/3.csv"):
        write_text(f"{place}/{name}", name)
    files = storage.list_files(f"{place}/in")
    write_text(f"{place}/in/3.csv", "changed meanwhile")
    archive.move_done(f"{place}/in", f"{place}/done", files)
    assert (names(place, "in"), names(place, "done")) == (["3.csv"], ["1.csv", "sub/2.csv"])
    archive.move_done(f"{place}/in", f"{place}/done", files)  # they are gone: nothing to do
    assert (names(place, "in"), names(place, "done")) == (["3.csv"], ["1.csv", "sub/2.csv"])


def test_a_name_that_the_archive_has_is_kept_beside_it_with_its_time(place):
    for text in ("monday", "a tuesday"):
        write_text(f"{place}/in/orders.csv.gz", text)
        archive.move_done(f"{place}/in", f"{place}/done", storage.list_files(f"{place}/in"))
    found = names(place, "done")
    assert names(place, "in") == []
    assert len(found) == 2
    assert "orders.csv.gz" in found
    assert all(name.startswith("orders.") and name.endswith(".csv.gz") for name in found)
    assert {storage.read_text(f"{place}/done/{name}") for name in found} == {"monday", "a tuesday"}


def test_a_crash_between_copy_and_delete_leaves_one_file_after_the_next_move(place):
    write_text(f"{place}/in/1.csv", "rows")
    files = storage.list_files(f"{place}/in")
    archive.move_done(f"{place}/in", f"{place}/done", files)
    copy = file_now(f"{place}/done/1.csv")
    write_text(f"{place}/in/1.csv", "rows")  # as if it had not been deleted yet
    if place.startswith("/"):
        os.utime(f"{place}/in/1.csv", ns=(copy.modified * 1_000_000,) * 2)
    left = storage.list_files(f"{place}/in")
    kept, others = archive.archived(f"{place}/in", f"{place}/done", left)
    assert ([file.path for file in kept], others) == ([f"{place}/done/1.csv"], [])  # not read twice
    archive.move_done(f"{place}/in", f"{place}/done", left)
    assert (names(place, "in"), names(place, "done")) == ([], ["1.csv"])


def test_an_archive_that_is_the_source_or_above_it_or_elsewhere_is_refused():
    for path, place in (("/in", "/in"), ("/in/a", "/in"), ("/in/a/*.csv", "/in/a"), ("/in/b/../a", "/in/a")):
        with pytest.raises(ValueError, match="'archive' is the folder of 'path', or one above it"):
            archive.require_apart(path, place)
    with pytest.raises(ValueError, match="must be in the store of 'path'"):
        archive.require_apart("/in", "s3a://lake/done")
    archive.require_apart("/in", "/in/done")
    archive.require_apart("/inbox", "/in")
    assert archive.inside("/x/../in/*.csv", "/in/done") == "/x/../in/done"


def test_a_file_that_cannot_be_moved_is_named(tmp_path):
    write_text(f"{tmp_path}/in/1.csv", "rows")
    write_text(f"{tmp_path}/done", "a file where the archive should be")
    with pytest.raises(SinkError, match=r"in/1\.csv is done, and cannot be moved to .*/done/1\.csv: "):
        archive.move_done(f"{tmp_path}/in", f"{tmp_path}/done", storage.list_files(f"{tmp_path}/in"))
