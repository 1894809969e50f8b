"""What happens to a student's code: slice, run in a fresh namespace, answer calls. Used in the sandbox and,
by the student's own completeness check, in the notebook."""

import traceback
from typing import Any

from gmtools.grading import slicer
from gmtools.grading.calls import Call, Outcome, Student, perform_in
from gmtools.grading.lab import StudentError

MAX_MESSAGE = 400
CELL_PREFIX = slicer.cell_name(0)[:-2]


def _stub(error: BaseException) -> str:
    """The function or class that raised: the innermost frame's."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return frames[-1].f_code.co_qualname.partition(".")[0][:80] if frames else ""


def _place(error: BaseException) -> tuple[int | None, int | None]:
    """Cell and line of the innermost frame that is the student's own."""
    if isinstance(error, SyntaxError):
        return None, error.lineno
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        file = frame.f_code.co_filename
        if file.startswith(CELL_PREFIX):
            return int(file[len(CELL_PREFIX) : -1]), line
    return None, None


def described(error: BaseException) -> StudentError:
    """The student's exception as type, capped message and place."""
    try:
        message = str(error)[:MAX_MESSAGE]
    except BaseException:  # a hostile __str__
        message = ""
    try:
        cell, line = _place(error)
    except BaseException:
        cell, line = None, None
    if type(error) is NotImplementedError and not message:  # torch's own come with a message
        return StudentError("Unwritten", _stub(error), cell, line)
    return StudentError(type(error).__name__[:80], message, cell, line)


def _missing(name: str, broken: list[slicer.BrokenCell], failed: list[StudentError]) -> StudentError:
    for cell in broken:
        if name in cell.text:
            return StudentError("SyntaxError", cell.message, cell.cell, cell.line)
    return failed[-1] if failed else StudentError("Missing", name)


class LoadedNotebook(Student):
    """A namespace made of what exercise ``name`` needs from the cells; other names that a check calls are
    loaded when it does.

    Raises:
        StudentError: kind ``Missing`` if nothing defines the name, ``SyntaxError`` if its cell does not
        parse, or
            what its definition raised.
    """

    def __init__(self, cells: list[str], name: str):
        self._statements, self._broken = slicer.statements(cells)
        self._namespace: dict[str, Any] = {"__name__": "__main__", "display": lambda *a, **k: None}
        self._kept: list[Any] = []
        self._done: set[slicer.Statement] = set()
        self._load(name)

    def _load(self, name: str) -> None:
        failed = []
        for statement in slicer.needed(self._statements, name):
            if statement in self._done:
                continue
            self._done.add(statement)
            try:
                exec(statement.code, self._namespace)
            except Exception as error:  # a download that fails matters only to what needs it
                failed.append(described(error))
        if name not in self._namespace:
            raise _missing(name, self._broken, failed)

    def perform(self, call: Call) -> Outcome:
        if call.of is None and call.name not in self._namespace:
            self._load(call.name)
        try:
            return perform_in(self._namespace, self._kept, call)
        except Exception as error:
            raise described(error) from None
