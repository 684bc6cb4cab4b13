# `make demo` and `make test` are all the set-up a fresh machine needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --no-cache-dir install --quiet -c constraints.txt

# Caches of libraries stay in the checkout: nothing is left over in the home folder.
export HF_HOME := $(CURDIR)/$(VENV)/cache/huggingface
export HF_HUB_OFFLINE := 1
export XDG_CACHE_HOME := $(CURDIR)/$(VENV)/cache
export MPLCONFIGDIR := $(CURDIR)/$(VENV)/cache/matplotlib

LOWEST := .lowest

.PHONY: demo test test-slow test-lowest look screenshots chaos slurm size lint format bench build release docs docs-publish clean

demo: $(VENV)/.demo
	$(BIN)/goldsand run quickstart -o demo/corpus
	$(BIN)/goldsand probe junk-and-tags --corpus demo/corpus -o demo/probe
	@$(BIN)/goldsand report demo/corpus --probe demo/probe -o demo/report.html

test: $(VENV)/.dev lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -q -m slow

# The lower bounds of pyproject.toml, each exactly, in an environment of their own.
test-lowest: $(VENV)/.demo
	@rm -rf $(LOWEST) && $(PYTHON) -m venv $(LOWEST)
	@$(BIN)/python tests/lowest.py pins > $(LOWEST)/pins.txt
	@$(LOWEST)/bin/pip --disable-pip-version-check --no-cache-dir install --quiet -r $(LOWEST)/pins.txt
	@$(LOWEST)/bin/pip --disable-pip-version-check --no-cache-dir install --quiet --no-deps -e .
	@$(LOWEST)/bin/python tests/lowest.py smoke

# Every page in a real browser: needs Chromium (Debian: apt-get install chromium).
look: $(VENV)/.look
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m look tests/look

# Pictures of every page at each width, light and dark, into build/look; and docs/report.png, of the demo.
screenshots: $(VENV)/.look
	$(BIN)/python tests/look/look_pages.py build/look
	@test ! -d demo/probe || $(BIN)/python tests/look/demo_picture.py demo docs/report.png

chaos: $(VENV)/.dev
	$(BIN)/python tests/bench/chaos.py
	$(BIN)/python tests/bench/chaos_engines.py

# A Slurm array on this machine: needs root, and Debian's slurm-wlm and munge (apt-get install slurm-wlm munge).
slurm: $(VENV)/.dev
	$(BIN)/python tests/bench/slurm.py

# What the base installation weighs, on a disk (in memory a folder weighs nothing).
size: $(VENV)/.dev
	PYTEST_DEBUG_TEMPROOT=$${TMPDIR:-/tmp} $(BIN)/python -m pytest -q -s -m network tests/test_install_size.py

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

build: $(VENV)/.dev
	$(BIN)/python -m build --outdir dist

# Wheel and sdist, each tried in clean environments with every Python of pyproject.toml that is on this machine.
release: $(VENV)/.dev
	$(BIN)/python tests/release.py

# The documentation's site, to be opened as files: build/docs/site/index.html. Nothing in it asks another host.
docs: $(VENV)/.dev
	$(BIN)/python docs/make_site.py

# The same, put beside the versions that lie in TO: make docs-publish TO=../site
docs-publish: $(VENV)/.dev
	$(BIN)/python docs/make_site.py --publish $(TO)

$(VENV)/.demo: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "goldsand needs Python 3.11 or newer; say which: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@echo "installing goldsand into $(VENV) (about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) -e '.[probe]'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	@echo "installing what the tests need"
	@$(PIP) -e '.[probe,dev]'
	@touch $@

$(VENV)/.look: $(VENV)/.dev
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
		{ echo "pages are looked at in Chromium, which is not here (Debian: apt-get install chromium)"; exit 2; }
	@$(PIP) -e '.[probe,dev,look]'
	@touch $@

clean:
	rm -rf demo dist build *.egg-info $(LOWEST)
