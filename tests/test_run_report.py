"""`lakehouse report`: a run as one page, from a lake that the deltalake package wrote; looked at in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from browser import ROOT, browser
from lakehouse import rule_results, runs
from lakehouse.cli import command
from lakehouse.errors import ConfigError, DataError
from lakehouse.html_pages import figures
from lakehouse.html_pages.charts import Point, line_plot, sparkline
from lakehouse.html_pages.markup import Html, table, text
from lakehouse.planning.planner import plan_job
from lakehouse.rule_results import Checked, RuleResult
from lakehouse.run_report.document import document
from lakehouse.run_report.flow import balance, flow
from lakehouse.run_report.lineage import graph
from lakehouse.run_report.personal import Policy, policy_of, shown_row, value_text
from lakehouse.run_report.reading import RunReport, find_run, read_report
from lakehouse.runs import Input, Output, RunRecord
from lakehouse.tables import Layout

START = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
HOSTILE = "</script></title><img src=x onerror=alert(1)>\"'&\x00\ud800 \U0001f600 "
CONTRACT = """
name: people
version: 2.1.0
owner: shop
fields:
  - {name: id, type: bigint}
  - {name: email, type: string, pii: true}
  - {name: city, type: string}
"""
JOB = """
layer: silver
source:
  files: {path: data, format: json}
contract: people
transforms:
  - rename: {columns: {email: mail}}
sink:
  append: {table: silver.people}
"""


def record(number: int = 0, **given) -> RunRecord:
    started = START + timedelta(days=number)
    run = RunRecord(
        f"{started:%Y%m%dT%H%M%S}-{number:010x}", "people", "f00d", started, started + timedelta(seconds=4 + number),
        "succeeded", rows_read=1000, rows_valid=900, rows_quarantined=60, rows_dropped=40, rows_to_sink=900,
        rows_inserted=700, rows_updated=150, rows_unchanged=50, inputs=(Input("/landing/people", files=3, bytes=1_234_567),),
        outputs=(Output("silver.people", 4, 850, 700, 150), Output("silver.people__quarantine", 0, 60, 60)),
        contract="people", contract_version="2.1.0", contract_fingerprint="c0ffee",
    )  # fmt: skip
    return replace(run, **given)


def quarantined(run: RunRecord, number: int, row: str, **given) -> dict:
    reasons = [{"rule": "not_null(city)", "column": "city", "message": "not_null does not hold"}]
    return {
        "id": f"{number:032x}", "row": row, "reasons": reasons, "run_id": run.run_id, "source": "/landing/people/a.json",
        "first_seen": START, "status": "open", **given,
    }  # fmt: skip


@pytest.fixture
def lake(tmp_path, monkeypatch) -> Layout:
    """A project's lake after three runs of a job: two that succeeded, and one between them that failed."""
    for name, content in {"conf/people.yml": JOB, "conf/contracts/people.yml": CONTRACT}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.delenv("LAKE", raising=False)
    monkeypatch.chdir(tmp_path)
    layout = Layout(str(tmp_path / "lake"))
    failed = record(1, state="failed", error=f"people: no such file {HOSTILE[:-30]}", outputs=(), rows_to_sink=0)
    for run in (record(0), failed, record(2)):
        runs.append(layout, run)
        said = RuleResult(
            "not_null(city)", "city", "completeness", "quarantine", 1000 - 30 * run.batches, 60, ("a", "***")
        )
        rule_results.append(
            layout,
            Checked(run.run_id, run.job, "silver.people", run.started, True),
            [said, RuleResult("row_count", None, "completeness", "fail", 1, 0, value="1000", limit="min 1")],
        )
    rows = [
        quarantined(record(2), n, json.dumps({"id": n, "email": f"canary{n}@x.org", "city": None})) for n in range(60)
    ]
    write_deltalake(layout.table("silver.people__quarantine"), pa.Table.from_pylist(rows))
    write_deltalake(layout.table("silver.people"), pa.table({"id": [1]}))
    return layout


def page_of(run: RunRecord, **given) -> str:
    return document(RunReport(run, past=(run,), **given), "lake", "now")


def report_of(layout: Layout, wanted: str | None, project: Path | None) -> RunReport:
    found, of_job = find_run(layout, wanted)
    plan = plan_job(project / "conf/people.yml", lake=layout.root) if project else None
    return read_report(layout, found, of_job, plan)


