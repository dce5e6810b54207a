"""A run: finish what a dead run left, then take batch after batch, each with an intent before and progress after it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from lakehouse import lake, log, progress, quarantine, runs
from lakehouse.batch import Batch, Outcome, Refused, check, contract_fields, explained, process
from lakehouse.errors import DataError, Interrupted, LakehouseError, SinkError
from lakehouse.plan import Plan
from lakehouse.progress import Intent, Progress
from lakehouse.runs import Input, Output, RunRecord
from lakehouse.session import job_session
from lakehouse.sources import Read
from lakehouse.sources.delta import place_of
from lakehouse.spark_errors import readable
from lakehouse.storage import delete_tree
from lakehouse.stream_checkpoints import Checkpoint, require_sound

Watch = Callable[[str], None]


@dataclass
class _Run:
    """A run under way."""

    plan: Plan
    spark: SparkSession
    record: RunRecord
    progress: Progress
    intent: Intent | None
    watch: Watch
    versions: Mapping[str, int] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Where the job's progress lies."""
        return self.plan.layout.checkpoint(self.plan.name)


def run_plan(
    plan: Plan, spark: SparkSession, *, full_refresh: bool = False, watch: Watch = lambda _: None
) -> RunRecord:
    """Runs a job and records it, also where it fails; what a run that died had begun is finished first.

    Raises LakehouseError; the run record of a failed run is in `$LAKE/_runs` all the same.
    """
    started = runs.now()
    record = RunRecord(runs.new_run_id(started), plan.name, plan.fingerprint, started)
    log.event("run_started", run_id=record.run_id, job=plan.name)
    try:
        done = _run(plan, spark, record, full_refresh, watch)
    except BaseException as error:
        raise _recorded_failure(plan, record, error) from error
    log.event("run_ended", run_id=done.run_id, job=plan.name, state=done.state, rows_read=done.rows_read)
    return done


def _run(plan: Plan, spark: SparkSession, record: RunRecord, full_refresh: bool, watch: Watch) -> RunRecord:
    session = job_session(spark, plan.job.config.spark)
    if full_refresh:
        _forget(plan, session)
    state, intent = progress.load(plan.layout.checkpoint(plan.name))
    run = _Run(plan, session, record, state, intent, watch)
    _require_own_targets(run)
    _settle_dead_run(run)
    run.versions = _pinned_inputs(plan, session)
    if run.intent is not None:
        _finish_dead_run(run)
    done = _take_stream(run) if plan.streams else _take_pins(run)
    return _recorded(run, done)


def _recorded(run: _Run, done: RunRecord) -> RunRecord:
    """Ends the run: its record is in the run log before its intent goes."""
    ended = replace(done, state="succeeded", ended=runs.now())
    if run.progress.record is not None:
        run.progress = replace(run.progress, record=runs.to_json(ended))
        progress.save(run.folder, run.progress)
    runs.append(run.plan.layout, ended)
    if run.progress.record is not None:
        run.progress = replace(run.progress, record=None)
        progress.save(run.folder, run.progress)
    return ended


def _recorded_failure(plan: Plan, record: RunRecord, error: BaseException) -> BaseException:
    """The error as the user meets it, its run on record."""
    if isinstance(error, KeyboardInterrupt):
        error = Interrupted(f"{plan.name} was interrupted; the next run finishes it")
    known = error if isinstance(error, LakehouseError) else readable(error)
    failed = replace(_so_far(plan, record), state="failed", ended=runs.now(), error=str(known).split("\n")[0][:1000])
    if isinstance(error, Refused):
        failed = _with_outcome(failed, error.outcome, ())
    try:
        runs.append(plan.layout, failed)
    except LakehouseError as unwritten:  # the lake is away: the first error says so better than this one
        log.event("run_not_recorded", run_id=record.run_id, error=str(unwritten))
    log.event("run_ended", run_id=record.run_id, job=plan.name, state="failed", error=failed.error)
    return known


def _so_far(plan: Plan, record: RunRecord) -> RunRecord:
    """The record with the batches that were finished before a failure."""
    try:
        text = progress.load(plan.layout.checkpoint(plan.name))[0].record
    except LakehouseError:  # a damaged checkpoint is the failure itself
        return record
    known = runs.from_json(text) if text else record
    return known if known.run_id == record.run_id else record


