"""The parts of a run's page, each a pure function of what was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.errors import counted
from lakehouse.html_pages.charts import Point, line_plot, sparkline
from lakehouse.html_pages.figures import brief_duration, duration, share, short, size
from lakehouse.html_pages.markup import NOTHING, Html, badge, facts, joined, name, note, section, table, text, when
from lakehouse.run_report.flow import balance, flow
from lakehouse.run_report.lineage import graph
from lakehouse.run_report.personal import value_text
from lakehouse.run_report.reading import SAMPLES, BrokenRow, History, RunReport, Version
from lakehouse.runs import RunRecord

STATES = {"succeeded": "good", "failed": "bad", "skipped": "warn"}
_LONG = 2000  # of an error, which is what the reader came for


def head(report: RunReport) -> Html:
    """Job, state and error, and what identifies the run."""
    run = report.record
    contract = f"{run.contract} {run.contract_version or ''}".strip() if run.contract else None
    known = facts([
        ("run", Html(f"<code>{text(run.run_id)}</code>")),
        ("started (UTC)", when(run.started)),
        ("contract", text(contract)),
        ("contract's fingerprint", text(run.contract_fingerprint)),
        ("configuration", text(run.config_fingerprint)),
        ("batches", text(f"{run.batches:,}" if run.batches > 1 else None)),
    ])  # fmt: skip
    said = [f"Columns left out: {', '.join(run.ignored_columns)}"] if run.ignored_columns else []
    error = Html(f"<p class='error'><strong>Why:</strong> {text(run.error, _LONG)}</p>") if run.error else NOTHING
    state = badge(run.state, STATES.get(run.state, "plain"))
    return joined(
        [
            Html(f"<header><h1>{name(run.job)} {state}</h1></header>"),
            error,
            _tiles(run),
            known,
            *map(note, [*said, *run.notes]),
        ]
    )


def _tiles(run: RunRecord) -> Html:
    """The figures that are looked for first; of a run that was skipped there are none."""
    if run.state == "skipped":
        return NOTHING
    part = f" <small>{share(run.rows_quarantined, run.rows_read)}</small>" if run.rows_quarantined else ""
    return facts([
        ("rows read", text(f"{run.rows_read:,}")),
        ("rows to the sink", text(f"{run.rows_to_sink:,}")),
        ("quarantined", Html(f"{run.rows_quarantined:,}{part}")),
        ("took", text(duration(run.seconds) if run.ended else "still running")),
    ], "tiles")  # fmt: skip


def ways(report: RunReport) -> Html:
    """The graph of what was read and written, and the same in full."""
    run = report.record
    inputs = table(
        "What was read", ["input", "version", "after version", "files", "bytes"],
        [[name(item.name), *_optional(item.version, item.from_version, item.files),
          text(None if item.bytes is None else size(item.bytes))] for item in run.inputs],
        numbers=range(1, 5),
    )  # fmt: skip
    outputs = table(
        "What was written",
        ["output", "version", "rows", "rows inserted", "rows updated", "rows deleted"],
        [[name(item.name), *_optional(item.version, item.rows, item.target_rows_inserted, item.target_rows_updated,
                                      item.target_rows_deleted)] for item in run.outputs],
        numbers=range(1, 6),
    )  # fmt: skip
    lists = [inputs if run.inputs else NOTHING, outputs if run.outputs else NOTHING]
    return section("What it read and wrote", joined([graph(run, report.quarantine), *lists]))


def rows(run: RunRecord) -> Html:
    """Where the rows went, and whether the counts balance."""
    sums = [
        Html(
            f"<p class='sum'>{badge('balances' if fits else 'does not balance', 'good' if fits else 'bad')} {text(said)}</p>"
        )
        for said, fits in balance(run)
    ]
    warned = f"{counted(run.rows_warned, 'valid row')} broke a rule that only warns." if run.rows_warned else ""
    nothing = note("No row was read: there was nothing new, or the run ended before it.") if not sums else NOTHING
    return section("Where the rows went", joined([flow(run), *sums, note(warned) if warned else NOTHING, nothing]))


def rules(report: RunReport) -> Html:
    """What each rule said, the most broken first, with its share over the last runs."""
    if not report.rules:
        return section("Rules", note("No rule looked at a row in this run."))
    order = sorted(report.rules, key=lambda rule: (-rule["failed"], rule["rule"]))
    broken = sum(rule["failed"] > 0 for rule in order)
    said = f"{counted(len(order), 'rule')}, {broken:,} broken" if broken else f"{counted(len(order), 'rule')}, all held"
    columns = ["rule", "column", "dimension", "on fail", "failed", "share", "trend", "failing values"]
    lines = [_rule(rule, report.trends.get(rule["rule"], ())) for rule in order]
    return section("Rules", table(said, columns, lines, numbers=(4, 5)))


def _rule(rule: Mapping[str, Any], trend: Sequence[float]) -> list[Html]:
    total = rule["passed"] + rule["failed"]
    title = f"{rule['rule']}: share that failed over {counted(len(trend), 'run')}, now {share(rule['share'], 1)}"
    figure = f"{rule['value']} (limit {rule['limit'] or 'none'})" if rule["value"] is not None else None
    samples = joined([text(figure), *[Html(f"<code>{text(value, 80)}</code>") for value in rule["sample"] or ()]], " ")
    failed = f"<strong class='broken'>{rule['failed']:,}</strong>" if rule["failed"] else "0"
    return [
        name(rule["rule"], 80), name(rule["column"], 80), text(rule["dimension"]), text(rule["on_fail"]),
        Html(f"{failed} of {total:,}"), text(share(rule["failed"], total)), sparkline(trend, title) if len(trend) > 1 else NOTHING, samples,
    ]  # fmt: skip


def broken_rows(report: RunReport) -> Html:
    """The first quarantined rows with their reasons; nothing where none was broken."""
    run = report.record
    if not run.rows_quarantined:
        return NOTHING
    said = [
        f"{len(report.broken):,} of {counted(run.rows_quarantined, 'row')}, as they came, in {report.quarantine or 'the quarantine'}."
    ]
    if any(row.columns is None for row in report.broken):
        said.append("Values are left out: the job's YAML or its contracts, which say what is personal, were not found.")
    cards = [_broken(row) for row in report.broken]
    return section("Broken rows", joined([*map(note, said), *cards]))


def _broken(row: BrokenRow) -> Html:
    named = {str(reason["column"]).lower() for reason in row.reasons if reason["column"]}
    reasons = [f"<li><strong>{text(reason['rule'], 80)}</strong> {text(_said(reason))}</li>" for reason in row.reasons]
    fields = [_field(column, value, column.lower() in named) for column, value in row.columns or ()]
    place = f"{row.source or 'no source on record'} · {row.id[:10]} · {row.status}"
    return Html(
        f"<article><ul>{''.join(reasons)}</ul><p class='note'>{text(place)}</p>"
        f"<dl class='row'>{''.join(fields)}</dl></article>"
    )


def _said(reason: Mapping[str, Any]) -> str:
    """A reason's message; the rule's word, with which many begin, stands before it already."""
    return str(reason["message"]).removeprefix(f"{str(reason['rule']).split('(')[0]} ")


def _field(column: str, value: Any, is_broken: bool) -> Html:
    shown = Html("<i>NULL</i>") if value is None else Html(f"<code>{text(value_text(value))}</code>")
    return Html(f"<div{' class=odd' if is_broken else ''}><dt>{text(column, 80)}</dt><dd>{shown}</dd></div>")


def trends(report: RunReport) -> Html:
    """Duration and rows over the last runs of the job, but what was 0 in all of them; nothing before a second run."""
    past = [run for run in report.past if run.state != "skipped"]
    if len(past) < 2:
        return NOTHING
    plots = [
        ("How long it took", [_point(run, run.seconds) for run in past], brief_duration),
        ("Rows read", [_point(run, run.rows_read) for run in past], short),
        ("Rows to the sink", [_point(run, run.rows_to_sink) for run in past], short),
        ("Share quarantined", [_point(run, _quarantined(run)) for run in past], lambda part: share(part, 1)),
    ]
    plots = [plot for plot in plots if any(point.value for point in plot[1])]
    over = counted(len(past), "run")
    drawn = [_plot(title, line_plot(points, f"{title}, {over}", shown)) for title, points, shown in plots]
    failed = sum(run.state == "failed" for run in past)
    marked = f"; {counted(failed, 'failed run is', 'failed runs are')} marked" if failed else ""
    body = joined([note(f"The last {over} of {report.record.job}{marked}."), *drawn])
    return section("Over the last runs", Html(f"<div class='plots'>{body}</div>"))


def _plot(title: str, drawing: Html) -> Html:
    return Html(f"<figure><figcaption>{text(title)}</figcaption>{drawing}</figure>")


def _point(run: RunRecord, value: float) -> Point:
    return Point(f"{run.started:%m-%d %H:%M}", value, run.state == "failed")


def _quarantined(run: RunRecord) -> float:
    return run.rows_quarantined / run.rows_read if run.rows_read else 0.0


def histories(report: RunReport) -> Html:
    """The last versions of each output; nothing where no output is a table."""
    tables = [_history(found) for found in report.histories]
    return section("The tables' last versions", joined(tables)) if tables else NOTHING


def _history(found: History) -> Html:
    if found.problem is not None:
        return note(f"{found.table} cannot be read: {found.problem}")
    return table(
        found.table, ["version", "at (UTC)", "operation", "rows", ""], [_version(item) for item in found.versions]
    )


def _version(version: Version) -> list[Html]:
    mark = badge("this run", "plain") if version.of_run else NOTHING
    return [text(version.number), when(version.at), text(version.operation), text(version.rows), mark]


def _optional(*numbers: int | None) -> list[Html]:
    return [text(None if number is None else f"{number:,}") for number in numbers]


def limits() -> str:
    """What the page leaves out, for its foot."""
    return f"At most {SAMPLES} broken rows are shown, long values are cut, times are UTC."
