# The only door to this repository. `make help` explains every target.
# Needs Python 3.11 (3.12 and 3.13 do too) and make; everything else is installed below .venv from the locks in deploy/locks, checksums verified.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PIP_TRAINING := .venv-training/bin/python -m pip --disable-pip-version-check
# Our own two distributions, importable from this folder. Their dependencies are in the locks.
OURSELVES := --no-deps --no-build-isolation --editable services/client --editable .
PROJECTS := pyproject.toml services/client/pyproject.toml
# Node.js comes from the test environment, its packages are below .venv/node.
WITH_NODE := PATH="$(CURDIR)/$(BIN):$(CURDIR)/.venv/node/node_modules/.bin:$$PATH" NODE_PATH="$(CURDIR)/.venv/node/node_modules"

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*?## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*?## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Try it

.PHONY: demo
demo: .venv/.demo-stamp ## Import MovieLens, fit recommenders, start the mesh, print recommendations with explanations
	@$(BIN)/marquee demo

.PHONY: demo-clip
demo-clip: .venv/.demo-stamp ## Record a minute of Freedoom, find its events and highlights, draw them
	@$(BIN)/marquee demo clip

.PHONY: up
up: .venv/.demo-stamp ## Start the four services on localhost and follow their logs; Ctrl-C stops them all
	@$(BIN)/marquee up

.PHONY: setup
setup: .venv/.test-stamp .venv/node/.stamp ## Install everything that development needs, without running anything

##@ Check it

.PHONY: test
test: .venv/.test-stamp .venv/node/.stamp postgresql prometheus helm ## Run all tests: unit, contract, end to end with real processes, short quality tests
	@$(WITH_NODE) $(BIN)/pytest -m "not slow" $(ARGS)

.PHONY: test-unit
test-unit: .venv/.test-stamp postgresql prometheus helm ## Run the unit tests only; ARGS="-k name" picks some
	@$(BIN)/pytest tests/unit $(ARGS)

.PHONY: test-training
test-training: .venv-training/.stamp ## Run the tests that need torch, in the environment that has it
	@.venv-training/bin/python -m pytest tests/unit/services/text/training tests/unit/services/vision/training $(ARGS)

.PHONY: postgresql
postgresql: ## Install PostgreSQL for the tests from Debian's packages, when it is missing and we are root
	@deploy/postgresql.sh

.PHONY: prometheus
prometheus: ## Install promtool for the tests of alerts and dashboards from Debian's packages, when it is missing and we are root
	@deploy/prometheus.sh

.PHONY: alerts-test
alerts-test: .venv/.test-stamp prometheus ## Test that every alert fires when it must and else stays silent, and every query of the dashboards
	@$(BIN)/pytest tests/unit/deploy/alerts tests/unit/deploy/dashboards $(ARGS)

.PHONY: lint
lint: lint-code lint-types lint-imports lint-spelling lint-contracts lint-locks ## Run every linter; each also stands alone

.PHONY: lint-code
lint-code: .venv/.test-stamp ## Lint: ruff, and that ruff would format nothing
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

.PHONY: lint-types
lint-types: .venv/.test-stamp ## Lint: mypy, strict
	@$(BIN)/mypy

.PHONY: lint-imports
lint-imports: .venv/.test-stamp ## Lint: which room may import which
	@$(BIN)/lint-imports --no-cache

.PHONY: lint-spelling
lint-spelling: .venv/.test-stamp ## Lint: spelling
	@$(BIN)/codespell

.PHONY: lint-contracts
lint-contracts: .venv/.test-stamp .venv/node/.stamp ## Lint: buf, its format, and that the generated Python is not stale
	@cd protos && $(WITH_NODE) buf lint
	@cd protos && $(WITH_NODE) buf format --diff --exit-code
	@$(BIN)/python protos/generate.py --check

.PHONY: lint-locks
lint-locks: .venv/.test-stamp ## Lint: the locks fit pyproject.toml and each other
	@$(BIN)/python deploy/locks/compile.py --check

.PHONY: format
format: .venv/.test-stamp .venv/node/.stamp ## Format the code and the contracts, and fix what ruff can fix
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format
	@cd protos && $(WITH_NODE) buf format --write

.PHONY: quality
quality: .venv/.test-stamp ## Measure everything that has a quality: text, vision, then the recommender on MovieLens; each also stands alone
	@status=0; $(MAKE) --no-print-directory quality-text || status=1; $(MAKE) --no-print-directory quality-vision ARGS= || status=1; \
	  $(BIN)/python -m tests.quality.recommendation $(ARGS) || status=1; exit $$status

