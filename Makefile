# Needs make and Python 3.11 or newer; everything else is installed into .venv, from hashed locks.

.DEFAULT_GOAL := help
.PHONY: help demo test test-oldest test-newest lint format bench bench-peers dashboards tools collector prometheus tempo compose lock clean

BIN := .venv/bin
INSTALL := sh scripts/install
HOUSE := pyproject.toml scripts/install requirements/installer.txt
NEWEST_TESTS := tests/test_*.py tests/stores tests/telemetry tests/traced tests/wire/test_cancellation.py \
	tests/wire/test_concurrency.py tests/wire/test_stream_endings.py

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' $(MAKEFILE_LIST) | awk -F@ '{printf "%-20s %s\n", $$1, $$2}'

demo: .venv/.runtime ## Run the demo: calls, spans, costs, metrics (DEMO="--serve" passes options)
	@$(BIN)/llm-otel demo $(DEMO)

test: .venv/.dev ## Run the tests (TESTS="tests/pricing -k tiers" picks some)
	@$(BIN)/python -m pytest --hypothesis-profile=ci $(TESTS)

test-oldest: .venv-oldest/.oldest ## Run what goes through LiteLLM on the oldest dependencies we allow (LiteLLM 1.105.0)
	@.venv-oldest/bin/python -m pytest --hypothesis-profile=ci -m wire $(or $(TESTS),tests/contract tests/demo tests/docs tests/wire)

test-newest: .venv-newest/.dev ## Run on the newest Python that we know to work (3.13) what a Python may break
	@.venv-newest/bin/python -m pytest --hypothesis-profile=ci $(or $(TESTS),$(NEWEST_TESTS))

lint: .venv/.dev ## Check style, types and layers
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: .venv/.dev ## Format, and fix what can be fixed safely
	@$(BIN)/ruff check --fix --quiet; $(BIN)/ruff format

bench: .venv/.dev ## Measure the overhead (quiet machine, please)
	@$(BIN)/python -m benchmarks

bench-peers: .venv-peers/.peers ## Measure the same beside OpenInference, OpenLLMetry, OpenLIT and LiteLLM's own callback
	@.venv-peers/bin/python -m benchmarks.peers

dashboards: .venv/.dev ## Write grafana/dashboards anew, from grafana/src
	@$(BIN)/python -m grafana.src

tools: collector prometheus tempo compose ## Build everything below that tests run (needs Go)

collector: ## Build the OpenTelemetry Collector that tests run, into .tools (needs Go; about five minutes the first time)
	@sh scripts/get-collector

prometheus: ## Build the Prometheus and Alertmanager that tests run, into .tools (needs Go; about eight minutes the first time)
	@sh scripts/get-prometheus

tempo: ## Build the Tempo that tests run, into .tools (needs Go 1.26; about twelve minutes the first time)
	@sh scripts/get-tempo

compose: ## Build the Docker Compose that reads docker-compose.yml in tests, into .tools (needs Go)
	@sh scripts/get-compose

lock: .venv/.dev ## Resolve requirements/*.txt anew (UPGRADE=--upgrade takes newer releases)
	@sh scripts/lock $(UPGRADE)

clean: ## Remove environments, caches and builds
	@rm -rf .venv .venv-oldest .venv-newest .venv-peers .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.runtime: requirements/runtime.txt $(HOUSE)
	@$(INSTALL) .venv $<
	@touch $@

# The development lock holds the runtime lock, at the same versions.
.venv/.dev: requirements/dev.txt requirements/runtime.txt $(HOUSE)
	@$(INSTALL) .venv $<
	@touch .venv/.runtime $@

.venv-oldest/.oldest: requirements/oldest.txt $(HOUSE)
	@$(INSTALL) .venv-oldest $<
	@touch $@

.venv-newest/.dev: requirements/dev.txt $(HOUSE)
	@PYTHON=$${PYTHON:-python3.13} $(INSTALL) .venv-newest $<
	@touch $@

.venv-peers/.peers: requirements/peers.txt $(HOUSE)
	@$(INSTALL) .venv-peers $<
	@touch $@
