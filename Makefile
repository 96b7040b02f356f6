# Needs python3 (3.11 or newer), make and git; everything else is set up in .venv.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test lint docs bench clients conformance browser sbom clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mlrules-mcp needs Python 3.11 or newer; set PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,http]' --group dev
	@touch $@

install: $(STAMP)  ## set up .venv

demo: $(STAMP)  ## run the main job on real input
	$(BIN)/python examples/demo.py

test: $(STAMP)  ## lint, types, import contracts and all tests
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: $(STAMP)  ## ruff, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP)  ## write what is generated: the compiled manifest and the rules reference
	$(BIN)/python -m mlrules_mcp.manifest.compiled
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/tools.py

bench: $(STAMP)  ## speed of analysis, command line and server start, beside others in the same run
	$(BIN)/python benchmarks/speed.py $(CORPUS)

clients: $(STAMP)  ## Claude Code, Codex, Gemini, the inspector and the TypeScript SDKs use the server (needs npm)
	$(BIN)/python -m tests.clients

conformance: $(STAMP)  ## the official MCP conformance suite, on both revisions (needs npm)
	$(BIN)/python -m tests.conformance

# Not part of `make test`, which needs no more than Python: this one needs Node 20, npm and Chromium (Debian: apt-get
# install nodejs npm chromium), and takes longer. What can be told of the pages without a browser, the tests tell.
OUT ?= build/browser
browser: $(STAMP)  ## look at the HTML pages in Chromium: accessibility, keyboard, console, network, screenshots
	cd benchmarks/browser && npm install --no-package-lock --ignore-scripts --no-audit --no-fund --silent
	PYTHON=$(abspath $(BIN)/python) node benchmarks/browser/run.mjs $(OUT)

sbom: $(STAMP)  ## what the slim image ships: a CycloneDX list and the licences, in build/
	$(PYTHON) -m venv --clear build/shipped
	build/shipped/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt '.[http]'
	build/shipped/bin/python -m pip uninstall --quiet --yes setuptools
	$(PYTHON) -m venv --clear build/sbom
	build/sbom/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	build/sbom/bin/python -m pip install --quiet --disable-pip-version-check --group sbom
	build/sbom/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml -o build/sbom.json build/shipped/bin/python
	build/sbom/bin/pip-licenses --python build/shipped/bin/python --from mixed --format markdown --output-file build/licences.md

clean:  ## remove the environment and all caches
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .node benchmarks/browser/node_modules
