# The lake of `make demo` is lake/, or where LAKE says: the environment reaches the jobs as it is.
.DEFAULT_GOAL := help
.PHONY: help setup demo notebook docs test fuzz lint bench clean environment
MAKEFLAGS += --no-print-directory
BIN := .venv/bin

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: environment ## makes .venv with all packages and JARs; finishes what was begun
	@echo "ready: .venv (source .venv/bin/activate, or ./spark-submit.sh)"

demo: environment ## the next day of the example shop, from landing files to gold
	@$(BIN)/lakehouse demo

notebook: environment ## Jupyter on notebooks/, with Spark, Delta and `lakehouse` found
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/jupyter lab notebooks

docs: environment ## the site of docs/, in artifacts/site; what it takes from the code is written anew
	@$(BIN)/python docs/pages.py
	@$(BIN)/python -m sphinx -W --keep-going -n -q -d artifacts/doctrees docs artifacts/site
	@echo "artifacts/site/index.html"

test: environment ## the whole suite, on real Spark, Delta, MinIO, Kafka, PostgreSQL and Chromium, with the coverage gate
	@conf/spark/minio.sh >/dev/null
	@conf/spark/kafka.sh >/dev/null
	@conf/spark/chromium.sh >/dev/null
	@$(BIN)/python -m pytest --cov --numprocesses $${TEST_PROCESSES:-2} --dist loadgroup

fuzz: environment ## 10,000 random change streams against the reference; FUZZ_SEED draws others
	@FUZZ_STREAMS=$${FUZZ_STREAMS:-10000} $(BIN)/python -m pytest tests/test_change_data_fuzz.py

lint: environment ## ruff and mypy
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

bench: environment ## the benchmarks; results in benchmarks/results
	@$(BIN)/python benchmarks/run.py

clean: ## removes what tests and tools left; the lake and .venv stay
	@rm -rf .pytest_cache .hypothesis .ruff_cache .mypy_cache .coverage .coverage.* artifacts spark-warehouse metastore_db derby.log hs_err_pid*.log
	@find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

environment:
	@conf/spark/setup.sh
