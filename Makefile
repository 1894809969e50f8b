# Every target makes .venv if there is none. LOCK= installs the newest versions that pyproject.toml admits.
PYTHON ?= python3
LOCK ?= requirements.lock
PY := .venv/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check $(if $(LOCK),-c $(LOCK))
export OMP_NUM_THREADS ?= 1

.PHONY: help book serve slides pdf test check pages nbval colab report tiers kills fuzz seeds bench bench-grading lock clean

help:
	@echo "make book   execute the notebooks and build the HTML into _build/html"
	@echo "make serve  build it and open it at http://localhost:8000"
	@echo "make slides the chapters as reveal.js decks; make pdf  the whole book as one PDF"
	@echo "make test   every check: style, laws, labs, book, pages in Chromium, nbval"
	@echo "make check  the quick ones: style and the laws of the library and the grader"
	@echo "make nbval  execute the published notebooks again and compare what they print"
	@echo "make colab  run every published notebook in a fresh environment with Colab's versions"
	@echo "make report weigh the pages and time them in Chromium"
	@echo "make tiers  every adversarial submission in all three tiers;  make kills  100 kills of the grader"
	@echo "make fuzz   10 000 cases for each reader of strangers' bytes;  make bench-grading  CPU and memory of a batch"
	@echo "make seeds  train every lab's solution with ten more seeds and compare with the thresholds"
	@echo "make bench  time gmtools against hand-written floors and its peers"
	@echo "make lock   write the versions in .venv to $(LOCK);  make clean  remove what was built"

.venv/bin/python:
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || .ci/system-packages python3-venv
	$(PYTHON) -m venv .venv

.venv/installed-%: pyproject.toml $(LOCK) | .venv/bin/python
	@echo "Installing gmtools[$*] into .venv (a few minutes the first time)"
	@$(PIP) -e '.[$*]'
	@touch $@

book: .venv/installed-book,grading
	$(PY) -m book.build

serve: book
	@echo "http://localhost:8000 (Ctrl-C stops it)"
	@(sleep 1; $(PY) -m webbrowser -t http://localhost:8000 >/dev/null 2>&1) & \
	$(PY) -m http.server 8000 --bind localhost --directory _build/html

slides: .venv/installed-book,grading book
	$(PY) -m book.build slides

pdf: .venv/installed-book,grading,test book
	@.ci/system-packages chromium
	$(PY) -m book.build pdf

test: check pages nbval

check: .venv/installed-book,grading,test
	@.ci/system-packages bubblewrap
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	$(PY) -m pytest -n auto --dist loadfile -m "not book and not browser"

pages: .venv/installed-book,grading,test book
	@.ci/system-packages chromium
	$(PY) -m book.build slides
	$(PY) -m pytest -m "book and not browser"
	$(PY) -m pytest -m browser -n auto

nbval: .venv/installed-book,grading,test book
	$(PY) -m book.build nbval

colab: .venv/installed-book,grading,test book
	$(PY) -m book.build colab

report: .venv/installed-book,grading,test book
	@.ci/system-packages chromium
	$(PY) -m book.build report

tiers: .venv/installed-book,grading,test
	@.ci/system-packages bubblewrap
	GMTOOLS_EVERY_TIER=1 $(PY) -m pytest tests/grading/test_adversarial.py

kills: .venv/installed-book,grading,test
	@.ci/system-packages bubblewrap
	GMTOOLS_KILLS=100 $(PY) -m pytest tests/grading/test_kill.py

seeds: .venv/installed-book,grading,test
	@.ci/system-packages bubblewrap
	GMTOOLS_SEEDS=10 $(PY) -m pytest tests/labs -k margin

fuzz: .venv/installed-book,grading,test
	GMTOOLS_FUZZ=10000 $(PY) -m pytest -k "any or magics" $(patsubst %,tests/grading/test_%.py,reader slicer wire intake)

bench-grading: .venv/installed-book,grading,test
	@.ci/system-packages bubblewrap
	$(PY) benchmarks/grading.py --counts 200 2000 --jobs 1 2

bench: .venv/installed-book,grading,test,bench
	$(PY) -m benchmarks

lock: .venv/installed-book,grading,test
	$(PY) -m pip freeze --exclude-editable | sed 's/ @ .*//; s/+cpu$$//' > requirements.lock

clean:
	rm -rf _build .pytest_cache .ruff_cache .hypothesis
