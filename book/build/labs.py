"""Labs: the page shows what right answers give, the published notebook holds the stubs and no outputs.

Without the solutions (a tree that is given to students) a lab is not run and its page shows no outputs.
gmtools.grading is imported where it is needed: it brings torch with it, which takes seconds.
"""

from copy import deepcopy
from pathlib import Path

from nbformat import NotebookNode

from .sources import Page


def solution(page: Page) -> Path:
    """Where the reference answers to labs/<lab>/lab.md stand, if they are there."""
    lab = page.path.parent
    return lab.parent.parent / "solutions" / lab.name / "solution.py"


def files(page: Page) -> list[Path]:
    """What a lab's outputs depend on beside what it imports: its public checks and the answers."""
    return [*page.path.parent.glob("*.py"), *([solution(page)] if solution(page).exists() else [])]


def to_run(page: Page) -> NotebookNode | None:
    """The notebook that is executed for a page: a lab with its answers filled in, None if there are none."""
    notebook = deepcopy(page.notebook)
    if not page.is_lab:
        return notebook
    if not solution(page).exists():
        return None
    from gmtools.grading.solve import definitions, replaced, solution_source

    answers = definitions(solution_source(page.path.parent))
    for cell in page.code_cells:
        notebook.cells[cell].source = replaced(notebook.cells[cell].source, answers)
    return notebook


def with_outputs(page: Page, executed: NotebookNode | None) -> NotebookNode:
    """The page's own code with the outputs that were computed."""
    notebook = deepcopy(page.notebook)
    if executed is None:
        notebook.metadata.language_info = {"name": "python", "pygments_lexer": "ipython3"}
    else:
        notebook.metadata = executed.metadata
        for cell in page.code_cells:
            notebook.cells[cell].outputs = executed.cells[cell].outputs
            notebook.cells[cell].execution_count = executed.cells[cell].execution_count
    return notebook


def for_students(page: Page, notebook: NotebookNode) -> NotebookNode:
    """The lab as it is handed out: stubs, no outputs, the address of the repository that publishes it."""
    from gmtools.grading.solve import student_notebook

    handed = deepcopy(notebook)
    code = [cell for cell in student_notebook(page.path.parent)["cells"] if cell["cell_type"] == "code"]
    for index, cell in zip(page.code_cells, code, strict=True):
        handed.cells[index].update(source=cell["source"], outputs=[], execution_count=None)
    return handed
