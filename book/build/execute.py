"""Executes the notebooks whose outputs are missing or out of date, several at a time; says how it went."""

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

import psutil
from jupyter_client import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from . import labs
from .kernels import QUIET
from .keys import key
from .sources import Book, Page
from .store import Run, Store

CELL_TIMEOUT = 120  # seconds; a hung cell must not hang the build
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Failure:
    """Where a notebook went wrong and how."""

    page: Page
    cell: int  # index in the notebook
    line: int  # in the cell, from 1
    what: str

    def __str__(self) -> str:
        number = self.page.code_cells.index(self.cell) + 1
        code = self.page.notebook.cells[self.cell].source.splitlines()
        shown = code[self.line - 1].strip() if self.line <= len(code) else ""
        place = f"{self.page.path.name}:{self.page.line_of(self.cell, self.line)}"
        return f"{self.page.name}  cell {number}, line {self.line} ({place})\n    > {shown}\n    {self.what}"


@dataclass(frozen=True)
class Result:
    """A notebook that ran to its end, or the failure that stopped it."""

    page: Page
    seconds: float
    slowest_cell: int = 0  # its number among the code cells, from 1
    failure: Failure | None = None
    cached: bool = False


def execute(book: Book, store: Store, jobs: int, report: Callable[[Result], None]) -> list[Result]:
    """Bring every notebook's outputs up to date; `report` is called as each finishes."""
    os.environ.update(environment(book))
    return asyncio.run(_execute_all(book, store, jobs, report))


def environment(book: Book) -> dict[str, str]:
    """What kernels see: one thread, so that outputs agree to the bit; no progress bars; no user's profile."""
    return {
        "OMP_NUM_THREADS": "1",
        "TQDM_DISABLE": "1",
        "IPYTHONDIR": str(book.build / ".ipython"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


async def _execute_all(book: Book, store: Store, jobs: int, report: Callable) -> list[Result]:
    free = asyncio.Semaphore(jobs)

    async def one(page: Page) -> Result:
        wanted, kept = key(book, page), store.run(page)
        if kept is not None and kept.key == wanted:
            return Result(page, kept.seconds, kept.slowest_cell, cached=True)
        notebook, result = labs.to_run(page), Result(page, 0.0)
        if notebook is not None:
            async with free:
                result = await run(page, notebook)
        if result.failure is None:
            kept = Run(wanted, result.seconds, result.slowest_cell)
            store.save(page, labs.with_outputs(page, notebook), kept)
        report(result)
        return result

    def seconds_last_time(page: Page) -> float:
        kept = store.run(page)
        return kept.seconds if kept else float("inf")

    longest_first = sorted(book.pages, key=seconds_last_time, reverse=True)
    return await asyncio.gather(*map(one, longest_first))


async def run(page: Page, notebook: NotebookNode) -> Result:
    """Execute a page's notebook, in place, in a kernel of its own."""
    current, clock = 0, _Clock()

    def on_cell_start(cell, cell_index: int) -> None:
        nonlocal current
        current = cell_index
        clock.start(client.km)

    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        resources={"metadata": {"path": str(page.path.parent)}},
        record_timing=False,
        extra_arguments=QUIET,
        shutdown_kernel="immediate",
        on_cell_start=on_cell_start,
        on_cell_executed=lambda cell, cell_index, **_: clock.stop(client.km, cell_index),
    )
    failure = None
    try:
        await client.async_execute()
    except CellExecutionError as error:
        traceback = ANSI.sub("", error.traceback)
        failure = Failure(page, current, _line(traceback), f"{error.ename}: {_short(error.evalue)}")
    except CellTimeoutError:
        failure = Failure(page, current, 1, f"still running after {CELL_TIMEOUT} s")
    except DeadKernelError:
        failure = Failure(page, current, 1, "the kernel died (out of memory, or a crash in native code)")
    slowest = page.code_cells.index(clock.slowest) + 1 if clock.cells else 0
    return Result(page, sum(clock.cells.values()), slowest, failure or _stderr(page, notebook))


class _Clock:
    """Processor time of each cell, which other work on the machine does not lengthen."""

    def __init__(self):
        self._started = 0.0
        self.cells: dict[int, float] = {}

    def start(self, manager: KernelManager) -> None:
        self._started = _processor_time(manager)

    def stop(self, manager: KernelManager, cell: int) -> None:
        self.cells[cell] = _processor_time(manager) - self._started

    @property
    def slowest(self) -> int:
        return max(self.cells, key=self.cells.__getitem__)


def _processor_time(manager: KernelManager) -> float:
    return sum(psutil.Process(manager.provisioner.pid).cpu_times()[:4])  # user, system; the same of children


def _stderr(page: Page, notebook: NotebookNode) -> Failure | None:
    """A warning on the published page is a fault of the page."""
    for index in page.code_cells:
        for output in notebook.cells[index].outputs:
            if output.output_type == "stream" and output.name == "stderr":
                return Failure(page, index, _line(output.text), f"wrote to stderr: {_short(output.text)}")
    return None


def _line(text: str) -> int:
    """The line of the cell that a traceback or a warning names."""
    match = re.search(r"Cell In\[\d+\], line (\d+)|ipykernel_\d+/\d+\.py:(\d+)", text)
    return int(match[1] or match[2]) if match else 1


def _short(text: str, width: int = 300) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[:width] + " ..."