@pytest.mark.parametrize(
    ("value", "shown"),
    [("</script>", "&lt;/script&gt;"), ("\"'&", "&quot;&#x27;&amp;"), ("a\x00\ud800b", "a\ufffd\ufffdb"), (None, ""),
     ("\U0001f600 ünï", "\U0001f600 ünï"), (0, "0"), ("x" * 2_000_000, f"{'x' * 300}… (2,000,000 characters)")],
)  # fmt: skip
def test_text_is_escaped_printable_and_cut(value, shown):
    assert text(value) == shown
    text(value).encode()


def test_a_table_leaves_out_the_columns_in_which_nothing_stands():
    made = table("t", ["a", "b", "c"], [[Html("1"), Html(""), Html("2")], [Html("3"), Html(""), Html("")]])
    assert re.findall(r"<th scope='col'>(\w)", made) == ["a", "c"]
    assert made.count("<td>") == 2


@pytest.mark.parametrize(
    ("shown", "expected"),
    [(figures.share(1, 3), "33.3%"), (figures.share(1, 10**6), "< 0.1%"), (figures.share(10**6 - 1, 10**6), "> 99.9%"),
     (figures.share(0, 0), "0%"), (figures.share(5, 5), "100%"), (figures.short(35_000_000), "35M"), (figures.short(0), "0"),
     (figures.size(999), "999 B"), (figures.size(1_234_567), "1.23 MB"), (figures.duration(0.84), "0.8 s"),
     (figures.duration(4.04), "4 s"), (figures.brief_duration(80), "80 s"), (figures.brief_duration(720), "12 min"),
     (figures.brief_duration(90_000), "25 h"), (figures.duration(125), "2 min 5 s"), (figures.duration(3600), "1 h 0 min")],
)  # fmt: skip
def test_numbers_are_shown_as_people_read_them(shown, expected):
    assert shown == expected


def heights(drawn: str) -> dict[str, float]:
    """The bars of the wide drawing by what they stand for."""
    wide = drawn.partition("</svg>")[0]
    return {
        name: float(height)
        for height, name in re.findall(
            r"<rect[^>]*height='([\d.]+)'/><text[^>]*>[\d,]+</text><text[^>]*>([\w ]+)<", wide
        )
    }


def test_bars_and_bands_are_as_wide_as_the_rows_are_many_and_what_is_zero_is_left_out():
    found = heights(flow(record()))
    assert found.keys() == {
        "read",
        "valid",
        "quarantined",
        "dropped",
        "to the sink",
        "inserted",
        "updated",
        "unchanged",
    }
    assert found["valid"] / found["read"] == pytest.approx(0.9, abs=0.01)
    assert found["quarantined"] / found["dropped"] == pytest.approx(1.5, abs=0.05)
    assert found["inserted"] / found["updated"] == pytest.approx(700 / 150, abs=0.1)
    assert flow(record()).partition("</svg>")[0].count("class='band") == 7


def test_an_aggregate_narrows_the_band_to_its_rows():
    drawn = flow(record(rows_valid=1000, rows_quarantined=0, rows_dropped=0, rows_to_sink=100, rows_inserted=100,
                        rows_updated=0, rows_unchanged=0))  # fmt: skip
    found = heights(drawn)
    assert found["to the sink"] / found["valid"] == pytest.approx(0.1, abs=0.01)
    onward = re.search(r"class='band sink' d='M[\d.]+ ([\d.]+)C.*? ([\d.]+)V([\d.]+)C.* ([\d.]+)Z'", drawn)
    top, end_top, end_bottom, bottom = map(float, onward.groups())
    assert bottom - top == pytest.approx(found["valid"], abs=0.2)
    assert end_bottom - end_top == pytest.approx(found["to the sink"], abs=0.2)


def test_one_row_of_a_billion_is_still_drawn():
    drawn = flow(record(rows_read=10**9, rows_valid=10**9 - 1, rows_quarantined=1, rows_dropped=0))
    assert heights(drawn)["quarantined"] == 1
    assert "&lt; 0.1%" in drawn


def test_open_and_unrouted_rows_leave_the_valid_ones():
    drawn = flow(record(rows_open=100, rows_unrouted=50, rows_to_sink=750, rows_inserted=550))
    assert {"open", "unrouted"} <= heights(drawn).keys()


def test_the_balance_is_stated_and_a_broken_one_too():
    assert balance(record()) == (
        ("1,000 read = 900 valid + 60 quarantined + 40 dropped", True),
        ("900 to the sink = 700 inserted + 150 updated + 50 unchanged", True),
    )
    assert balance(record(rows_dropped=39))[0] == ("1,000 read = 900 valid + 60 quarantined + 39 dropped", False)
    assert "does not balance" in page_of(record(rows_dropped=39))


