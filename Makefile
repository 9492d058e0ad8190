# What a platform engineer types. Everything is done by programs that work without make, too:
# python3 -m tools.setup, python -m local, python -m jobs.

PYTHON ?= python3
STACK ?= local
VENV_PYTHON := .venv/bin/python
# A file's tests stay in one process, with its fixtures. Tests with Docker are two lanes, each one after the other in one
# process, while the others do the rest (tests/conftest.py): those two wait more than they compute.
PARALLEL := -n auto --maxprocesses 8 --dist loadfile
WITH_DOCKER := -n $(shell expr $$(nproc) + 2) --maxprocesses 8 --dist loadfile
# In CI a test that does not run is a failure; only those that need a subscription may be skipped.
NO_SKIPS := $(if $(CI),--no-skips)

# Where this is set (containers, build machines), Python compiles the same modules at every start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup up preview golden destroy down clean test test-fast hostile chaos bench sbom pictures lint lock

help:           ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup:          ## prepare this machine: packages, Pulumi CLI, Azurite, a Docker engine (cached)
	@$(PYTHON) -m tools.setup all

up: setup       ## start the local Azure, deploy the stack "local", run the sample job, show its output
	@$(VENV_PYTHON) -m local tour

preview:        ## what `up` would change (STACK=local|dev|prod; dev and prod run offline)
	@$(PYTHON) -m tools.setup $(if $(filter local,$(STACK)),all,preview $(STACK))
	@$(VENV_PYTHON) -m local preview --stack $(STACK)

golden:         ## show what `up` of dev and prod and the bootstrap would do differently, and accept it (ci/golden)
	@$(PYTHON) -m tools.setup preview dev
	@$(VENV_PYTHON) -m ci.golden --accept
	@UPDATE_GOLDEN=1 $(VENV_PYTHON) -m pytest -q tests/infra/test_arm_bodies.py

destroy: setup  ## remove everything that `up` deployed, and show that nothing is left (asks; YES=1 does not)
	@$(VENV_PYTHON) -m local destroy

down:           ## stop every process that `up` started
	@if [ -x $(VENV_PYTHON) ]; then $(VENV_PYTHON) -m local stop; fi
	@$(PYTHON) -m tools.setup stop-engine

clean:          ## stop, and delete state, caches and packages of this checkout (says what is kept for all of them)
	@if [ -x $(VENV_PYTHON) ]; then $(VENV_PYTHON) -m local reset --yes --caches; fi
	@$(PYTHON) -m tools.setup stop-engine
	@rm -rf .build .local .venv local/azure/blobs/node_modules .pytest_cache .ruff_cache
	@$(PYTHON) -m tools.setup cache

test: setup     ## static checks, then all tests
	@$(PYTHON) -m tools.setup browser
	@$(VENV_PYTHON) -m tools.check
	@$(VENV_PYTHON) -m pytest $(NO_SKIPS) $(WITH_DOCKER)

test-fast:      ## the tests that need neither Docker nor root, in less than two minutes
	@$(PYTHON) -m tools.setup offline
	@$(VENV_PYTHON) -m pytest $(PARALLEL) -m "not docker and not azure and not thorough"

hostile:        ## 300 hostile services, by seed, against the submitter: kills, outages, disks, displays (minutes)
	@$(PYTHON) -m tools.setup offline
	@cd tests/jobs/submission && HOSTILE_SEEDS=300 $(CURDIR)/$(VENV_PYTHON) -m pytest -q -n 6 \
	  test_hostile.py test_hostile_submit.py test_submit_process.py test_pacer.py

bench:          ## measure the submitter beside the SDK and a bare loop (minutes; wants a quiet machine)
	@$(PYTHON) -m tools.setup offline
	@$(VENV_PYTHON) -m benchmarks

chaos: up       ## kill workers, nodes and the database at random, in processes and on nodes (CHAOS_RUNS=200, CHAOS_SEED=1)
	@$(VENV_PYTHON) -m tests.worker.chaos --runs $(or $(CHAOS_RUNS),200) --seed $(or $(CHAOS_SEED),1)
	@$(VENV_PYTHON) -m tests.scenarios.chaos --runs $(or $(CHAOS_RUNS),200) --seed $(or $(CHAOS_SEED),1)

sbom:           ## what is in the worker image, as CycloneDX (SBOM=worker.cdx.json; IMAGE=... adds its Debian packages)
	@$(PYTHON) -m tools.setup offline
	@$(VENV_PYTHON) -m tools.sbom $(if $(IMAGE),--image $(IMAGE)) $(or $(SBOM),worker.cdx.json)

pictures:       ## the pictures in docs/pictures, made with Chromium
	@$(PYTHON) -m tools.setup offline
	@$(PYTHON) -m tools.setup browser
	@$(VENV_PYTHON) -m tests.jobs.dashboard.pictures
	@$(VENV_PYTHON) -m tests.ci.pictures

lint:           ## the static checks, side by side (docs/ci.md)
	@$(PYTHON) -m tools.setup offline
	@$(VENV_PYTHON) -m tools.check

lock:           ## compile the pinned requirements again
	@set -e; for name in requirements requirements-dev tools/setup/requirements-uv tools/setup/requirements-go; do \
	  $(PYTHON) -m tools.setup uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --quiet --custom-compile-command "make lock" $$name.in -o $$name.txt \
	    $$([ $$name = requirements-dev ] && echo -c requirements.txt || true); done