def _forget(plan: Plan, spark: SparkSession) -> None:
    """`--full-refresh`: the checkpoint goes first, so that a crash on the way is seen as one."""
    jvm: Any = spark._jvm
    for name in (*plan.outputs, plan.quarantine):
        path = plan.layout.table(name)
        delete_tree(path)
        jvm.org.apache.spark.sql.delta.DeltaLog.invalidateCache(
            spark._jsparkSession, jvm.org.apache.hadoop.fs.Path(path)
        )
    delete_tree(plan.layout.checkpoint(plan.name))


def _require_own_targets(run: _Run) -> None:
    """Progress and targets must tell the same story; raises SinkError where a wrong table would come of going on."""
    plan, state = run.plan, run.progress
    latest = max(state.batch, run.intent.batch if run.intent else -1)
    for sink in plan.sinks:
        if not sink.step.option("table"):
            continue
        found = lake.snapshot(run.spark, plan.layout.table(sink.target))
        written = {
            app: batch
            for app, batch in (found.batches if found else {}).items()
            if app.startswith(f"{plan.name}/{sink.target}/")
        }
        own = {app: batch for app, batch in written.items() if app.endswith(f"/{state.id}")}
        remedy = f"run `lakehouse run {plan.name} --full-refresh` to rebuild it from the source"
        if sink.target in state.targets and not own:
            raise SinkError(
                f"{sink.target} is gone or was replaced, but {run.folder} says that it was filled; {remedy}"
            )
        repeatable = plan.read == "full" and sink.step.name in ("overwrite", "merge")
        if written and not own and state.fresh and not repeatable:
            raise SinkError(
                f"the checkpoint {run.folder} is gone, but {sink.target} was filled by this job; restore it, or {remedy}"
            )
        if own and max(own.values()) > latest:
            raise SinkError(
                f"the checkpoint {run.folder} is older than {sink.target}; restore the newer one, or {remedy}"
            )


def _settle_dead_run(run: _Run) -> None:
    """Puts a finished but unrecorded run on record; forgets an intent of which nothing was written."""
    if run.progress.record is not None:
        record = runs.from_json(run.progress.record)
        if not (
            run.intent
            and run.intent.batch > run.progress.batch
            and run.intent.run_id == record.run_id
            and _anything_written(run)
        ):
            ended = replace(record, state="succeeded", ended=record.ended or runs.now())
            if not runs.is_recorded(run.plan.layout, record.run_id):
                runs.append(run.plan.layout, ended)
            run.progress = replace(run.progress, record=None)
            progress.save(run.folder, run.progress)
    if run.intent is None:
        return
    if run.intent.batch <= run.progress.batch:
        progress.end(run.folder)
        run.intent = None
    elif not _anything_written(run):
        dead = run.intent
        if not runs.is_recorded(run.plan.layout, dead.run_id):
            lost = RunRecord(dead.run_id, run.plan.name, run.plan.fingerprint, dead.started, runs.now(), "failed",
                             "it died before its first write; the next run reads its input again")  # fmt: skip
            runs.append(run.plan.layout, lost)
        progress.end(run.folder)
        run.intent = None


def _anything_written(run: _Run) -> bool:
    """True where a write of the intent's batch is in a target already: then the batch must be finished as it was pinned."""
    intent, plan = run.intent, run.plan
    if intent is None:
        return False
    batch = _batch(run, intent.run_id, intent.started, intent.batch, {}, {})
    for index, sink in enumerate(plan.sinks):
        if sink.step.option("table"):
            found = lake.snapshot(run.spark, plan.layout.table(sink.target))
            if found is not None and found.has(batch.commit(f"{sink.target}/{index}")):
                return True
    return False


def _finish_dead_run(run: _Run) -> None:
    """Rolls a dead run's batch forward under its own run id, start and pinned input, and records it."""
    intent = run.intent
    if intent is None or run.plan.streams:  # a stream repeats the batch by itself, see _take_stream
        return
    run.watch(f"finishing run {intent.run_id}")
    dead = _dead_record(run, intent)
    read = _read(run, pin=intent.pin, versions=intent.versions)
    batch = _batch(run, intent.run_id, intent.started, intent.batch, intent.versions, _summary(intent.pin))
    finished = _take(run, batch, _load(run, batch, read), dead, intent.pin)
    run.intent = None
    if finished.run_id == run.record.run_id:
        run.record = finished
    else:
        _recorded(run, finished)