.PHONY: quality-text
quality-text: .venv/.test-stamp ## Measure the text models and moderation as served, search and writing; about 4 minutes. Fails while a floor is missed
	@$(BIN)/python -m tests.quality.text

.PHONY: quality-vision
quality-vision: .venv-training/.stamp ## Measure the vision models on held-out maps, seeds and pictures, in the environment that has the games. Fails while a floor is missed
	@.venv-training/bin/python -m tests.quality.vision $(ARGS)

.PHONY: latency
latency: .venv/.test-stamp ## Measure Recommend for one warm caller: p50 and p99 with each step's share
	@$(BIN)/python -m tests.load.recommend_latency $(ARGS)

.PHONY: load
load: .venv/.test-stamp ## Load-test a running mesh and report honestly; ARGS="browse --rate 50"
	@$(BIN)/marquee load $(ARGS)

.PHONY: locust
locust: .venv/.test-stamp ## Load-test a running mesh with Locust; ARGS="--headless -u 50 -r 10 -t 60s"
	@$(BIN)/python -m locust -f tests/load/locustfile.py --host $${MARQUEE_TARGET:-127.0.0.1:50060} $(ARGS)

.PHONY: bench
bench: .venv/.test-stamp ## Benchmark Marquee against in-process ONNX Runtime; ARGS=--quick takes a minute, ARGS=--help lists more
	@$(BIN)/python -m tests.load.benchmark $(ARGS)

.PHONY: bench-store
bench-store: .venv/.test-stamp postgresql ## Measure the store on SQLite and PostgreSQL side by side; ARGS="--events 100000 --items 10000" is short
	@$(BIN)/python -m tests.load.store $(ARGS)

.PHONY: bench-scale
bench-scale: .venv/.test-stamp ## Fit and serve 100,000 items with 1,000,000 events, about 15 minutes; ARGS="--items 30000 --events 200000" is short
	@$(BIN)/python -m tests.load.large_catalogue $(ARGS)

.PHONY: bench-chat
bench-chat: .venv/.test-stamp ## Measure how many chat messages a second a running mesh moderates with p99 within 100 ms
	@$(BIN)/python -m tests.load.live_chat $(ARGS)

.PHONY: chat-replay
chat-replay: .venv/.test-stamp ## Moderate 10,000 real chat-like lines and draw what was done; ARGS="--picture moderation.png"
	@$(BIN)/python -m tests.load.chat_replay $(ARGS)

.PHONY: bench-generation
bench-generation: .venv/.test-stamp ## Measure tokens a second and the time to the first token against a plain loop; ARGS="--rounds 3 --repeats 8"
	@$(BIN)/python -m tests.load.generation $(ARGS)

.PHONY: bench-text
bench-text: .venv/.test-stamp ## Measure what the services add to the models that read texts, in processor time above in-process
	@$(BIN)/python -m tests.load.text_overhead $(ARGS)

.PHONY: bench-vision
bench-vision: .venv/.test-stamp ## Measure what the vision service adds to its picture models, in processor time above in-process
	@$(BIN)/python -m tests.load.vision_overhead $(ARGS)

.PHONY: bench-search
bench-search: .venv/.test-stamp ## Measure the time of Search, on MovieLens and on 100,000 synthetic items
	@$(BIN)/python -m tests.load.search_latency $(ARGS)

.PHONY: bench-video
bench-video: .venv/.test-stamp ## Measure video frames a second, the multiple of real time and the peak memory of 10 minutes; ARGS="--minutes 1 --tiny"
	@$(BIN)/python -m tests.load.video_speed $(ARGS)

.PHONY: video-soak
video-soak: .venv/.test-stamp ## Open and cut video streams at random for 10 minutes; fails unless memory is flat; ARGS="--minutes 1"
	@$(BIN)/python -m tests.load.video_soak $(ARGS)

.PHONY: bench-peers
bench-peers: .venv-bench-triton/.stamp .venv-bench-mlserver/.stamp ## Install Triton and MLServer for `make bench`, each in an environment of its own

.PHONY: bench-gpu
bench-gpu: .venv/.test-stamp ## The same on CUDA and TensorRT; says so and ends where there is no GPU
	@$(BIN)/python -m tests.load.benchmark --gpu $(ARGS)

