"""``RemoteStudent``: a submission's exercise as a check sees it, while its code runs in the sandbox."""

import time
from typing import Any

from torch import Tensor

from gmtools.grading import wire
from gmtools.grading.calls import Outcome, Student
from gmtools.grading.lab import StudentError, StudentGone
from gmtools.grading.sandbox import Job, Zygote

MAX_DEATHS = 4  # a time-out counts for two


def _number(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 10**9 else None


def clean(text: Any, size: int) -> str:
    """Text from the sandbox, capped, with nothing in it that is not printable (controls, overrides of
    direction)."""
    return "".join(c if c.isprintable() else " " for c in str(text)[:size])


def _student_error(item: Any, cells: list[str]) -> StudentError:
    if not isinstance(item, dict):
        raise StudentGone("protocol")
    cell, line = _number(item.get("cell")), _number(item.get("line"))
    if cell is None or not 1 <= cell <= len(cells):
        cell = line = None
    elif line is None or not 1 <= line <= cells[cell - 1].count("\n") + 1:
        line = None  # a place that is not in the notebook was made up
    return StudentError(clean(item.get("kind", ""), 80), clean(item.get("message", ""), 400), cell, line)


def _outcome(reply: dict[str, Any], tensors: dict[str, Tensor]) -> Outcome:
    try:
        value = wire.unpack(reply["value"], tensors, modules=False)
        gradients = wire.unpack(reply["gradients"], tensors, modules=False)
        changed = tuple(int(i) for i in reply["changed"])
        assert gradients is None or all(g is None or isinstance(g, Tensor) for g in gradients)
    except Exception as error:
        raise StudentGone("protocol") from error
    return Outcome(value, gradients, changed, _number(reply.get("operations")))


class RemoteStudent(Student):
    """Opens a job at the first call, and a fresh one after a crash, so that a crash costs one check alone
    (until there are too many)."""

    def __init__(self, zygote: Zygote, cells: list[str], exercise: str):
        self._zygote, self._cells, self._exercise = zygote, cells, exercise
        self._job: Job | None = None
        self._unloadable: StudentError | None = None
        self._deaths, self._spent = 0, 0.0

    def _ask(self, job: Job, message: dict[str, Any], tensors: dict[str, Tensor]) -> tuple[dict, dict]:
        """Ask, and charge the exercise for the time that the student's side took (and for no other)."""
        limits, start = self._zygote.limits, time.monotonic()
        try:
            return job.ask(
                message, tensors, max(min(limits.wall_seconds - self._spent, limits.call_seconds), 0.05)
            )
        finally:
            self._spent += time.monotonic() - start

    def _load(self) -> Job:
        if self._unloadable is not None:
            raise self._unloadable
        if self._deaths >= MAX_DEATHS:
            raise StudentGone("too many")
        if self._job is None:
            job = self._zygote.open()
            reply, _ = self._ask(job, {"cells": self._cells, "name": self._exercise}, {})
            if "error" in reply:
                job.close()
                self._unloadable = _student_error(reply["error"], self._cells)
                self._unloadable.loading = True
                raise self._unloadable
            self._job = job
        return self._job

    def trace(self, name: str, *args: Any, seed: int = 0, count: bool = False, **kwargs: Any) -> Outcome:
        tensors: dict[str, Tensor] = {}
        message = {
            "name": name,
            "args": wire.pack(list(args), tensors),
            "kwargs": wire.pack(kwargs, tensors),
            "seed": seed,
            "count": count,
        }
        try:
            reply, values = self._ask(self._load(), message, tensors)
            if "error" in reply:
                raise _student_error(reply["error"], self._cells)
            return _outcome(reply, values)
        except StudentGone as gone:
            self._deaths += 2 if gone.reason == "timeout" else 1
            self.close()
            raise

    def close(self) -> None:
        """End the child."""
        if self._job is not None:
            self._job.close()
        self._job = None