def test_a_run_that_read_nothing_draws_nothing():
    empty = RunRecord("r", "people", "f", START, START, "succeeded")
    assert (flow(empty), balance(empty)) == ("", ())
    assert "No row was read" in page_of(empty)
    assert "No rule looked at a row" in page_of(empty)


def test_a_skipped_run_says_why_and_no_more():
    page = page_of(RunRecord("r", "people", "f", START, START, "skipped", "bronze_people failed"))
    assert "bronze_people failed" in page
    assert "<section>" not in page


def test_the_graph_draws_the_quarantine_once_and_many_inputs_in_few_boxes():
    many = tuple(Input(f"silver.t{number}", version=number) for number in range(50))
    drawn = graph(record(inputs=many), "silver.people__quarantine").partition("</svg><svg class='narrow")[0]
    assert drawn.count("class='box broken'") == 1
    assert drawn.count("class='box table'") == 8 + 1
    assert "and 43 more" in drawn


def test_a_plot_has_axes_values_and_marks_what_failed():
    points = [Point("03-01", 3.0), Point("03-02", 7.5, stands_out=True), Point("03-03", 5.0)]
    drawn = line_plot(points, "rows")
    assert re.findall(r"text-anchor='end'>([\d.]+)<", drawn) == ["0", "4", "8", "5"]
    assert drawn.count("class='point odd'><title>03-02: 7.5, failed") == 1
    assert "03-01" in drawn
    assert "NaN" not in line_plot([Point("a", 0.0)], "nothing")
    assert sparkline([], "none") == ""
    assert "<polyline" not in sparkline([0.0], "one")


@pytest.mark.parametrize("wanted", [None, "people", "20260303"])
def test_a_run_is_found_as_the_newest_by_its_job_or_by_its_id(lake, wanted):
    assert find_run(lake, wanted)[0] == record(2)


@pytest.mark.parametrize(
    ("wanted", "said"), [("2026", "begins the ids of 3 runs"), ("peeple", "Did you mean 'people'?")]
)
def test_a_run_that_is_not_one_is_refused(lake, wanted, said, capsys):
    with pytest.raises(ConfigError, match=re.escape(said)):
        find_run(lake, wanted)
    assert command(["report", wanted]) == 2


def test_an_empty_lake_has_nothing_to_report(tmp_path):
    with pytest.raises(DataError, match=r"no runs in .* yet"):
        find_run(Layout(str(tmp_path)), None)


def test_a_report_reads_trends_up_to_its_run_and_marks_its_versions(lake, tmp_path):
    newest, failed = report_of(lake, None, tmp_path), report_of(lake, "20260302", tmp_path)
    assert [run.state for run in newest.past] == ["succeeded", "failed", "succeeded"]
    assert [len(report.trends["not_null(city)"]) for report in (newest, failed)] == [3, 2]
    assert [found.table for found in newest.histories] == ["silver.people", "silver.people__quarantine"]
    assert [found.table for found in failed.histories] == ["silver.people"]
    assert len(newest.broken) == 20


def test_personal_values_of_broken_rows_are_masked_by_the_contract(lake, tmp_path):
    page = document(report_of(lake, None, tmp_path), "lake", "now")
    assert "canary" not in page
    assert page.count("***") >= 20
    assert "20 of 60 rows, as they came, in silver.people__quarantine" in page


def test_without_the_jobs_yaml_no_value_is_shown(lake):
    report = report_of(lake, None, None)
    page = document(report, "lake", "now")
    assert report.quarantine == "silver.people__quarantine"
    assert "canary" not in page
    assert "Values are left out" in page
    assert "not_null(city)" in page


PII = Policy(frozenset({"email"}), frozenset({"id", "address", "_source_file"}))


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({"id": 1, "EMAIL": "a@b", "email": None}, {"id": "1", "EMAIL": "***", "email": None}),
        ({"before": None, "after": {"id": 1, "email": "a@b"}}, {"before": None, "after": {"id": "1", "email": "***"}}),
        ({"address": {"city": "Rome", "email": "a@b"}}, {"address": {"city": "Rome", "email": "***"}}),
        ({"address": ['{"email": "a@b"}', "x"]}, {"address": ["***", "x"]}),
        ({"_corrupt_record": "1,a@b", "_source_file": "f"}, {"_corrupt_record": "***", "_source_file": "f"}),
        ({"_rescued_data": '{"mail": "a@b"}'}, {"_rescued_data": "***"}),
        ({"id": {"note": '[{"Email": "a@b"}]', "n": None}}, {"id": {"note": "***", "n": None}}),
    ],
)
def test_what_a_contract_does_not_know_may_be_personal(row, shown):
    assert dict(shown_row(json.dumps(row), PII)) == shown


