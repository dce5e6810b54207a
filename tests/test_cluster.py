"""Jobs on a cluster: a master and two workers, a lake on S3, every layer written by a user who may write that layer only."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from lakehouse.copying import upload_tree
from lakehouse.sample_data import write_shop
from postgres import Postgres
from servers import Minio, free_port, in_environment, minio, minio_program
from shop import ROOT, SCALE, finished, program, tables
from spark_cluster import PROPERTIES, SparkCluster, json_at, spark_cluster, wait_for

LAKE = "s3a://lake"
LAYERS = ("bronze", "silver", "gold")
USERS = (*LAYERS, "reader", "maintainer")


@dataclass(frozen=True)
class Store:
    """A MinIO whose bucket and users docker/minio/users.sh made."""

    server: Minio
    passwords: dict[str, str]

    def environment(self, user: str) -> dict[str, str]:
        own = {"AWS_ACCESS_KEY_ID": user, "AWS_SECRET_ACCESS_KEY": self.passwords[user]}
        return {**self.server.environment(), **own}

    def client(self, user: str):
        return boto3.client("s3", endpoint_url=self.server.endpoint, region_name="us-east-1",
                            aws_access_key_id=user, aws_secret_access_key=self.passwords[user])  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Iterator[Store]:
    passwords = {user: secrets.token_hex(16) for user in USERS}
    with minio() as server:
        address = server.endpoint.removeprefix("http://")
        environment = {
            "PATH": f"{minio_program().parent}:{os.environ['PATH']}",
            "MC_CONFIG_DIR": str(tmp_path_factory.mktemp("mc")),
            "MC_HOST_lake": f"http://{server.access_key}:{server.secret_key}@{address}",
            **{f"{user.upper()}_PASSWORD": password for user, password in passwords.items()},
        }
        for _ in range(2):  # once more changes nothing
            made = subprocess.run(
                ["sh", ROOT / "docker/minio/users.sh", ROOT / "deploy/policies"],
                env=environment,
                capture_output=True,
                text=True,
            )
            assert made.returncode == 0, made
        yield Store(server, passwords)


@pytest.fixture(scope="module")
def landing(store, tmp_path_factory) -> Path:
    """A local lake with a day of the shop in `landing`, and the same in the bucket."""
    lake = tmp_path_factory.mktemp("local") / "lake"
    write_shop(lake / "landing", days=1, scale=SCALE)
    with in_environment(store.environment("maintainer")):
        upload_tree(lake / "landing", f"{LAKE}/landing")
    return lake


@pytest.fixture
def cluster() -> Iterator[SparkCluster]:
    with spark_cluster() as running:
        yield running


def submitted(cluster: SparkCluster, store: Store, user: str, folder: Path, job: str, *more: str) -> subprocess.Popen:
    """The job as the user, on the cluster, by the command that the docs name; its page on the port that `more` says."""
    return on_cluster(cluster, folder, ROOT / f"jobs/{job}.py", *more, **store.environment(user), LAKE=LAKE)


def on_cluster(
    cluster: SparkCluster, folder: Path, script: Path, *more: str, words: tuple[str, ...] = (), **variables: str
) -> subprocess.Popen:
    """The script with its own words, on the cluster; `more` is spark-submit's, `variables` its environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
    environment |= {**cluster.environment(), **variables}
    command = ["./spark-submit.sh", "--master", cluster.url, "--properties-file", str(PROPERTIES), "--conf",
               f"spark.eventLog.dir=file://{folder}", *more, str(script), *words]  # fmt: skip
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, start_new_session=True)  # fmt: skip


