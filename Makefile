# Two commands matter: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
RUN := $(VENV)/bin/python
TORCH := $(shell sed -n 's/^\(torch==[^ ]*\).*/\1/p' requirements.txt)
MANAGE := $(RUN) manage.py
STUDY := demo/heart_disease/study.toml
DEMO := var/demo

.PHONY: help install install-dev demo demo-once demo-reset test check lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

install: $(VENV)/installed ## the set-up alone: .venv with everything that runs

install-dev: $(VENV)/installed-dev

# The lock pins and hashes everything but torch, whose file differs between platforms (CPU, CUDA).
$(VENV)/installed: requirements.lock requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "Cloister needs Python 3.11; install it or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(RUN) -m pip install --quiet --disable-pip-version-check $(TORCH)
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.lock
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(VENV)/installed ## four hospitals in the browser; Ctrl-C stops, again continues (PORT=8123)
	@exec $(MANAGE) demo --study $(STUDY) --folder $(DEMO)/installation --port $(or $(PORT),0)

demo-once: $(VENV)/installed ## the same without a person; EPSILON=0.1 for another target
	@rm -rf $(DEMO)/once
	@exec $(MANAGE) simulate $(STUDY) --folder $(DEMO)/once --json $(DEMO)/summary.json \
	  --out $(DEMO) $(if $(EPSILON),--epsilon $(EPSILON))

demo-reset: ## forget the demonstration
	rm -rf $(DEMO)

test: $(VENV)/installed-dev ## everything, real browser and both databases included
	@.ci/system-packages
	$(MAKE) --no-print-directory check
	$(RUN) -m pytest -n 2 --dist loadfile -q -m "not system and not browser"
	CLOISTER_TEST_DATABASE=postgresql $(RUN) -m pytest -n 2 --dist loadfile -q tests/studies tests/accounting tests/federation tests/pages
	$(RUN) -m pytest -n 2 --dist loadfile -q -m "system or browser"

check: $(VENV)/installed-dev ## lint, types on the pure packages, import contracts, migrations
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/djlint templates --lint --quiet
	$(MANAGE) makemigrations --check --dry-run
	$(MANAGE) generate --check
	CLOISTER_PUBLIC_URL=https://hub.example $(MANAGE) check --deploy --fail-level WARNING

lock: ## pin and hash again after a change of requirements
	$(RUN) -m pip install --quiet pip-tools
	for name in requirements requirements-dev; do \
	  source=$$name.txt; test -f $$source || source=$$name.in; \
	  $(VENV)/bin/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links \
	    --no-emit-trusted-host --unsafe-package torch --strip-extras --no-header -o $$name.lock $$source; \
	done

clean: ## remove .venv and every local run
	rm -rf $(VENV) var
