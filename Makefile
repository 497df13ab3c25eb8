# make book    the quick edition of the book, from nothing but Python
# make test    the tests, notebooks included
PYTHON  ?= python3
EDITION ?= quick
CORES   ?= all

BIN   := .venv/bin
READY := .venv/ready
HTML  := _build/html/index.html
# The programs of a virtual environment know its place; in a checkout that was moved since it is made anew.
MOVED := $(shell test -L .venv || ! test -s $(READY) || test "$$(cat $(READY))" = "$$(pwd -P)" || echo moved)
# What a user has set for other projects: pip would install elsewhere, Python take other packages.
export PIP_USER := 0
unexport PIP_TARGET PIP_PREFIX PYTHONPATH PYTHONHOME

.PHONY: book run pages html test lint browser lock clean $(if $(MOVED),$(READY))
.DELETE_ON_ERROR:

book: run
	@$(MAKE) --no-print-directory pages html
	@echo "The book is in $(HTML)"

# It names each run that fails, and ends the build. Its profile is `default`, which Snakemake would say in a line more.
run: $(READY)
	@echo "Running the $(EDITION) edition"
	@$(BIN)/python -m snakemake --snakefile workflow/Snakefile --cores $(CORES) --config edition=$(EDITION) \
	  --workflow-profile none --rerun-triggers params --rerun-incomplete --nolock --keep-going --quiet progress rules host

pages: $(READY)
	@$(BIN)/python -m scgen_lib.cli pages --edition $(EDITION)

html: $(READY)
	@$(BIN)/python tools/build_book.py
	@$(BIN)/python tools/check_pages.py

test: $(READY)
	$(BIN)/python -m pytest -n auto --no-loadscope-reorder

lint: $(READY)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

# A Chromium, and a judge of accessibility, for the tests that open the book; they are skipped where there is none.
browser:
	tools/install-chromium
	tools/install-axe

$(READY): requirements.lock pyproject.toml
	$(PYTHON) tools/check-machine
	@echo "Installing the locked packages into .venv, some minutes"
	$(PYTHON) -m venv $(if $(MOVED),--clear) .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	pwd -P > $@

lock:
	uv pip compile pyproject.toml --extra book --extra dev --extra cluster --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements.lock

clean:
	rm -rf _build book/executed book/generated results .snakemake
