"""The cluster of compose.yml for real: built, started, the demo run on it while a worker is killed, and taken down.

COMPOSE says what understands the file (`docker compose`, or `podman-compose`). It has a project name, ports and volumes of its
own, so a cluster that somebody works with is left alone. By hand, or `make test-cluster`; tests/test_cluster.py holds the same
topology as plain processes in `make test-all`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest
from confluent_kafka import Producer

from lakehouse import storage
from servers import free_port, in_environment
from shop import ROOT, SCALE, finished, program, tables
from spark_cluster import json_at, wait_for

COMPOSE = [
    *os.environ.get("COMPOSE", "docker compose").split(),
    "-p",
    "lakehouse-test",
    "-f",
    str(ROOT / "docker/compose.yml"),
]
PORTS = {
    name: str(free_port())
    for name in (
        "MINIO_PORT", "MINIO_CONSOLE_PORT", "MASTER_UI_PORT", "HISTORY_PORT", "JUPYTER_PORT", "KAFKA_PORT", "POSTGRES_PORT",
    )
}  # fmt: skip
MORE = ("--profile", "jupyter", "--profile", "kafka", "--profile", "postgres")
MASTER = f"http://127.0.0.1:{PORTS['MASTER_UI_PORT']}"


def started(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, **PORTS, "LAKEHOUSE_TAG": "test", "SHOP_SCALE": str(SCALE)}
    return subprocess.Popen([*COMPOSE, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            stdin=subprocess.DEVNULL, text=True)  # fmt: skip


def compose(*arguments: str, seconds: float = 300) -> str:
    return finished(started(*arguments), seconds)


def alive() -> int:
    return sum(worker["state"] == "ALIVE" for worker in json_at(f"{MASTER}/json/")["workers"])


def works_on_both() -> bool:
    """True where each of the application's two executors has run a task; its page is behind the master's."""
    name = json_at(f"{MASTER}/json/")["activeapps"][0]["id"]
    executors = json_at(f"{MASTER}/proxy/{name}/api/v1/applications/{name}/executors")
    return sum(bool(each["totalTasks"]) for each in executors if each["id"] != "driver") == 2


def passwords() -> dict[str, str]:
    return dict(line.split("=", 1) for line in (ROOT / "docker/.env").read_text().splitlines())


@pytest.fixture(scope="module")
def lake() -> Iterator[dict[str, str]]:
    """What reads the running cluster's lake from here."""
    subprocess.run([ROOT / "docker/secrets.sh"], check=True)
    options = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{PORTS['MINIO_PORT']}",
        "AWS_ACCESS_KEY_ID": "maintainer",
        "AWS_SECRET_ACCESS_KEY": passwords()["MAINTAINER_PASSWORD"],
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }
    try:
        compose("build", seconds=1800)
        compose("up", "-d")
        with in_environment(options):
            wait_for(lambda: alive() == 2, "two workers", 120)
            wait_for(has_bucket, "the bucket and its users", 120)
            yield options
    finally:
        compose(*MORE, "down", "--volumes")


def has_bucket() -> bool:
    try:
        storage.require_reachable("s3a://lake")
    except Exception as error:
        raise OSError from error
    return True


def test_the_demo_on_the_cluster_gives_the_tables_of_a_local_one_though_a_worker_is_killed(
    lake: dict[str, str], tmp_path: Path
) -> None:
    demo = started("--profile", "driver", "run", "--rm", "-T", "driver")
    wait_for(works_on_both, "executors on both workers", 600)
    compose("kill", "worker-2")
    wait_for(lambda: alive() == 1, "a master that misses its worker")
    assert demo.poll() is None, "the demo ended before its worker did"
    assert "day 1 took" in finished(demo, 1500)

    finished(program(str(tmp_path / "lake"), "demo"), 900)
    here, there = tables(str(tmp_path / "lake")), tables("s3a://lake", {**lake, "aws_conditional_put": "etag"})
    assert here.keys() == there.keys()
    for name, rows in here.items():
        assert there[name] == rows, name


def by_the_cluster(script: str, *words: str, **environment: str) -> str:
    """What a job says that the driver's container sends to the master, into a lake of its own."""
    given = [word for name, value in environment.items() for word in ("-e", f"{name}={value}")]
    sent = ("./spark-submit.sh", "--master=spark://master:7077", "--properties-file=docker/spark.properties", script)
    return compose("--profile", "driver", "run", "--rm", "-T", *given, "driver", *sent, *words, seconds=600)


def test_a_topic_and_a_database_of_the_cluster_reach_the_lake(lake: dict[str, str]) -> None:
    compose(*MORE, "up", "-d", "kafka", "postgres")
    own = {"enable.idempotence": True, "message.timeout.ms": 120_000}
    producer = Producer({"bootstrap.servers": f"127.0.0.1:{PORTS['KAFKA_PORT']}", **own})
    for number in range(100):
        event = {"event_id": f"E{number}", "order_id": "O1", "event_type": "paid", "amount": "12.50"}
        producer.produce("order_events", json.dumps({**event, "event_time": "2026-01-01T10:00:00Z"}))
    assert producer.flush(120) == 0
    there = {"LAKE": "s3a://lake/with-servers"}
    by_the_cluster("jobs/bronze_order_events.py", "--env", "kafka", KAFKA_SERVERS="kafka:19092", **there)
    filled = compose("--profile", "postgres", "run", "--rm", "-T", "shop-data")
    by_the_cluster("examples/postgres/jobs/silver_payments_pg.py", PAYMENTS_URL="jdbc:postgresql://postgres:5432/shop",
                   PAYMENTS_PASSWORD=passwords()["POSTGRES_PASSWORD"], **there)  # fmt: skip
    rows = tables(there["LAKE"], {**lake, "aws_conditional_put": "etag"})
    assert len(rows["bronze.order_events"]) == 100
    broken = rows.get("silver.payments_pg__quarantine", [])
    assert f"{len(rows['silver.payments_pg']) + len(broken)} payments" in filled


USED = """
from lakehouse import get_spark, read_table
get_spark().range(1000).write.format("delta").save("s3a://lake/bronze/numbers")
print(get_spark().sparkContext.master, read_table("bronze.numbers").count(), "rows")
"""


def test_jupyter_lets_its_token_in_and_works_with_the_cluster(lake: dict[str, str]) -> None:
    compose(*MORE, "build", "jupyter", seconds=1800)
    compose(*MORE, "up", "-d", "--no-deps", "jupyter")  # what it needs is up
    page = f"http://127.0.0.1:{PORTS['JUPYTER_PORT']}/api/status"
    wait_for(lambda: json_at(f"{page}?token={passwords()['JUPYTER_TOKEN']}"), "the page of JupyterLab", 120)
    with pytest.raises(HTTPError, match="403"):
        json_at(page)
    assert "spark://master:7077 1000 rows" in compose(*MORE, "exec", "-T", "jupyter", "python", "-c", USED)
    require_no_root("jupyter")


def test_no_container_runs_as_root_and_none_shows_a_secret_in_its_command(lake: dict[str, str]) -> None:
    for service in ("minio", "master", "worker-1", "history"):
        require_no_root(service)


def require_no_root(service: str) -> None:
    """Holds a service's first process to what compose.yml promises of it."""
    shown = compose(*MORE, "exec", "-T", service, "cat", "/proc/1/status", "/proc/1/cmdline")
    assert "Uid:\t10001\t10001" in shown, service
    assert "CapEff:\t0000000000000000" in shown, service
    assert not [value for value in passwords().values() if value in shown], service