def _dead_record(run: _Run, intent: Intent) -> RunRecord:
    """The record that a dead run's batch counts in: its own, or this run's where it is on record as failed already."""
    if runs.is_recorded(run.plan.layout, intent.run_id):
        return run.record
    if run.progress.record is not None:
        known = runs.from_json(run.progress.record)
        if known.run_id == intent.run_id:
            return known
    return RunRecord(intent.run_id, run.plan.name, run.plan.fingerprint, intent.started)


def _take_pins(run: _Run) -> RunRecord:
    """Batch after batch of pinned input, until no new input is there; one batch where all is read in full."""
    done = run.record
    for pin in _pins(run):
        number = run.progress.batch + 1
        batch = _batch(run, run.record.run_id, run.record.started, number, run.versions, _summary(pin))
        read = _read(run, pin=pin, versions=run.versions)
        raw = _load(run, batch, read)
        progress.begin(
            run.folder, run.progress, Intent(run.record.run_id, number, run.record.started, pin, run.versions)
        )
        done = _take(run, batch, raw, done, pin)
    return done


def _pins(run: _Run) -> Iterator[Mapping[str, Any]]:
    """What to take, pinned: all of it once, or whatever no earlier batch took."""
    step = run.plan.source
    pin = step.entry.traits.get("pin")
    while True:
        read = _read(run, pin={}, versions=run.versions)
        found = _source_pin(run, read) if pin is None else pin(read, **_source_options(run))
        if found is None:
            return
        yield found
        if run.plan.read == "full":
            return


def _source_pin(run: _Run, read: Read) -> dict[str, Any]:
    """What a source without a pin of its own is pinned to: its table's version."""
    if run.plan.source.name != "delta":
        return {}
    with explained(run.plan, run.plan.source):
        place = place_of(run.plan.source.option("table"), run.plan.source.option("path"), read)
    return {"version": _required(run, str(run.plan.source.option("table") or place), place).version}


def _source_options(run: _Run) -> dict[str, Any]:
    from lakehouse.registry import call_options

    return call_options(run.plan.source.entry, run.plan.source.options)


def _load(run: _Run, batch: Batch, read: Read) -> DataFrame:
    """The source's frame, and every column and expression of the job resolved against it; no data is read yet."""
    with explained(run.plan, run.plan.source):
        raw: DataFrame = run.plan.source.call(batch.spark, now=batch.now, tables=batch.tables, read=read)
    check(batch, raw)
    return raw


def _take(run: _Run, batch: Batch, raw: DataFrame, done: RunRecord, pin: Mapping[str, Any]) -> RunRecord:
    """One batch: withdraw what a refused try left, write, save the progress, then take the intent away."""
    if run.progress.evidence:
        quarantine.withdraw(batch.spark, run.plan, run.progress.evidence)
    try:
        outcome = process(batch, raw)
    except Refused:
        progress.save(run.folder, replace(run.progress, evidence=(*run.progress.evidence, batch.run_id), fresh=False))
        progress.end(run.folder)
        raise
    done = _with_outcome(done, outcome, _inputs(run.plan, batch, pin))
    targets = {*run.progress.targets, *(item.target for item in outcome.written if item.version is not None)}
    run.progress = replace(
        run.progress,
        batch=batch.number,
        taken={**run.progress.taken, **{path: (size, modified) for path, size, modified in pin.get("files", ())
                                        if run.plan.read == "incremental"}},
        targets=tuple(sorted(targets & set(run.plan.outputs))),
        evidence=(),
        record=runs.to_json(done),
        fresh=False,
    )  # fmt: skip
    progress.save(run.folder, run.progress)
    progress.end(run.folder)
    run.watch(f"{done.rows_read:,} rows")
    return done


