# The lake of `make demo` is lake/, or where LAKE says: the environment reaches the jobs as it is.
.DEFAULT_GOAL := help
.PHONY: help setup demo notebook docs test test-all servers fuzz lint bench up down cluster-demo test-cluster terraform clean environment
MAKEFLAGS += --no-print-directory
BIN := .venv/bin
# what understands docker/compose.yml: podman-compose does too
COMPOSE ?= docker compose
CLUSTER = $(COMPOSE) -f docker/compose.yml

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: environment ## makes .venv with all packages and JARs, and the schemas for editors; finishes what was begun
	@$(BIN)/lakehouse schema --to .schemas >/dev/null
	@echo "ready: .venv (source .venv/bin/activate, or ./spark-submit.sh)"

demo: environment ## the next day of the example shop, from landing files to gold
	@$(BIN)/lakehouse demo

notebook: environment ## Jupyter on notebooks/, with Spark, Delta and `lakehouse` found
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/jupyter lab notebooks

docs: environment ## the site of docs/, in artifacts/site; what it takes from the code is written anew
	@$(BIN)/python docs/pages.py
	@$(BIN)/python -m sphinx -W --keep-going -n -q -d artifacts/doctrees docs artifacts/site
	@echo "artifacts/site/index.html"

test: servers ## the suite, on real Spark, Delta, MinIO, Kafka, PostgreSQL and Chromium, with the coverage gate
	@$(BIN)/python -m pytest -m "not soak" --cov --numprocesses $${TEST_PROCESSES:-2}

test-all: servers ## the same with the long kill loops, the demo on S3 and a Spark cluster killed on the way
	@$(BIN)/python -m pytest --cov --numprocesses $${TEST_PROCESSES:-2}

fuzz: environment ## 10,000 random change streams against the reference; FUZZ_SEED draws others
	@FUZZ_STREAMS=$${FUZZ_STREAMS:-10000} $(BIN)/python -m pytest tests/test_change_data_fuzz.py

lint: environment ## ruff and mypy
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

bench: environment ## the benchmarks; results in benchmarks/results
	@$(BIN)/python benchmarks/run.py

up: ## MinIO and Spark in containers; COMPOSE_PROFILES=kafka,postgres,jupyter adds the rest
	@docker/secrets.sh
	@$(CLUSTER) up -d --build

down: ## stops the containers; the lake stays in its volume
	@$(CLUSTER) --profile driver --profile kafka --profile postgres --profile jupyter down

cluster-demo: up ## the next day of the shop, on that cluster
	@$(CLUSTER) --profile driver run --rm driver

test-cluster: environment ## builds the image, runs the demo on the cluster, kills a worker, compares; needs no `make up`
	@COMPOSE="$(COMPOSE)" PYTHONPATH=tests $(BIN)/python -m pytest docker/test_containers.py

terraform: ## checks deploy/terraform, with no account; needs Terraform 1.11
	@terraform fmt -check -recursive deploy/terraform
	@terraform -chdir=deploy/terraform init -backend=false -input=false >/dev/null
	@terraform -chdir=deploy/terraform validate
	@terraform -chdir=deploy/terraform test

clean: ## removes what tests and tools left; the lake and .venv stay
	@rm -rf .pytest_cache .hypothesis .ruff_cache .mypy_cache .coverage .coverage.* artifacts spark-warehouse metastore_db derby.log hs_err_pid*.log
	@find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

servers: environment
	@conf/spark/minio.sh >/dev/null
	@conf/spark/kafka.sh >/dev/null
	@conf/spark/chromium.sh >/dev/null

environment:
	@conf/spark/setup.sh
