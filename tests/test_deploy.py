"""What is shipped for containers and clouds, as files: fixed versions, nobody is root, nothing listens to the world, no secret."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker/compose.yml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text()
POLICIES = sorted((ROOT / "deploy/policies").glob("*.json"))
LAYERS = ("bronze", "silver", "gold")
ENDS = {"buckets", "driver", "shop-data"}  # these do their work and end: nothing to be healthy


def images() -> list[str]:
    """Every image that is not built here, as it is named where no variable says otherwise."""
    named = re.findall(r"\$\{[A-Z_]*IMAGE:-([^}]+)\}", (ROOT / "docker/compose.yml").read_text())
    return [*named, *re.findall(r"^ARG [A-Z]+_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE)]


def test_every_image_has_a_version_that_stays():
    assert len(images()) >= 5
    for image in images():
        assert re.search(r":\D*\d+[.\d-]", image), image
        assert "latest" not in image
    assert images().count("debian:bookworm-20251208-slim") == len([i for i in images() if i.startswith("debian")])


def test_up_starts_minio_and_spark_and_profiles_the_rest():
    without = {name for name, service in SERVICES.items() if not service.get("profiles")}
    assert without == {"minio", "buckets", "master", "worker-1", "worker-2", "history"}
    assert {profile for service in SERVICES.values() for profile in service.get("profiles", [])} == {
        "driver", "jupyter", "kafka", "postgres",
    }  # fmt: skip


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_nobody_listens_to_this_machine_alone_and_says_how_it_is(name):
    service = SERVICES[name]
    assert int(service["user"].split(":")[0]) > 0
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", []))
    assert service["healthcheck"].get("disable", False) == (name in ENDS)
    assert ("test" in service["healthcheck"]) != (name in ENDS)
    for volume in service.get("volumes", []):
        place = volume.split(":")[0]
        assert place in COMPOSE["volumes"] or (place.startswith("../") and volume.endswith(":ro")), volume


def test_what_is_built_here_is_asked_of_no_registry():
    built = {service["image"] for service in SERVICES.values() if "build" in service}
    for name, service in SERVICES.items():
        if service["image"] in built and "build" not in service:
            assert service["pull_policy"] == "never", name
        assert service["image"] in built or service["image"].startswith("${"), name


def test_no_password_stands_in_a_file_and_each_is_asked_for():
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|TOKEN", key):
                assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", str(value)), (name, key)
    assert "docker/.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_passwords_are_drawn_once_for_all_that_the_file_asks_for(tmp_path):
    script = tmp_path / "secrets.sh"
    script.write_text((ROOT / "docker/secrets.sh").read_text())
    subprocess.run(["sh", script], check=True)
    file = tmp_path / ".env"
    drawn = dict(line.split("=", 1) for line in file.read_text().splitlines())
    assert file.stat().st_mode & 0o777 == 0o600
    asked = set(re.findall(r"\$\{([A-Z_]+):\?", (ROOT / "docker/compose.yml").read_text()))
    assert asked == drawn.keys()
    assert len(set(drawn.values())) == len(drawn)
    assert all(len(value) >= 13 for value in drawn.values())
    subprocess.run(["sh", script], check=True)
    assert dict(line.split("=", 1) for line in file.read_text().splitlines()) == drawn


def test_the_image_runs_as_nobody_and_takes_packages_and_jars_by_hash():
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    last = {re.search(r" AS (\w+)", stage)[1]: re.findall(r"^USER (\S+)", stage, re.MULTILINE) for stage in stages}
    assert [last[name][-1] for name in ("spark", "jupyter", "minio")] == ["10001:10001"] * 3
    assert "conf/spark/setup.sh" in DOCKERFILE
    for line in re.findall(r"pip install.*", DOCKERFILE):
        assert "--require-hashes" in line
    for line in re.findall(r"apt-get install.*", DOCKERFILE):
        assert "--no-install-recommends" in line
    assert not re.search(r"^ADD |curl|wget", DOCKERFILE, re.MULTILINE)


def test_spark_asks_for_its_secret_and_encrypts_what_it_sends():
    text = (ROOT / "docker/spark.properties").read_text()
    given = dict(line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#"))
    assert given["spark.authenticate"] == given["spark.network.crypto.enabled"] == "true"
    assert not [key for key in given if "secret" in key]


@pytest.mark.parametrize("file", POLICIES, ids=lambda file: file.stem)
def test_a_policy_names_what_may_be_done_and_where(file):
    for statement in json.loads(file.read_text())["Statement"]:
        assert not [action for action in statement["Action"] if "*" in action]
        assert not [place for place in statement["Resource"] if not place.startswith("arn:aws:s3:::lake")]
        if "s3:PutObject" in statement["Action"] and file.stem in LAYERS:
            written = {place.removeprefix("arn:aws:s3:::lake/").split("/")[0] for place in statement["Resource"]}
            assert written.isdisjoint({*LAYERS, "landing", "*"} - {file.stem}), file


def test_the_image_takes_kubernetes_for_what_sparks_own_images_do(tmp_path):
    (tmp_path / "docker").mkdir()
    script = tmp_path / "docker/entrypoint.sh"
    script.write_text((ROOT / "docker/entrypoint.sh").read_text())
    for name in ("java", "spark-submit.sh"):
        (tmp_path / name).write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@"\n')
        (tmp_path / name).chmod(0o755)
    given = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SPARK_DRIVER_BIND_ADDRESS": "10.0.0.1"}
    given |= {f"SPARK_EXECUTOR_{name}": name for name in ("MEMORY", "ID", "CORES", "POD_IP", "POD_NAME")}
    given |= {"SPARK_DRIVER_URL": "url", "SPARK_APPLICATION_ID": "app", "SPARK_RESOURCE_PROFILE_ID": "0"}
    given |= {"SPARK_JAVA_OPT_0": "-Da=b c", "SPARK_JAVA_OPT_1": "-Dd"}

    def started(*arguments: str) -> list[str]:
        return subprocess.run(
            ["sh", script, *arguments], env=given, check=True, capture_output=True, text=True
        ).stdout.splitlines()

    assert started("driver", "--class", "C", "local:///x.py") == [
        "spark-submit.sh", "--conf", "spark.driver.bindAddress=10.0.0.1", "--deploy-mode", "client", "--class", "C", "local:///x.py",
    ]  # fmt: skip
    executor = started("executor")
    assert executor[:5] == ["java", "-Da=b c", "-Dd", "-XmsMEMORY", "-XmxMEMORY"]
    backend = executor.index("org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend")
    assert dict(zip(executor[backend + 1 :: 2], executor[backend + 2 :: 2], strict=True)) == {
        "--driver-url": "url", "--executor-id": "ID", "--cores": "CORES", "--app-id": "app", "--hostname": "POD_IP",
        "--resourceProfileId": "0", "--podName": "POD_NAME",
    }  # fmt: skip
    assert started("echo", "what it is given") == ["what it is given"]


def test_pods_are_held_to_what_a_restricted_namespace_asks_for():
    job = yaml.safe_load((ROOT / "deploy/kubernetes/silver-orders.yaml").read_text())
    pod = yaml.safe_load((ROOT / "deploy/kubernetes/pod.yaml").read_text())["spec"]
    template = {**pod["securityContext"], **pod["containers"][0]["securityContext"]}
    for context in (job["spec"]["driver"]["securityContext"], job["spec"]["executor"]["securityContext"], template):
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == 10001
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not job["spec"]["image"].endswith(":latest")
    assert job["spec"]["sparkVersion"] in (ROOT / "pyproject.toml").read_text()
    script = Path(job["spec"]["mainApplicationFile"].removeprefix("local:///opt/lakehouse/"))
    assert (ROOT / script).is_file()
    accounts = [each for each in yaml.safe_load_all((ROOT / "deploy/kubernetes/cluster.yaml").read_text())
                if each["kind"] == "ServiceAccount"]  # fmt: skip
    assert job["spec"]["driver"]["serviceAccount"] in {account["metadata"]["name"] for account in accounts}