def test_a_row_that_is_no_json_is_masked_where_anything_is_personal():
    assert shown_row("1,a@b", PII) == (("row", "***"),)
    assert shown_row("1,x", Policy()) == (("row", "1,x"),)
    assert shown_row("[" * 500_000, PII) == (("row", "***"),)


def test_numbers_are_shown_to_their_last_digit():
    row = '{"a": 12345678901234567890.1234567890, "b": {"c": [1.50, true, null, "x\\u00e9"]}, "d": "1.0"}'
    assert [value_text(value) for _, value in shown_row(row, Policy())] == [
        "12345678901234567890.1234567890", '{"c": [1.50, true, null, "xé"]}', "1.0",
    ]  # fmt: skip


def test_a_job_without_a_contract_masks_what_its_project_calls_personal(lake, tmp_path):
    (tmp_path / "conf/raw.yml").write_text(JOB.replace("contract: people", "schema: id bigint, email string"))
    plan = plan_job(tmp_path / "conf/raw.yml", lake=lake.root)
    masked = policy_of(plan)
    assert dict(shown_row('{"id": 1, "Email": "a@b", "_corrupt_record": "1,a@b", "value": "{\\"email\\": 1}"}', masked)) == {
        "id": "1", "Email": "***", "_corrupt_record": "***", "value": "***",
    }  # fmt: skip
    (tmp_path / "conf/contracts/other.yml").write_text("name: 3")
    assert policy_of(plan) is None


def test_the_command_writes_the_file_prints_it_or_names_it_by_the_run(lake, tmp_path, capsys):
    assert command(["report", "people", "--to", "out/r.html"]) == 0
    assert capsys.readouterr().out == "out/r.html: people, succeeded, 2026-03-03 06:00:00\n"
    assert command(["report"]) == 0
    assert command(["report", "--to", "-"]) == 0
    printed = capsys.readouterr().out.partition("\n")[2]
    written = [(tmp_path / name).read_text() for name in ("out/r.html", f"{record(2).run_id}.html")]
    assert len({re.sub("Written [0-9: -]+", "", page) for page in (*written, printed)}) == 1