def _take_stream(run: _Run) -> RunRecord:
    """Spark's stream over the source, each micro-batch through the same path, until nothing new is there."""
    plan, done = run.plan, run.record
    checkpoint = require_sound(f"{run.folder}/stream", run.progress, run.intent)
    read = _read(run, pin={}, versions=run.versions, incremental=True)
    place = place_of(plan.source.option("table"), plan.source.option("path"), read)
    _required(run, str(plan.source.option("table") or place), place)
    with explained(plan, plan.source):
        stream: DataFrame = plan.source.call(run.spark, now=run.record.started, tables={}, read=read)
    check(
        _batch(run, run.record.run_id, run.record.started, 0, run.versions, {}),
        run.spark.createDataFrame([], stream.schema),
    )
    taker = _StreamTaker(run, done, checkpoint)
    writer = stream.writeStream.foreachBatch(taker.take).option("checkpointLocation", f"{run.folder}/stream")
    query = writer.trigger(availableNow=True).queryName(f"{plan.name} {run.record.run_id}").start()
    try:
        query.awaitTermination()
    except PySparkException:
        if taker.error is not None:
            raise taker.error from None
        raise
    finally:
        if query.isActive:
            query.stop()
    if run.progress.stream is None and not run.progress.fresh:
        run.progress = replace(run.progress, stream=str(query.id))
        progress.save(run.folder, run.progress)
    return replace(taker.done, inputs=(*_stream_inputs(plan, query), *_table_inputs(run.versions)))


@dataclass
class _StreamTaker:
    """What a stream does with each micro-batch; keeps the error that stopped it, which Spark would wrap in its own."""

    run: _Run
    done: RunRecord
    checkpoint: Checkpoint
    error: BaseException | None = None

    def take(self, rows: DataFrame, number: int) -> None:
        """One micro-batch; one that was finished before a crash took its commit away is left alone."""
        if number <= self.run.progress.batch:
            return
        try:
            self._take(rows, number)
        except BaseException as error:
            self.error = error
            # Spark's bridge to Python waits for ever on anything that is no Exception
            raise RuntimeError(type(error).__name__) from error

    def _take(self, rows: DataFrame, number: int) -> None:
        run, dead = self.run, self.run.intent
        if dead is not None and dead.batch == number:
            run.intent = None
            finished = self._write(rows, dead, _dead_record(run, dead))
            if finished.run_id == self.done.run_id:
                self.done = finished
            else:
                _recorded(run, finished)
            return
        intent = Intent(self.done.run_id, number, self.done.started, {}, run.versions)
        progress.begin(run.folder, run.progress, intent)
        self.done = self._write(rows, intent, self.done)

    def _write(self, rows: DataFrame, intent: Intent, record: RunRecord) -> RunRecord:
        batch = _batch(self.run, intent.run_id, intent.started, intent.batch, intent.versions, {})
        return _take(self.run, replace(batch, spark=rows.sparkSession), rows, record, {})


def _batch(
    run: _Run, run_id: str, now: datetime, number: int, versions: Mapping[str, int], summary: Mapping[str, Any]
) -> Batch:
    origin = str(run.plan.source.option("table") or run.plan.source.option("path") or run.plan.source.name)
    return Batch(run.plan, run.spark, run_id, now, run.progress.id, number, versions, origin, summary)


def _read(run: _Run, *, pin: Mapping[str, Any], versions: Mapping[str, int], incremental: bool | None = None) -> Read:
    plan = run.plan
    known, fields = None, contract_fields(plan)
    if fields is None and plan.source.name == "files" and plan.outputs and not plan.transforms:
        target = lake.snapshot(run.spark, plan.layout.table(plan.outputs[0]))
        known = _data_columns(target) if target else None
    return Read(
        plan.layout, plan.job.root, plan.job.config.layer, plan.read == "incremental" if incremental is None else incremental,
        pin, versions, run.progress.taken, fields, known,
        plan.job.config.layer == "bronze" or plan.source.option("rescued_data_column") is not None,
    )  # fmt: skip


def _data_columns(target: lake.Snapshot) -> Any:
    from pyspark.sql.types import StructType

    from lakehouse.frames import BRONZE_COLUMNS

    return StructType([column for column in target.schema if column.name not in BRONZE_COLUMNS])


def _pinned_inputs(plan: Plan, spark: SparkSession) -> dict[str, int]:
    """The versions at which this run reads the tables under `inputs`."""
    found = {}
    for name in plan.job.config.inputs:
        table = lake.snapshot(spark, plan.layout.table(name))
        if table is None:
            raise DataError(
                f"{plan.name}: the input {name} does not exist at {plan.layout.table(name)}; run the job that writes it first"
            )
        found[name] = table.version
    return found


