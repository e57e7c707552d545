# `make demo` and `make test` are all a newcomer needs. VENV may point outside the clone (CI does that).
VENV ?= .venv
PYTHON ?= python3
SITE_VENV ?= .venv-site
BIN := $(VENV)/bin
STAMP := $(VENV)/.odekit-installed
# Two processes of one thread each are quicker than one of two: most networks in the tests are tiny.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile

# The report is tested in a real browser where there is one; .ci/run installs it.
BROWSER := $(if $(shell command -v chromium && command -v chromedriver),,and not browser)

.PHONY: demo test test-all goldens check format docs dist site install clean

install: $(STAMP)

# torch and torchvision come together from the registry, so that both are of one build; then what is wanted without its
# own dependencies; then odekit and all plugins.
$(STAMP): pyproject.toml requirements.txt requirements-nodeps.txt $(wildcard plugins/*/pyproject.toml)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q -r requirements.txt
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -r requirements-nodeps.txt
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e . $(foreach p,$(wildcard plugins/*/pyproject.toml),-e $(dir $(p)))
	touch $@

demo: $(STAMP)
	$(BIN)/odekit run odedit-plus examples/damaged -o demo-out --overwrite --keep-stages
	@echo "Before and after, side by side: demo-out/stages/*/sheet.png   Results: demo-out/*.png"

test: $(STAMP)
	$(if $(BROWSER),@echo "No chromium and chromedriver here: the report's browser tests are left out.")
	$(PYTEST) --timeout 900 -m "not long $(BROWSER)"
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy

test-all: $(STAMP) $(SITE_VENV)/.installed
	SITE_VENV="$(abspath $(SITE_VENV))" $(PYTEST)

# Compares all parts with the golden files of a folder: make goldens ODEKIT_GOLDENS=DIR
goldens: $(STAMP)
	ODEKIT_GOLDENS="$(ODEKIT_GOLDENS)" $(PYTEST) -m golden

check: $(STAMP)
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

docs: $(STAMP)
	$(BIN)/python -m pytest -q tests/test_docs.py

# Builds, checks, installs and tries wheel and sdist of odekit and of all plugins. DIST=--versions resolves other Pythons.
dist: $(STAMP)
	rm -rf dist
	$(BIN)/python tests/release.py $(DIST)

# The documentation site, in an environment of its own.
$(SITE_VENV)/.installed: requirements-site.txt
	$(PYTHON) -m venv $(SITE_VENV)
	$(SITE_VENV)/bin/python -m pip install -q -r requirements-site.txt
	touch $@

site: $(STAMP) $(SITE_VENV)/.installed
	$(BIN)/python docs/site/make_site.py --with $(SITE_VENV)/bin/mkdocs

clean:
	rm -rf .venv .venv-site site demo-out dist build .pytest_cache .mypy_cache .ruff_cache
