"""The sinks for change data: each trap by its name, and what the run record and the lake hold."""

from __future__ import annotations

from conftest import balanced

JOB = """
layer: silver
source:
  files: {path: data, format: csv}
schema: "id int, name string, at int, op string"
sink:
"""
SCD2 = (
    JOB
    + "  scd2: {table: silver.t, keys: [id], sequence_by: [at], apply_as_deletes: \"op = 'D'\", except_column_list: [op, at]}\n"
)
SCD1 = (
    JOB
    + "  scd1: {table: silver.t, keys: [id], sequence_by: [at], apply_as_deletes: \"op = 'D'\", apply_as_truncates: \"op = 'T'\", except_column_list: [op, at]}\n"
)


class Feed:
    """A job fed batch by batch with `id name at [op]`."""

    def __init__(self, project, job):
        self.project, self.count = project, 0
        project.job("x", job)

    def send(self, *events):
        self.count += 1
        lines = ["id,name,at,op", *[",".join([*event.split(), *[""] * (4 - len(event.split()))]) for event in events]]
        self.project.write(f"data/{self.count:03}.csv", "\n".join(lines).replace("-", "") + "\n")
        record = self.project.run("x")
        assert balanced(record)
        return record

    def versions(self, table="silver.t"):
        rows = self.project.rows(table)
        return sorted(f"{row['id']} {row['name']} {row['__START_AT']}..{row['__END_AT'] or ''}" for row in rows)

    def rows(self):
        return sorted(f"{row['id']} {row['name']}" for row in self.project.rows("silver.t"))


def test_a_late_event_inside_a_series_of_no_op_updates(project):
    feed = Feed(project, SCD2)
    feed.send("1 Alice 5")
    again = feed.send("1 Alice 15")
    assert (again.rows_unchanged, project.version("silver.t")) == (1, 0)
    late = feed.send("1 Bob 12")
    assert feed.versions() == ["1 Alice 15..", "1 Alice 5..12", "1 Bob 12..15"]
    assert (late.rows_inserted, late.outputs[0].target_rows_inserted, late.outputs[0].target_rows_updated) == (1, 2, 1)


def test_scd1(project):
    feed = Feed(project, SCD1)
    feed.send("1 a 5", "2 b 5", "3 c 9")
    feed.send("1 - 7 D", "2 z 4")
    assert feed.rows() == ["2 b", "3 c"]
    feed.send("1 late 6", "4 - 3 D")
    assert feed.rows() == ["2 b", "3 c"]
    feed.send("- - 6 T")
    assert feed.rows() == ["3 c"]
    feed.send("4 d 5", "5 e 7")
    assert feed.rows() == ["3 c", "5 e"]
