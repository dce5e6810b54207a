"""What the command line prints: progress while jobs run, tables of runs, a job's hops, broken rows."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from lakehouse import registry
from lakehouse.planning.graph import Result
from lakehouse.planning.plan import Plan, SinkStep, Step
from lakehouse.runs import RunRecord, query
from lakehouse.tables import Layout
from lakehouse.terminal import cut, fitted, is_coloured, is_live, painted, width

_SUBSCRIPT = "|/-\\"


class Progress:
    """A live line per running job on a terminal; elsewhere one line per job that ended."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet, self.is_live = quiet, is_live(sys.stderr)
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._jobs: dict[str, tuple[float, str]] = {}
        self._note, self._shown = "", 0
        self._thread = threading.Thread(target=self._draw, daemon=True)

    def __enter__(self) -> Progress:
        if self.is_live:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self.is_live:
            self._thread.join(1)
            self._clear()

    def note(self, text: str) -> None:
        """What goes on while no job runs."""
        self._note = text

    def started(self, job: str) -> None:
        """A job began."""
        with self._lock:
            self._jobs[job] = (time.monotonic(), "")

    def update(self, job: str, text: str) -> None:
        """A job has something to say; nothing leaves what it said before."""
        with self._lock:
            if text and job in self._jobs:
                self._jobs[job] = (self._jobs[job][0], text)

    def ended(self, result: Result) -> None:
        """A job ended: its line stays."""
        with self._lock:
            self._jobs.pop(result.job, None)
            self._clear()
            if not self._quiet:
                print(run_line(result), file=sys.stderr, flush=True)

    def _draw(self) -> None:
        turn = 0
        while not self._stop.wait(0.2):
            turn += 1
            with self._lock:
                self._clear()
                now, mark = time.monotonic(), _SUBSCRIPT[turn % 4]
                lines = [f"{mark} {job}  {now - began:.0f} s  {text}" for job, (began, text) in self._jobs.items()]
                lines = lines or ([f"{mark} {self._note}"] if self._note else [])
                most = shutil.get_terminal_size().columns - 1
                sys.stderr.write("".join(f"{line[:most]}\n" for line in lines))
                sys.stderr.flush()
                self._shown = len(lines)

    def _clear(self) -> None:
        if self.is_live and self._shown:
            sys.stderr.write(f"\x1b[{self._shown}A\x1b[J")
            self._shown = 0


def run_line(result: Result) -> str:
    """One job's end in one line."""
    if result.skipped_for is not None:
        return f"skipped    {result.job}: {result.skipped_for} failed"
    if result.record is None:
        return f"failed     {result.job}: {str(result.error).splitlines()[0] if str(result.error) else type(result.error).__name__}"
    record = result.record
    made = [
        item.name if item.version is None else f"{item.name}@{item.version}"
        for item in record.outputs
        if item.version is not None or item.rows
    ]
    version = ", ".join(made) or "nothing new"
    counts = {name: getattr(record, f"rows_{name}") for name in ("quarantined", "late", "open")}
    broken = "".join(f", {count:,} {name}" for name, count in counts.items() if count)
    return f"{record.state}  {record.job}: {record.rows_read:,} rows in, {record.rows_to_sink:,} out{broken}, {record.seconds:.1f} s, {version}"


def runs_table(results: Sequence[Result]) -> str:
    """A row a job: what came in, what went out, what broke."""
    rows = []
    for result in results:
        record = result.record
        if record is None:
            rows.append([result.job, "skipped" if result.skipped_for else "failed", "", "", "", "", ""])
        else:
            version = next((str(item.version) for item in record.outputs if item.version is not None), "-")
            counts = [f"{getattr(record, name):,}" for name in ("rows_read", "rows_to_sink", "rows_quarantined")]
            rows.append([record.job, record.state, *counts, f"{record.seconds:.1f}", version])
    return table(["job", "state", "rows in", "rows out", "quarantined", "seconds", "version"], rows)


