"""``RemoteStudent``: a submission's exercise as a check sees it, while its code runs in the sandbox."""

import time
from collections.abc import Callable
from typing import Any

from torch import Tensor

from gmtools.grading import handed_in, wire
from gmtools.grading.callback import Answers
from gmtools.grading.calls import Call, Outcome, Student
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


def _gradient(value: Any) -> Tensor | None:
    if value is not None and not isinstance(value, Tensor):
        raise TypeError
    return value


def _outcome(reply: dict[str, Any], tensors: dict[str, Tensor], kept: bool) -> Outcome:
    """The reply as an Outcome; anything that our own side would not have sent is a ProtocolError."""
    try:
        value, gradients, parameters = (
            wire.unpack(reply[key], tensors, modules=False) for key in ("value", "gradients", "parameters")
        )
        if kept and _number(value) is None:
            raise TypeError
        outcome = Outcome(value, None, tuple(int(i) for i in reply["changed"]))
        outcome.operations = _number(reply.get("operations"))
        if gradients is not None:
            outcome.gradients = [_gradient(g) for g in gradients]
        if parameters is not None:
            outcome.parameters = {name: _gradient(g) for name, g in parameters.items()}
    except Exception as error:
        raise StudentGone("protocol") from error
    return outcome


class RemoteStudent(Student):
    """Opens a job at the first call, and a fresh one after a crash, so that a crash costs one check alone
    (until there are too many)."""

    def __init__(
        self,
        zygote: Zygote,
        cells: list[str],
        exercise: str,
        weights: Callable[[str], dict[str, Tensor]] = handed_in.none,
    ):
        self._zygote, self._cells, self._exercise = zygote, cells, exercise
        self.weights = weights
        self._job: Job | None = None
        self._unloadable: StudentError | None = None
        self._deaths, self._spent = 0, 0.0

    def _ask(
        self, job: Job, message: dict[str, Any], tensors: dict[str, Tensor], answers: Answers | None = None
    ) -> tuple[dict, dict]:
        """Ask, and charge the exercise for the time that the student's side took (and for no other)."""
        limits, start = self._zygote.limits, time.monotonic()
        try:
            seconds = max(min(limits.wall_seconds - self._spent, limits.call_seconds), 0.05)
            return job.ask(message, tensors, seconds, answers)
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

    def perform(self, call: Call) -> Outcome:
        tensors: dict[str, Tensor] = {}
        answers = Answers()
        message = {
            **{key: wire.pack(getattr(call, key), tensors, answers.functions) for key in ("args", "kwargs")},
            **{key: getattr(call, key) for key in ("name", "seed", "count", "parameters", "of", "keep")},
        }
        try:
            reply, values = self._ask(self._load(), message, tensors, answers)
            if "error" in reply:
                raise _student_error(reply["error"], self._cells)
            return _outcome(reply, values, kept=call.keep)
        except StudentGone as gone:
            self._deaths += 2 if gone.reason == "timeout" else 1
            self.close()
            raise

    def close(self) -> None:
        """End the child."""
        if self._job is not None:
            self._job.close()
        self._job = None
