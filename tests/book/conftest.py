"""A small book with one of everything, built in a temporary folder as the real one is built."""

import contextlib
import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
SAMPLE = Path(__file__).parent / "sample"
HEADER = (SAMPLE / "lectures" / "other.md").read_text("utf8").split("(other)=")[0]


def write_book(root: Path, pages: dict[str, str] | None = None) -> Path:
    """The sample book in `root`, executed as the real one is; `pages` (name: text) replace its own."""
    shutil.copytree(SAMPLE, root)
    real = yaml.safe_load((REPOSITORY / "_config.yml").read_text("utf8"))
    config = {key: real[key] for key in ("execute", "parse", "only_build_toc_files", "repository")}
    config["bibtex_bibfiles"] = ["references.bib"]
    config["sphinx"] = {
        "extra_extensions": ["sphinx_exercise", "sphinx_proof"],
        "local_extensions": {"book.build.notebooks": str(REPOSITORY)},
        "config": {"bibtex_reference_style": "author_year"},
    }
    (root / "_config.yml").write_text(yaml.safe_dump(config, allow_unicode=True), "utf8")
    if pages is not None:
        for name, text in pages.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / f"{name}.md").write_text(text, "utf8")
        toc = {"format": "jb-book", "root": "index", "chapters": [{"file": name} for name in pages]}
        (root / "_toc.yml").write_text(yaml.safe_dump(toc), "utf8")
    return root


def notebook(*cells: str) -> str:
    """A page with these code cells."""
    return HEADER + "# Глава\n" + "".join(f"\n```{{code-cell}} ipython3\n{cell}\n```\n" for cell in cells)


def run(command: str, root: Path, *options: str, forked: bool = False) -> subprocess.CompletedProcess:
    """`python -m book.build ...` on the book in `root`; the sample does not need kernels with torch."""
    kernels = [] if forked else ["--ordinary-kernels"]
    words = [sys.executable, "-m", *command.split(), "--root", str(root), *kernels, *options]
    return subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    """The sample book, built. Tests only read it."""
    root = write_book(tmp_path_factory.mktemp("book") / "sample")
    done = run("book.build", root)
    assert done.returncode == 0, done.stdout + done.stderr
    return root


@pytest.fixture(scope="session")
def sample() -> SimpleNamespace:
    """How tests make and build books of their own."""
    return SimpleNamespace(write=write_book, notebook=notebook, run=run, header=HEADER)


HTML = Path(os.environ.get("BOOK_HTML", REPOSITORY / "_build/html"))  # the real book, built


@pytest.fixture(scope="session")
def html() -> Path:
    """The folder of the built book."""
    assert (HTML / "index.html").exists(), f"there are no pages in {HTML}: run `make book` first"
    return HTML.resolve()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="session")
def site(html):
    """The address of the built book on this machine."""
    handler = functools.partial(_Quiet, directory=str(html))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
    thread.join()


DESK = {"width": 1280, "height": 900}
TYPESET = "() => window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => true) : true"


@contextlib.contextmanager
def _opened(browser, address: str, allowed: str, theme: str = "light", size: dict = DESK):
    """A page at `address`, typeset, with what went wrong collected in its second value."""
    context = browser.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce")
    complaints: list[str] = []

    def only_here(route):
        if route.request.url.startswith((allowed, "data:", "blob:")):
            route.continue_()
        else:
            complaints.append(f"asks the network for {route.request.url}")
            route.abort()

    context.route("**/*", only_here)
    page = context.new_page()
    page.on("console", lambda m: complaints.append(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("response", lambda r: complaints.append(f"{r.status} for {r.url}") if r.status >= 400 else None)
    page.goto(address, wait_until="load")
    page.evaluate(TYPESET)
    page.wait_for_timeout(100)  # what the page does once its formulas have their width
    yield page, complaints
    context.close()


@pytest.fixture(scope="session")
def opened(browser):
    return functools.partial(_opened, browser)


def _violations(page, *rules: str) -> list[str]:
    """What axe-core finds wrong, by all its rules or these, with the first offending element of each kind."""
    from axe_playwright_python.sync_playwright import Axe

    options = {"preload": False, "resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    found = Axe().run(page, options=options).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:160]} ({len(v['nodes'])} in all)" for v in found]


@pytest.fixture(scope="session")
def violations():
    return _violations
