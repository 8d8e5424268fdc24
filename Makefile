PYTHON ?= python3
BIN := .venv/bin
RUN := OMP_NUM_THREADS=2 $(BIN)
READY := .venv/ready
# A process for each core, each with one thread: two thread pools on two cores would wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile \
	--no-loadscope-reorder

.PHONY: install install-spark demo bento serve test test-long check format docs notebooks screenshots \
	lock clean

demo: install  ## simulate a company, learn from it, score it, serve it
	$(RUN)/goldpan demo $(ARGS)

install: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Found $$($(PYTHON) --version); expected Python 3.11 or newer. Say which: make PYTHON=python3.12"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $(READY)

install-spark: install .venv/spark  ## PySpark, for `goldpan build --engine spark`

.venv/spark: requirements-spark.lock
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements-spark.lock
	touch .venv/spark

bento: install  ## build the service as a Bento, into BENTOML_HOME
	BENTOML_DO_NOT_TRACK=True $(BIN)/bentoml build --bentofile deploy/bentofile.yaml .

serve: install  ## serve what was promoted and scored
	$(RUN)/goldpan serve $(ARGS)

test: install  ## everything a newcomer should see pass
	$(PYTEST) -m "not slow" $(ARGS)

test-long: install  ## the same with the long campaigns
	GOLDPAN_EXAMPLES=100 $(PYTEST) $(ARGS)

check: install  ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install  ## write the page of all features again
	$(BIN)/python -m features.described > docs/features.md

# Markdown and PNG: what a code host shows. Tables as text: it would print the styles of HTML ones.
# One thread: on a busy machine, two wait for each other.
define SMALLER
import sys
from PIL import Image
for path in sys.argv[1:]:  # 128 colours: a third of the bytes, and no eye sees it
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)
endef
export SMALLER
RENDER := $(BIN)/python -m nbconvert --execute --to markdown --log-level WARN \
	--NbConvertBase.display_data_priority="['image/png', 'text/markdown', 'text/plain']"

notebooks: install  ## run the notebooks on the workspace of `make demo`, write docs/notebooks/ again
	rm -rf docs/.notebooks
	GOLDPAN_WORKSPACE=$(abspath $(or $(GOLDPAN_WORKSPACE),workspace)) OMP_NUM_THREADS=1 \
		$(RENDER) --output-dir docs/.notebooks notebooks/*.ipynb
	$(BIN)/python -c "$$SMALLER" docs/.notebooks/*/*.png
	rm -rf docs/notebooks
	mv docs/.notebooks docs/notebooks

screenshots: install  ## picture every page of the console on the workspace of `make demo`
	GOLDPAN_WORKSPACE=$(abspath $(or $(GOLDPAN_WORKSPACE),workspace)) $(BIN)/python -m docs.screenshots

LOCK := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet

lock: install  ## resolve the dependencies again, newest first
	$(LOCK) --upgrade pyproject.toml --extra dev --output-file requirements.lock
	$(LOCK) --group serving --constraints requirements.lock --output-file requirements-serving.lock
	echo 'pyspark>=4,<5' | $(LOCK) --constraints requirements.lock - --output-file requirements-spark.lock

clean:  ## remove what was made, not what was installed
	rm -rf workspace .mypy_cache .ruff_cache .pytest_cache .hypothesis