def test_a_file_that_cannot_be_written_and_a_table_that_cannot_be_read_are_said_in_a_line(lake, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert command(["report", "--to", "file/r.html"]) == 2
    assert re.fullmatch("--to file/r.html: .*; name a file .*\n", capsys.readouterr().err)
    for entry in (tmp_path / "lake/silver/people/_delta_log").glob("*.json"):
        entry.write_text("{")
    assert command(["report", "--to", "-"]) == 0
    assert "silver.people cannot be read: " in capsys.readouterr().out


def test_a_run_of_a_job_with_a_quote_in_its_name_has_its_rules(lake, tmp_path):
    run = record(5, job="o'hara")
    runs.append(lake, run)
    result = RuleResult("r", None, "validity", "warn", 1, 0)
    rule_results.append(lake, Checked(run.run_id, run.job, "silver.people", run.started, True), [result])
    assert [rule["rule"] for rule in report_of(lake, "o'hara", None).rules] == ["r"]


@pytest.fixture(scope="module")
def tab():
    with browser() as found:
        yield found


@pytest.fixture
def hostile(lake, tmp_path) -> Path:
    """A page whose every value was made to break it."""
    long, run = HOSTILE + "y" * 2_000_000, record(2)
    name = ("silver." + "a_very_long_name" * 8)[:120]
    bad = replace(
        run, job=HOSTILE, state="failed", error=f"{HOSTILE}{'E' * 900}", notes=(HOSTILE, "n" * 500), rows_warned=3,
        inputs=(*run.inputs, Input(HOSTILE, 3, 2), Input(name, 1)), outputs=(Output(name, 1, 1), *run.outputs), batches=1234,
        ignored_columns=("c" * 300,),
    )  # fmt: skip
    found = report_of(lake, None, tmp_path)
    rule = {**found.rules[0], "rule": HOSTILE, "sample": [HOSTILE, long], "column": "c" * 200}
    row = shown_row(json.dumps({HOSTILE: HOSTILE, "long": long, "n": None, "deep": {"a": [HOSTILE]}}), Policy())
    reason = {"rule": HOSTILE, "column": "long", "message": long}
    broken = replace(found.broken[0], columns=row, reasons=(reason,), source="s" * 400)
    report = replace(found, record=bad, rules=(rule, *found.rules), broken=(broken, *found.broken))
    file = tmp_path / "hostile.html"
    file.write_text(document(report, HOSTILE, "now"), encoding="utf-8")
    return file


_CONTRAST = """(() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = c => { const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
                       return .2126 * r + .7152 * g + .0722 * b; };
  const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
                        if (c.length < 4 || c[3]) return c; } };
  const ratio = (a, b) => (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  return [...document.querySelectorAll('body *:not(svg *)')].filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .map(e => [e.tagName, e.className, ratio(light(rgb(getComputedStyle(e).color)), light(ground(e)))]).filter(x => x[2] < 4.5);
})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1280])
def test_a_hostile_page_shows_its_values_as_text_and_fits_the_screen(tab, hostile, width, dark):
    tab.show(hostile, width=width, dark=dark)
    said = tab.value("document.body.innerText")
    assert "onerror=alert(1)" in said
    assert "(2,000,0" in said
    assert tab.value("document.querySelectorAll('script, img, link, iframe').length") == 0
    assert tab.value("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert tab.value("[...document.querySelectorAll('section')].every(e => e.scrollWidth <= e.clientWidth)")
    assert tab.requests == [hostile.as_uri()]
    assert tab.complaints == []
    assert tab.value(_CONTRAST) == []
    assert hostile.stat().st_size < 200_000


def test_a_page_is_read_on_a_phone_on_a_desk_and_in_the_dark(tab, lake, tmp_path):
    command(["report", "--to", "r.html"])
    shown = {}
    for width, dark in ((360, False), (1280, False), (1280, True)):
        tab.show(tmp_path / "r.html", width=width, dark=dark)
        said = tab.value("document.body.innerText")
        for part in ("people", "succeeded", "1,000 read = 900 valid + 60 quarantined + 40 dropped", "people 2.1.0", "c0ffee",
                     "silver.people__quarantine", "not_null(city)", "Over the last runs", "1 failed run is marked"):  # fmt: skip
            assert part in said
        visible = "[...document.querySelectorAll('svg.graph, svg.flow')].filter(e => e.getBoundingClientRect().width).map(e => e.classList[0])"
        assert set(tab.value(visible)) == {"narrow" if width == 360 else "wide"}
        shown[width, dark] = tab.value("getComputedStyle(document.body).backgroundColor")
    assert shown[360, False] == shown[1280, False] != shown[1280, True]


def test_a_page_has_headings_named_tables_and_drawings_with_titles(tab, lake, tmp_path):
    command(["report", "--to", "r.html"])
    tab.show(tmp_path / "r.html", width=1280)
    assert tab.value("document.querySelectorAll('h1').length") == 1
    assert tab.value("[...document.querySelectorAll('h2')].map(e => e.textContent)") == [
        "What it read and wrote", "Where the rows went", "Rules", "Broken rows", "Over the last runs", "The tables' last versions",
    ]  # fmt: skip
    assert tab.value(
        "[...document.querySelectorAll('table')].every(e => e.caption && e.querySelector('th[scope=col]'))"
    )
    assert tab.value("[...document.querySelectorAll('svg[role=img]')].every(e => e.querySelector('title').textContent)")


def test_a_browser_that_is_told_to_fetch_and_to_complain_is_seen_doing_so(tab, tmp_path):
    """What the tests above assert is absent is noticed where it is there."""
    page = tmp_path / "loud.html"
    page.write_text("<img src='file:///nowhere.png'><script>console.error('x')</script><p style='width:900px'>wide")
    tab.show(page, width=360)
    assert "file:///nowhere.png" in tab.requests
    assert tab.complaints
    assert tab.value("document.documentElement.scrollWidth") > 360


@pytest.mark.parametrize(
    ("user", "said"), [("1000", "a browser is needed"), ("0", "the installation failed: no network")]
)
def test_a_missing_browser_is_said_in_a_line_with_its_remedy(tmp_path, user, said):
    programs = {"id": f"echo {user}", "apt-get": "echo no network; exit 100"}
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{script}\n")
        (tmp_path / name).chmod(0o755)
    for name in ("bash", "mktemp", "tail", "rm"):
        (tmp_path / name).symlink_to(shutil.which(name))
    done = subprocess.run(
        [ROOT / "conf/spark/chromium.sh"], env={"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode in (1, 2)
    assert said in done.stderr.splitlines()[-1]
    assert "apt-get install chromium (as root)" in done.stderr.splitlines()[-1]