def records_table(records: Sequence[RunRecord]) -> str:
    """A row a run, newest first."""
    rows = [
        [item.run_id, item.job, item.state, f"{item.rows_read:,}", f"{item.rows_to_sink:,}", f"{item.rows_quarantined:,}",
         f"{item.seconds:.1f}", (item.error or "")[:60]]
        for item in records
    ]  # fmt: skip
    return table(["run", "job", "state", "rows in", "rows out", "quarantined", "seconds", "error"], rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, cut where a terminal's window is narrower; numbers to the right."""
    widths = fitted([max(len(str(row[index])) for row in (head, *rows)) for index in range(len(head))], width())
    numeric = [all(_is_number(row[index]) for row in rows) for index in range(len(head))]
    lines = [[cut(str(cell), most).rjust(most) if right else cut(str(cell), most).ljust(most)
              for cell, most, right in zip(row, widths, numeric, strict=True)]
             for row in (head, ["-" * most for most in widths], *rows)]  # fmt: skip
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _is_number(text: str) -> bool:
    return not text.strip("0123456789,.- ")


def plan_text(plan: Plan) -> str:
    """Every hop of a job, as `lakehouse plan` shows it."""
    config = plan.job.config
    lines = [f"{plan.name} ({config.layer}): {config.description or ''}".rstrip(": ")]
    lines.append(f"  read       {_step_text(plan.source)} ({plan.read})")
    if plan.looked_up:
        lines.append(f"  inputs     {', '.join(plan.looked_up)}")
    if plan.contract is not None:
        lines.append(f"  contract   {plan.contract.name} {plan.contract.version}: {len(plan.contract.fields)} fields")
    lines += [f"  rule       {rule.name}: {rule.settings.on_fail}" for rule in plan.rules]
    lines += [f"  transform  {_step_text(step)}" for step in plan.transforms]
    if plan.suite is not None:
        lines.append(f"  suite      {plan.suite.file}: {len(plan.suite.expectations)} expectations")
    lines += [
        f"  write      {_step_text(sink.step)}{_layout_text(sink)}" + (f" where {sink.where}" if sink.where else "")
        for sink in plan.sinks
    ]
    lines += [f"  watermark  {name or 'source'}: {item.column}, {item.delay}" for name, item in plan.watermarks.items()]
    lines.append(f"  broken     {plan.quarantine}")
    if plan.state is not None:
        lines.append(f"  late       {'into their windows' if plan.merges_late else plan.late}")
    return "\n".join(lines)


def _step_text(step: Step) -> str:
    options = ", ".join(f"{name}: {_short(value)}" for name, value in step.shown.items())
    return f"{step.name} {{{options}}}" if options else step.name


def _layout_text(sink: SinkStep) -> str:
    given = {"partitioned": sink.settings.partition_by, "clustered": sink.settings.cluster_by}
    return "".join(f" {how} by {', '.join(columns)}" for how, columns in given.items() if columns)


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 70 else f"{text[:67]}..."


def jobs_table(plans: Sequence[Plan]) -> str:
    """A row a job, in run order."""
    rows = [
        [
            item.name,
            ", ".join(item.inputs) or item.source.name,
            ", ".join(item.outputs),
            item.job.config.description or "",
        ]
        for item in plans
    ]
    return table(["job", "reads", "writes", "description"], rows)


def words_page(kind: registry.Kind) -> str:
    """Every registered word of a kind with its options, from the code itself; rules of both kinds together."""
    kinds: tuple[registry.Kind, ...] = ("rule", "set_rule") if kind == "rule" else (kind,)
    blocks = []
    for entry in [entry for one in kinds for entry in registry.known(one)]:
        options = []
        for info in entry.options.model_fields.values():
            default = "" if info.is_required() else f" = {json.dumps(info.default)}"
            options.append(f"    {info.alias}: {_type_text(info.annotation)}{default}")
        blocks.append("\n".join([f"{entry.name}: {entry.summary}", *options]))
    return "\n\n".join(blocks)


def _type_text(annotation: Any) -> str:
    plain = isinstance(annotation, type) and not hasattr(annotation, "__args__")
    return str(annotation.__name__ if plain else annotation).replace("typing.", "")


def quarantine_table(name: str, rows: Sequence[dict[str, Any]], limit: int) -> str:
    """The newest broken rows of a table."""
    shown = [
        [row["id"][:10], row["status"], "; ".join(reason["rule"] for reason in row["reasons"])[:50], _place(str(row["source"] or "")),
         " ".join(row["row"].split())[:60]]
        for row in rows[:limit]
    ]  # fmt: skip
    is_open = sum(row["status"] == "open" for row in rows)
    head = f"{name}: {len(rows):,} broken rows, {is_open:,} open" + (
        f", the newest {limit}" if len(rows) > limit else ""
    )
    return head if not rows else f"{head}\n{table(['id', 'status', 'reasons', 'source', 'row'], shown)}\n"


def _place(source: str) -> str:
    """A file without its folders; a topic/partition/offset as it is."""
    return source.rsplit("/", 1)[-1] if source.startswith("/") or "://" in source else source


def quarantined_row(row: dict[str, Any]) -> str:
    """All of one broken row, and what became of it."""
    lines = [f"{name:<11} {row[name]}" for name in ("id", "status", "run_id", "source", "first_seen")]
    lines += [f"reason      {reason['rule']}: {reason['message']}" for reason in row["reasons"]]
    decided = ("decided_by", "decided_at", "why", "replayed_in", "mended")
    after = [f"{name:<11} {row[name]}" for name in decided if row.get(name) is not None]
    return "\n".join([*lines, f"row         {row['row']}", *after])


def replayed_line(table: str, job: str, record: RunRecord | None) -> str:
    """What came of a replay."""
    if record is None:
        return f"{table}: no open row of {job} to replay"
    again = f", {record.rows_quarantined:,} broken again (still open)" if record.rows_quarantined else ""
    dropped = f", {record.rows_dropped:,} dropped" if record.rows_dropped else ""
    return (
        f"{table}: {record.rows_read:,} replayed by {job}: {record.rows_valid:,} valid "
        f"({record.rows_inserted:,} inserted, {record.rows_updated:,} updated, {record.rows_deleted:,} deleted, "
        f"{record.rows_unchanged:,} unchanged){dropped}{again}"
    )


def finding_text(what: str, state: str, remedy: str) -> str:
    """What a look at the machine found, and below it the remedy where there is something to mend."""
    mark, colour = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow")}.get(state, ("BAD ", "red"))
    line = f"{painted(mark, colour, on=is_coloured())} {what}"
    return f"{line}\n     {remedy}" if remedy else line


def demo_tables(layout: Layout) -> str:
    """A look at two gold tables."""
    looks = [
        ("gold.daily_revenue", "order_date", "the last days' revenue"),
        ("gold.monthly_active_customers", "month", "active customers a month"),
    ]
    return "\n".join(_look(layout, *look) for look in looks)


def _look(layout: Layout, name: str, order: str, title: str) -> str:
    rows = query(layout.table(name), layout.root, f"SELECT * FROM t ORDER BY {order} DESC LIMIT 5")
    if not rows:
        return ""
    return f"\n{name}: {title}\n{table(list(rows[0]), [[str(value) for value in row.values()] for row in rows])}"


def demo_places(layout: Layout, day: int, seconds: float) -> str:
    """Where everything lies, and what to do next."""
    return f"""
day {day} took {seconds:.0f} s. Run it again for day {day + 1}: only what is new is read.
  tables       {layout.root}/{{bronze,silver,gold}}
  broken rows  lakehouse quarantine list
  runs         lakehouse runs          ({layout.runs})
  one job      lakehouse plan silver_orders
  as a page    lakehouse report silver_orders"""