@pytest.mark.soak
def test_a_job_whose_worker_dies_gives_the_table_of_a_local_run(cluster, store, landing, tmp_path):
    local = program(str(landing), "run", "bronze_orders", "silver_orders", "gold_dim_dates")
    finished(local)
    finished(submitted(cluster, store, "bronze", tmp_path, "bronze_orders"))

    page = f"http://127.0.0.1:{(port := free_port())}/api/v1/applications"
    job = submitted(cluster, store, "silver", tmp_path, "silver_orders", "--conf", f"spark.ui.port={port}")
    cluster.kill_worker_of(wait_for(lambda: at_work(page), "tasks of silver_orders", 180))
    wait_for(lambda: cluster.alive() == 1, "a master that misses its worker")
    assert job.poll() is None, "the job ended before its worker did"
    finished(job)

    finished(submitted(cluster, store, "gold", tmp_path, "gold_dim_dates"))
    there = in_the_bucket(store)
    here = tables(str(landing))
    assert (
        there.keys() == here.keys() >= {"bronze.orders", "silver.orders", "silver.orders__quarantine", "gold.dim_dates"}
    )
    for name, rows in here.items():
        assert there[name] == rows, name


def in_the_bucket(store: Store) -> dict[str, list[str]]:
    options = {**store.environment("maintainer"), "aws_conditional_put": "etag"}
    with in_environment(options):
        return tables(LAKE, options)


@pytest.mark.soak
def test_a_topic_and_a_database_reach_the_lake_through_the_cluster(
    cluster, store, landing, broker, database_server, tmp_path
):
    broker.topic("order_events", partitions=2)
    events = [
        line for file in sorted(landing.glob("landing/order_events/*")) for line in file.read_bytes().splitlines()
    ]
    broker.produce("order_events", events)
    half = ("--conf", "spark.cores.max=2")  # both at a time
    from_topic = on_cluster(cluster, tmp_path, ROOT / "jobs/bronze_order_events.py", *half, words=("--env", "kafka"),
                            **store.environment("bronze"), LAKE=LAKE, KAFKA_SERVERS=broker.servers)  # fmt: skip
    payments = filled(database_server)
    from_database = on_cluster(cluster, tmp_path, ROOT / "examples/postgres/jobs/silver_payments_pg.py", *half,
                               **store.environment("silver"), LAKE=LAKE, PAYMENTS_URL=database_server.jdbc(),
                               PAYMENTS_USER=database_server.user, PAYMENTS_PASSWORD=database_server.password)  # fmt: skip
    said = [finished(job) for job in (from_topic, from_database)]
    held = {name: len(rows) for name, rows in in_the_bucket(store).items()}
    assert held["bronze.order_events"] + held["bronze.order_events__quarantine"] == len(events), said
    assert held["silver.payments_pg"] + held["silver.payments_pg__quarantine"] == payments > 0, said