.PHONY: chaos
chaos: .venv/.test-stamp ## Break every part of a running mesh under load and count what is lost; ARGS=--short takes a minute
	@$(BIN)/python -m tests.chaos $(ARGS)

##@ Make it

.PHONY: proto
proto: .venv/.test-stamp ## Generate the Python contracts from protos/
	@$(BIN)/python protos/generate.py

.PHONY: models
models: .venv-training/.stamp ## Rebuild the committed models from their sources with torch, ending with parity (ARGS narrows it)
	@.venv-training/bin/python -m services.runtime.training.rebuild $(ARGS)

.PHONY: train
train: .venv-training/.stamp ## Fit for a running mesh where torch is installed, for example ARGS="--with transformer"
	@.venv-training/bin/marquee train $(ARGS)

.PHONY: models-add
models-add: .venv-training/.stamp ## Import a published checkpoint where torch is installed, for example ARGS="hf:./my-model --yes"
	@.venv-training/bin/marquee models add $(ARGS)

.PHONY: dashboards
dashboards: .venv/.test-stamp ## Write the Grafana dashboards from deploy/dashboards/*.py
	@$(BIN)/python -m deploy.dashboards

.PHONY: dashboards-pictures
dashboards-pictures: .venv/.test-stamp prometheus ## Draw the dashboards and a trace for the docs: a mesh of its own under load for some minutes, scraped by Prometheus
	@$(BIN)/python -m deploy.dashboards.pictures $(ARGS)

.PHONY: locks
locks: .venv/.test-stamp ## Resolve deploy/locks again after a change of pyproject.toml; ARGS=--upgrade takes newer versions
	@$(BIN)/python deploy/locks/compile.py $(ARGS)
	@cd deploy/locks/node && $(WITH_NODE) npm install --package-lock-only --ignore-scripts --no-audit --no-fund

.PHONY: clean
clean: ## Remove caches and build outputs
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

.PHONY: clean-all
clean-all: clean ## Also remove the environments and everything fetched or fitted: .venv, .venv-training, .data
	@rm -rf .venv .venv-training .data .cache/images deploy/images/wheels/*.whl

##@ Ship it

.PHONY: images
images: .venv/.demo-stamp container-engine ## Build the images with docker or podman; ARGS="classical --tag x", ARGS=--help lists more
	@$(BIN)/python -m deploy.images.build $(ARGS)

.PHONY: base-image
base-image: .venv/.demo-stamp container-engine ## Make a base image from Debian's packages, where no public one can be pulled
	@$(BIN)/python -m deploy.images.build --base-image

.PHONY: images-report
images-report: .venv/.demo-stamp ## Print the sizes of the images that are built
	@$(BIN)/python -m deploy.images.build --report $(ARGS)

.PHONY: images-locks
images-locks: .venv/.test-stamp ## Resolve the locks of what builds an image, and of CUDA; ARGS=--upgrade takes newer versions
	@for name in tools cuda; do $(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-header \
	  --annotation-style line --no-emit-index-url --no-emit-find-links --output-file deploy/images/$$name.txt $(ARGS) deploy/images/$$name.in; done

.PHONY: container-engine
container-engine: ## Install podman from Debian's packages, when no engine is there and we are root
	@deploy/images/engine.sh

.PHONY: container-test
container-test: .venv/.test-stamp container-engine helm ## Run the mesh in containers as the chart says, first building images that are missing or stale; ARGS="-k test_mesh" picks some
	@$(BIN)/python -m tests.e2e.containers.images
	@$(BIN)/pytest tests/e2e/containers $(ARGS)

.PHONY: cluster-test
cluster-test: .venv/.test-stamp helm ## Install, load, restart, scale and uninstall on the cluster of your kubeconfig; settings: tests/cluster/settings.py
	@$(BIN)/pytest tests/cluster $(ARGS)

.PHONY: chart
chart: chart-lint chart-check chart-package ## Check the Helm chart in every way, then package it into dist/

.PHONY: chart-lint
chart-lint: .venv/.test-stamp helm ## Lint the chart, render it with every pair of its switches, and that README, overlays and copies are not stale
	@$(BIN)/pytest --quiet tests/unit/charts $(ARGS)

.PHONY: chart-docs
chart-docs: .venv/.test-stamp ## Write the chart's README from values.yaml, and copy alerts and dashboards into the chart
	@$(BIN)/python -m deploy.chart.values_reference
	@$(BIN)/python -m deploy.chart.copies

.PHONY: chart-kustomize
chart-kustomize: .venv/.test-stamp helm ## Render the overlays of deploy/kustomize from the chart
	@$(BIN)/python -m deploy.chart.overlays

.PHONY: chart-check
chart-check: .venv-chart/.stamp .venv/.test-stamp helm ## Hold the overlays against the schemas of Kubernetes 1.30 to 1.36 and the rules of checkov
	@.venv-chart/bin/python -m deploy.chart.validate deploy/kustomize/*/manifest.yaml
	@.venv-chart/bin/checkov --config-file deploy/chart/checkov.yaml $(foreach name,dev gpu ha,--file deploy/kustomize/$(name)/manifest.yaml)

