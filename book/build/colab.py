"""`python -m book.build colab`: run the published notebooks as Colab would, with no checkout of the course.

A virtual environment gets the versions that Colab has and the published wheel; torch is linked from here,
because it is large and Colab's own build is nowhere to be had. Every notebook then runs in an empty folder.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import distribution
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from .execute import ANSI, CELL_TIMEOUT, environment
from .kernels import QUIET
from .notebooks import published
from .sources import Book

# What Colab had in November 2026; the wheel has to accept them and run with them.
PINS = ["numpy==2.1.3", "matplotlib==3.10.*", "ipython==7.34.*", "ipykernel==6.17.*", "ipywidgets==7.7.1"]
KERNEL = "colab"
# Labs fetch their public checks from the repository that publishes them; here from the folder that was built.
PRELUDE = """\
import urllib.request

def _from_repository(url, **_):
    path = url.removeprefix("https://raw.githubusercontent.com/{slug}/HEAD/")
    return open("{root}/" + path, "rb")

urllib.request.urlopen = _from_repository
"""
ORIGIN = "import gmtools\nprint(gmtools.__file__)"


def make_environment(book: Book) -> Path:
    """Create or update _build/colab; returns the folder."""
    folder = book.build / "colab"
    python = folder / "bin/python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    _link_torch(folder)
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheel = next((book.html / "wheels").glob("*.whl"))
    subprocess.run([*pip, "uninstall", "--yes", "gmtools"], check=True)  # its version stays, its code changes
    subprocess.run([*pip, "install", *PINS, str(wheel)], check=True)
    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "language": "python", "display_name": "Colab"}
    target = folder / "share/jupyter/kernels" / KERNEL / "kernel.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(spec))
    return folder


def _link_torch(folder: Path) -> None:
    target = next(folder.glob("lib/python*/site-packages"))
    torch = distribution("torch")
    for name in sorted({file.parts[0] for file in torch.files or []} - {"..", "__pycache__"}):
        link = target / name
        link.unlink(missing_ok=True)
        link.symlink_to(torch.locate_file(name))


async def run(book: Book, notebook: NotebookNode, kernel: str, library: Path) -> str | None:
    """Execute a published notebook in an empty folder; what went wrong, None if nothing did.

    Args:
        library: the folder that gmtools must come from.
    """
    prelude = PRELUDE.format(slug=book.slug, root=book.root)
    notebook.cells = [new_code_cell(prelude), *notebook.cells, new_code_cell(ORIGIN)]
    with tempfile.TemporaryDirectory() as empty:
        resources = {"metadata": {"path": empty}}
        client = NotebookClient(
            notebook, kernel_name=kernel, timeout=CELL_TIMEOUT, resources=resources, extra_arguments=QUIET
        )
        try:
            await client.async_execute()
        except CellExecutionError as error:
            return ANSI.sub("", str(error)).strip()
        except (CellTimeoutError, DeadKernelError) as error:
            return str(error)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                return f"wrote to stderr: {output.text.strip()}"
    origin = notebook.cells[-1].outputs[0].text.strip()
    return None if Path(origin).is_relative_to(library) else f"gmtools came from {origin}"


async def _run_all(book: Book, names: list[str], folder: Path, jobs: int) -> int:
    free, failures = asyncio.Semaphore(jobs), 0

    async def one(name: str) -> None:
        nonlocal failures
        async with free:
            notebook = nbformat.read(published(book, book.page(name)), as_version=4)
            wrong = await run(book, notebook, KERNEL, folder)
        failures += wrong is not None
        print(f"  {'FAILED' if wrong else 'ok    '}  {name}", flush=True)
        if wrong:
            print(wrong, file=sys.stderr)

    await asyncio.gather(*map(one, names))
    return failures


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m book.build colab", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), help="the folder with _config.yml")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="notebooks at a time")
    parser.add_argument("pages", nargs="*", help="names such as lectures/3-inference/30-...; all by default")
    options = parser.parse_args(arguments)
    book = Book(options.root.resolve())
    folder = make_environment(book)
    os.environ.update(environment(book) | {"JUPYTER_PATH": str(folder / "share/jupyter")})
    os.environ.pop("PYTHONPATH", None)  # it could lead to the checkout
    names = options.pages or [page.name for page in book.pages if page.code_cells]
    failures = asyncio.run(_run_all(book, names, folder, options.jobs))
    print(f"{len(names) - failures} of {len(names)} notebooks run with Colab's versions and the wheel")
    return 1 if failures else 0