def filled(server: Postgres) -> int:
    """The database with the shop's payments: how many."""
    own = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGDATABASE": "postgres", "PGUSER": server.user,
           "PGPASSWORD": server.password, "SHOP_SCALE": str(SCALE)}  # fmt: skip
    script = [sys.executable, ROOT / "docker/shop_database.py"]
    done = subprocess.run(script, env={**os.environ, **own}, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


def at_work(page: str) -> str | None:
    """An executor of the page's application that has begun its work."""
    executors = json_at(f"{page}/{json_at(page)[0]['id']}/executors")
    return next((each["id"] for each in executors if each["id"] != "driver" and each["totalTasks"]), None)


HELD = """
import os, time
from pathlib import Path
from pyspark.sql import functions as F
from lakehouse import get_spark
from lakehouse.holding import held
rows, counts = held(get_spark().range(0, 1000, 1, 4).withColumn("n", (F.rand() * 1e9).cast("long")), F.count(F.lit(1)).alias("rows"))
before = rows.agg(F.sum("n")).first()
Path(os.environ["IS_HELD"]).touch()
while not Path(os.environ["IS_DEAD"]).exists():
    time.sleep(0.05)
print("the same" if rows.agg(F.sum("n")).first() == before and counts == {"rows": 1000} else "others")
"""


def test_rows_that_a_batch_holds_are_there_when_a_worker_dies(cluster, tmp_path):
    (tmp_path / "held.py").write_text(HELD)
    is_held, is_dead = tmp_path / "is_held", tmp_path / "is_dead"
    job = on_cluster(cluster, tmp_path, tmp_path / "held.py", IS_HELD=str(is_held), IS_DEAD=str(is_dead))
    wait_for(is_held.exists, "rows that are held", 180)
    cluster.kill_worker_of("0")
    wait_for(lambda: cluster.alive() == 1, "a master that misses its worker")
    is_dead.touch()
    assert "the same" in finished(job)


def test_a_job_is_refused_in_one_line_where_its_user_may_not_write(store, landing):
    ran = program(LAKE, "run", "bronze_customers", **store.environment("gold"))
    said, _ = ran.communicate(timeout=200)
    assert ran.returncode in (3, 4), said
    assert "Traceback" not in said
    assert "\tat " not in said
    keys = [item["Key"] for item in listed(store, "bronze/customers/")]
    assert keys == []


def listed(store: Store, prefix: str) -> list[dict]:
    return store.client("maintainer").list_objects_v2(Bucket="lake", Prefix=prefix).get("Contents", [])


# what each user may do to an object: g(et), p(ut), d(elete)
MAY = {
    "landing/orders/x.csv": {"bronze": "g"},
    "bronze/orders/x": {"bronze": "gpd", "silver": "g", "gold": "g", "reader": "g"},
    "silver/orders/x": {"silver": "gpd", "gold": "g", "reader": "g"},
    "silver/orders__quarantine/x": {"silver": "gpd", "gold": "g"},
    "gold/fct_orders/x": {"gold": "gpd", "reader": "g"},
    "_state/silver/orders/x": {"silver": "gpd"},
    "_checkpoints/bronze_orders/x": {"bronze": "gpd"},
    "_checkpoints/gold_daily/x": {"gold": "gpd"},
    "_leases/silver.orders.json": dict.fromkeys(LAYERS, "gpd"),
    "_runs/x": {**dict.fromkeys(LAYERS, "gpd"), "reader": "g"},
    "_quality/x": {**dict.fromkeys(LAYERS, "gpd"), "reader": "g"},
    "_batches/x": {**dict.fromkeys(LAYERS, "gpd"), "reader": "g"},
    "_demo/day": {},
    "elsewhere": {},
}


def test_each_user_may_do_what_its_policy_says_and_no_more(store):
    root = store.client("maintainer")
    for key, rights in MAY.items():
        root.put_object(Bucket="lake", Key=key, Body=b"x")
        for user in (*LAYERS, "reader"):
            client = store.client(user)
            may = allowed(lambda: client.get_object(Bucket="lake", Key=key), "g")  # noqa: B023 (called at once)
            may += allowed(lambda: client.put_object(Bucket="lake", Key=key, Body=b"y"), "p")  # noqa: B023
            may += allowed(lambda: client.delete_object(Bucket="lake", Key=key), "d")  # noqa: B023
            root.put_object(Bucket="lake", Key=key, Body=b"x")
            assert may == rights.get(user, ""), (user, key)
        root.delete_object(Bucket="lake", Key=key)


def test_no_user_of_the_lake_may_change_the_bucket_or_the_users(store):
    for user in USERS:
        client = store.client(user)
        assert not allowed(lambda: client.delete_bucket(Bucket="lake"), "x"), user  # noqa: B023
        assert not allowed(lambda: client.create_bucket(Bucket=f"own-{user}"), "x"), user  # noqa: B023
        open_to_all = '{"Version": "2012-10-17", "Statement": []}'
        assert not allowed(lambda: client.put_bucket_policy(Bucket="lake", Policy=open_to_all), "x"), user  # noqa: B023


def allowed(call, letter: str) -> str:
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied", error
        return ""
    return letter
