# make book    the quick edition of the book, from nothing but Python
# make test    the tests, notebooks included
PYTHON  ?= python3
EDITION ?= quick
CORES   ?= all

BIN   := .venv/bin
READY := .venv/ready
HTML  := _build/html/index.html

.PHONY: book run pages html test lint browser lock clean
.DELETE_ON_ERROR:

book: run
	$(MAKE) pages html
	@echo "The book is in $(HTML)"

# A run that fails does not end the build here: the next step names each one and ends it.
run: $(READY)
	-$(BIN)/snakemake --snakefile workflow/Snakefile --cores $(CORES) --config edition=$(EDITION)

pages: $(READY)
	$(BIN)/scgen pages --edition $(EDITION)

html: $(READY)
	$(BIN)/jupyter-book build . --all -W -n --keep-going
	$(BIN)/python tools/check_pages.py

test: $(READY)
	$(BIN)/python -m pytest -n auto --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# A Chromium, and a judge of accessibility, for the tests that open the book; they are skipped where there is none.
browser:
	tools/install-chromium
	tools/install-axe

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] <= (3, 13) else \
	  "Python 3.11 to 3.13 is needed, this is " + sys.version.split()[0] + "; give another with PYTHON=.")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

lock:
	uv pip compile pyproject.toml --extra docs --extra dev --extra cluster --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements.lock

clean:
	rm -rf _build book/executed book/generated results .snakemake
