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

# A plugin whose needs clash with the common environment has requirements-NAME.txt, an environment of its own, and
# `make test-NAME`. A folder without a build system, such as a node pack, is not installed at all.
PROJECTS := $(shell grep -l '^\[build-system\]' plugins/*/pyproject.toml)
APART := $(filter $(patsubst requirements-%.txt,%,$(wildcard requirements-*.txt)),$(patsubst plugins/odekit-%/pyproject.toml,%,$(PROJECTS)))
TOGETHER := $(filter-out $(APART:%=plugins/odekit-%/pyproject.toml),$(PROJECTS))
APART_VENV ?= $(VENV)-
APART_STAMPS := $(APART:%=$(APART_VENV)%/.odekit-installed)

.PHONY: demo test test-all goldens check format docs figures figures-quick dist site install clean apart together test-comfyui test-ray-all $(APART:%=test-%)

install: $(STAMP)

# torch and torchvision come together from the registry, so that both are of one build; then what is wanted without its
# own dependencies; then odekit and all plugins.
$(STAMP): pyproject.toml requirements.txt requirements-nodeps.txt $(TOGETHER)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q -r requirements.txt
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -r requirements-nodeps.txt
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e . $(foreach p,$(TOGETHER),-e $(dir $(p)))
	touch $@

$(APART_STAMPS): $(APART_VENV)%/.odekit-installed: requirements-%.txt pyproject.toml plugins/odekit-%/pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install -q --upgrade pip
	$(@D)/bin/python -m pip install -q -r $<
	$(@D)/bin/python -m pip install -q --no-deps --no-build-isolation -e . -e plugins/odekit-$*
	touch $@

# For .ci/run: the names of these plugins, and the folders that the common environment holds.
apart:
	@echo $(APART)
together:
	@echo $(dir $(TOGETHER))

$(APART:%=test-%): test-%: $(APART_VENV)%/.odekit-installed
	$(if $(BROWSER),@echo "No chromium and chromedriver here: browser tests are left out.")
	OMP_NUM_THREADS=1 $(<D)/bin/python -m pytest -q --timeout 900 -m "not long $(BROWSER)" plugins/odekit-$*/tests

# The tests that `make test-ray` leaves out: 2,000 faces, while workers and drivers are killed.
test-ray-all: $(APART_VENV)ray/.odekit-installed
	OMP_NUM_THREADS=1 $(<D)/bin/python -m pytest -q plugins/odekit-ray/tests

demo: $(STAMP)
	$(BIN)/odekit run odedit-plus examples/damaged -o demo-out --overwrite --keep-stages
	@echo "Before and after, side by side: demo-out/stages/*/sheet.png   Results: demo-out/*.png"

test: $(STAMP)
	$(if $(BROWSER),@echo "No chromium and chromedriver here: the report's browser tests are left out.")
	$(PYTEST) --timeout 900 -m "not long $(BROWSER)"
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy

test-all: $(STAMP) $(SITE_VENV)/.installed test-ray-all
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

# After new weights: calibrations, tables and pictures anew, from DATA with faces64.npz, faces256/ and photos/. Goes on
# where it was stopped. figures-quick measures 20 faces and changes nothing in the checkout.
figures: $(STAMP)
	$(BIN)/python -m benchmarks figures --data "$(DATA)"
figures-quick: $(STAMP)
	$(BIN)/python -m benchmarks figures --data "$(DATA)" --quick

# Builds, checks, installs and tries wheel and sdist of odekit and of all plugins. DIST=--versions resolves other Pythons.
dist: $(STAMP)
	rm -rf dist
	$(BIN)/python tests/release.py $(DIST)

# Runs the workflow in a real ComfyUI without a window: COMFYUI_DIR=... make test-comfyui. See plugins/odekit-comfyui.
test-comfyui:
	$(PYTHON) plugins/odekit-comfyui/tests/real_comfyui.py "$(COMFYUI_DIR)"

# The documentation site, in an environment of its own.
$(SITE_VENV)/.installed: requirements-site.txt
	$(PYTHON) -m venv $(SITE_VENV)
	$(SITE_VENV)/bin/python -m pip install -q -r requirements-site.txt
	touch $@

site: $(STAMP) $(SITE_VENV)/.installed
	$(BIN)/python docs/site/make_site.py --with $(SITE_VENV)/bin/mkdocs

clean:
	rm -rf .venv .venv-* site demo-out dist build .pytest_cache .mypy_cache .ruff_cache