def _required(run: _Run, name: str, place: str) -> lake.Snapshot:
    found = lake.snapshot(run.spark, place)
    if found is None:
        raise DataError(
            f"{run.plan.name}: the source {name} does not exist at {place}; run the job that writes it first"
        )
    return found


def _summary(pin: Mapping[str, Any]) -> dict[str, Any]:
    """The pinned input as a commit's note tells it."""
    files = pin.get("files")
    if files is None:
        return dict(pin)
    return {"files": len(files), "bytes": sum(size for _, size, _ in files), "first": files[0][0] if files else None,
            "last": files[-1][0] if files else None}  # fmt: skip


def _inputs(plan: Plan, batch: Batch, pin: Mapping[str, Any]) -> tuple[Input, ...]:
    tables = _table_inputs(batch.versions)
    files = pin.get("files")
    if files is not None:
        return (Input(batch.origin, files=len(files), bytes=sum(size for _, size, _ in files)), *tables)
    if "version" in pin:
        return (Input(batch.origin, version=pin["version"]), *tables)
    return tables


def _table_inputs(versions: Mapping[str, int]) -> tuple[Input, ...]:
    return tuple(Input(name, version=version) for name, version in versions.items())


def _stream_inputs(plan: Plan, query: Any) -> tuple[Input, ...]:
    """From which to which version of its table a stream read."""
    found = [json.loads(progress_.json)["sources"][0] for progress_ in query.recentProgress or []]
    if not found:
        return ()
    first, last = found[0]["startOffset"] or {}, found[-1]["endOffset"] or {}
    name = str(plan.source.option("table") or plan.source.option("path"))
    return (Input(name, version=last.get("reservoirVersion"), from_version=first.get("reservoirVersion")),)


def check_plan(plan: Plan, spark: SparkSession) -> list[str]:
    """Resolves a job's columns and SQL with Spark, where its inputs exist; raises ConfigError; reads and writes nothing."""
    session = job_session(spark, plan.job.config.spark)
    state, _ = progress.load(plan.layout.checkpoint(plan.name))
    now = runs.now()
    run = _Run(plan, session, RunRecord("plan", plan.name, plan.fingerprint, now), state, None, lambda _: None)
    try:
        run.versions = _pinned_inputs(plan, session)
        pin = next(_pins(run), None) if not plan.streams else _source_pin(run, _read(run, pin={}, versions={}))
    except DataError as missing:
        return [f"  (columns not checked: {missing})"]
    if pin is None:
        return ["  nothing new to read"]
    read = _read(run, pin=pin, versions=run.versions, incremental=False if plan.streams else None)
    _load(run, _batch(run, "plan", now, 0, run.versions, {}), read)
    files = pin.get("files")
    return [
        f"  next       {len(files):,} files" if files is not None else f"  next       {dict(pin) or 'the whole source'}"
    ]


def _with_outcome(record: RunRecord, outcome: Outcome, inputs: tuple[Input, ...]) -> RunRecord:
    """The record with a further batch in it."""
    counts = {name: getattr(record, name) + outcome.counts.get(name, 0) for name in runs.COUNTS}
    outputs = {item.name: item for item in record.outputs}
    for written in (*outcome.written, *((outcome.quarantined,) if outcome.quarantined else ())):
        before = outputs.get(written.target, Output(written.target))
        outputs[written.target] = Output(
            written.target,
            before.version if written.version is None else written.version,
            before.rows + written.rows,
            before.target_rows_inserted + written.target_inserted,
            before.target_rows_updated + written.target_updated,
            before.target_rows_deleted + written.target_deleted,
        )
    ignored = tuple(dict.fromkeys((*record.ignored_columns, *outcome.ignored)))
    return replace(record, **counts, outputs=tuple(outputs.values()), inputs=_summed(record.inputs, inputs),
                   batches=record.batches + 1, ignored_columns=ignored)  # fmt: skip


def _summed(before: tuple[Input, ...], more: tuple[Input, ...]) -> tuple[Input, ...]:
    """Inputs of several batches of one run: files add up, a table's version is the last."""
    known = {item.name: item for item in before}
    for item in more:
        earlier = known.get(item.name)
        if earlier is not None and item.files is not None and earlier.files is not None:
            item = replace(item, files=earlier.files + item.files, bytes=(earlier.bytes or 0) + (item.bytes or 0))
        known[item.name] = item
    return tuple(known.values())
