# A bare machine needs python3 (>= 3.11, with venv and pip) and make; everything else is installed here into .venv.
PYTHON   ?= python3
SCENARIO ?= scenarios/quickstart.yaml
MODEL    ?=
VENV     := .venv
BIN      := $(VENV)/bin

.PHONY: run test check docs bench clean

run: $(VENV)/.run
	$(BIN)/agentsim run $(SCENARIO) --pull $(if $(MODEL),--model $(MODEL))

test: $(VENV)/.dev
	$(BIN)/pytest -n auto --dist worksteal

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

docs: $(VENV)/.docs
	rm -rf build/site
	$(BIN)/sphinx-build -q -W --keep-going -b html docs build/site
	$(BIN)/python docs/check_links.py build/site

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/sitting.py

clean:
	rm -rf $(VENV)

# The files below say which packages are in the environment; pyproject.toml says which ones are wanted.
$(VENV)/.run: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "agentsim needs Python 3.11 or newer; name one with PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing agentsim and what it needs into $(VENV) (about 1 GB on the disk, once) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[local]'
	touch $@

$(VENV)/.docs: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[local,docs]'
	touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[local,dev]'
	touch $@