.PHONY: chart-tools
chart-tools: .venv-chart/.stamp helm ## Install what checks the chart: Helm, kubectl, kubernetes-validate, checkov

.PHONY: chart-package
chart-package: .venv/.test-stamp helm ## Package the chart into dist/
	@$(BIN)/python -m deploy.chart.package

.PHONY: helm
helm: .venv/.test-stamp ## Fetch Helm and kubectl where they are not installed; without them the chart's tests are skipped
	@$(WITH_NODE) $(BIN)/python -m deploy.chart.tools || true

# --- environments: a stamp file each, made again when its lock or a pyproject.toml changes ------------------------------------------

.PHONY: python-version
python-version:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || { \
	  echo "Marquee needs Python 3.11, 3.12 or 3.13; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)."; \
	  echo "Name one that is: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; } >&2

.venv/pyvenv.cfg: | python-version
	@echo "Creating the environment .venv"
	@$(PYTHON) -m venv .venv || { echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu install python3-venv." >&2; rm -rf .venv; exit 1; }

.venv/.demo-stamp: deploy/locks/demo.txt $(PROJECTS) | .venv/pyvenv.cfg
	@echo "Installing the demo's packages from deploy/locks/demo.txt (once; about a minute)"
	@$(PIP) install --quiet --require-hashes --requirement deploy/locks/demo.txt
	@$(PIP) install --quiet $(OURSELVES)
	@$(BIN)/python -c 'import importlib.util, sys; sys.exit("torch must not be in this environment" if importlib.util.find_spec("torch") else 0)'
	@touch $@

.venv/.test-stamp: deploy/locks/test.txt $(PROJECTS) | .venv/pyvenv.cfg
	@echo "Installing the demo's, the tests' and the linters' packages from deploy/locks/test.txt (once; about two minutes)"
	@$(PIP) install --quiet --require-hashes --requirement deploy/locks/test.txt
	@$(PIP) install --quiet $(OURSELVES)
	@touch .venv/.demo-stamp $@

.venv/node/.stamp: deploy/locks/node/package.json deploy/locks/node/package-lock.json | .venv/.test-stamp
	@echo "Installing Node.js packages from deploy/locks/node (once)"
	@mkdir -p .venv/node && cp deploy/locks/node/*.json .venv/node/
	@cd .venv/node && $(WITH_NODE) npm install --silent --no-save --ignore-scripts --no-audit --no-fund
	@touch $@

.venv-training/.stamp: deploy/locks/training.txt $(PROJECTS) | python-version
	@echo "Installing torch and the exporters from deploy/locks/training.txt (once; some minutes)"
	@$(PYTHON) -m venv .venv-training
	@$(PIP_TRAINING) install --quiet --requirement deploy/locks/training.txt
	@$(PIP_TRAINING) install --quiet $(OURSELVES)
	@touch $@

.venv-bench-%/.stamp: deploy/locks/bench-%.txt | python-version
	@echo "Installing a peer of the benchmark from deploy/locks/bench-$*.txt (once; some minutes)"
	@test -e .venv-bench-$*/bin/python || $(PYTHON) -m venv .venv-bench-$*
	@.venv-bench-$*/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --requirement deploy/locks/bench-$*.txt
	@touch $@

.venv-chart/.stamp: deploy/locks/chart.txt | python-version
	@echo "Installing what checks the Helm chart from deploy/locks/chart.txt (once; about a minute)"
	@test -e .venv-chart/bin/python || $(PYTHON) -m venv .venv-chart
	@.venv-chart/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --requirement deploy/locks/chart.txt
	@touch $@
