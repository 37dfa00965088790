# Every target sets itself up. `make` alone lists them.

VENV := .venv
PEERS := .venv-peers
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PEERS_INSTALLED := $(PEERS)/.installed
BENCHES ?= scorer gateway kept drift join platform memory swap replay
ARGS ?=
HOST ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint check-format check-rules check-types check-imports check-schemas
.PHONY: fix schemas bench bench-peers loadtest chaos clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

setup: $(INSTALLED)  ## make .venv with all that is needed; nothing to do when nothing changed

# The name of the distribution, its dependencies and their versions; code is used where it lies.
$(INSTALLED): pyproject.toml constraints.txt scripts/setup
	@sh scripts/setup $(VENV)
	@touch $@

demo: $(INSTALLED)  ## all of it on this machine, start to end (KEEP=1 leaves it running; ARGS="--act wine")
	@$(BIN)/atalaia demo --report state/demo.html $(if $(KEEP),--keep) $(ARGS)

test: $(INSTALLED)  ## all tests but the long chaos runs (ARGS="-k name" for some)
	@$(BIN)/pytest $(ARGS)

lint: check-format check-rules check-types check-imports check-schemas  ## everything that can be said without running

check-format: $(INSTALLED)
	@$(BIN)/ruff format --check --quiet || { echo "not formatted as agreed: run make fix" >&2; exit 1; }

check-rules: $(INSTALLED)
	@$(BIN)/ruff check --quiet

check-types: $(INSTALLED)
	@$(BIN)/mypy

check-imports: $(INSTALLED)
	@$(BIN)/lint-imports --no-logo

check-schemas: $(INSTALLED)
	@$(BIN)/atalaia schemas --check
	@$(BIN)/python -m services.gateway.openapi --check
	@$(BIN)/python -m services.gateway.grpc.generate --check

fix: $(INSTALLED)  ## format, and mend what can be mended
	@$(BIN)/ruff check --fix --quiet
	@$(BIN)/ruff format --quiet

schemas: $(INSTALLED)  ## write schemas/ anew, and the modules made from inference.proto
	@$(BIN)/atalaia schemas
	@$(BIN)/python -m services.gateway.openapi
	@$(BIN)/python -m services.gateway.grpc.generate

bench: $(INSTALLED)  ## all benchmarks (BENCHES=scorer for one)
	@set -e; for name in $(BENCHES); do $(BIN)/atalaia bench $$name; done

bench-peers: $(PEERS_INSTALLED)  ## the servers that the benchmarks compare with, in .venv-peers

$(PEERS_INSTALLED): bench/peers/requirements.txt scripts/setup | $(INSTALLED)
	@$(BIN)/python -m venv --clear $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

loadtest: $(INSTALLED)  ## 1, 5 and 10 users, then a constant rate (HOST=URL for a gateway that runs; ARGS)
	@$(BIN)/python -m loadtest $(if $(HOST),--host $(HOST)) $(ARGS)

chaos: $(INSTALLED)  ## kill processes at random under load, for minutes
	@$(BIN)/pytest -m chaos tests $(ARGS)

clean:  ## remove environments and caches
	rm -rf $(VENV) $(PEERS) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis
