"""Grade many submissions: find them, mark each in its own sandboxed processes, keep every result as it
comes."""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    as_completed,
    wait,
)
from dataclasses import dataclass
from functools import cache
from multiprocessing import connection, get_context, parent_process
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import torch

from gmtools.grading import handed_in, marks, reader, similar
from gmtools.grading.intake import Submission
from gmtools.grading.lab import Lab, hidden_files, load_graded
from gmtools.grading.sandbox import Limits, Zygote, memory_limit
from gmtools.grading.session import RemoteStudent

Weights = Callable[[str], dict[str, torch.Tensor]]
KILLED = "Процесът на оценителя беше убит, докато оценяваше само тази работа"
AHEAD = 64  # submissions handed out at a time: memory does not grow with the batch


@dataclass(frozen=True)
class Run:
    """What every submission of a batch shares."""

    lab: str
    seed: int
    tier: str
    limits: Limits = Limits()


def lab_hash(folder: Path) -> str:
    """What the marks depend on besides the submission: the texts of the checks, all their files."""
    texts = [path.read_bytes() for path in (Path(folder) / "checks.py", *hidden_files(folder))]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:16]


def _with_code(exercise: dict[str, Any], cells: list[str]) -> dict[str, Any]:
    """Beside every exception, the line of the student's own that it arose in."""
    for check in exercise["checks"]:
        if check.get("cell") and check.get("line"):
            check["code"] = cells[check["cell"] - 1].split("\n")[check["line"] - 1].strip()[:160]
    return exercise


def grade_cells(
    lab: Lab, cells: list[str], zygote: Zygote, seed: int, weights: Weights = handed_in.none
) -> list[dict[str, Any]]:
    """The result of every exercise, each in processes of its own."""
    results = []
    for exercise in lab.exercises.values():
        student = RemoteStudent(zygote, cells, exercise.name, weights)
        try:
            results.append(_with_code(marks.run_exercise(exercise, student, seed), cells))
        finally:
            student.close()
    return results


@cache
def _lab(folder: str) -> tuple[Lab, str]:
    """The lab and its hash, read once: an edit while a batch runs is seen by ``finished``, not by half of
    it."""
    return load_graded(Path(folder))[0], lab_hash(Path(folder))


def _trained(lab: Lab) -> list[str]:
    return [e.name for e in lab.exercises.values() if e.trained]


@cache
def _zygote(tier: str, limits: Limits, thread: int) -> Zygote:
    zygote = Zygote(tier, limits)
    Finalize(None, zygote.close, exitpriority=0)  # atexit is not run in processes of a pool
    return zygote


def shared_zygote(tier: str, limits: Limits) -> Zygote:
    """This thread's sandbox, shared by all it grades (a worker of a cluster may have several threads)."""
    return _zygote(tier, limits, threading.get_ident())


def _without_marks(run: Run, submission: Submission) -> dict[str, Any]:
    """What a result says of any submission."""
    lab, version = _lab(run.lab)
    return {
        "id": reader.printable(submission.id),
        "key": submission.key,
        "lab": lab.key,
        "title": lab.title,
        "lab_hash": version,
        "seed": run.seed,
        "tier": run.tier,
        "memory": memory_limit(),
        "points": marks.possible(lab),
        "earned": 0.0,
        "exercises": [],
    }


def _stopped(error: Exception) -> str:
    return f"Оценителят спря с грешка ({type(error).__name__})"  # the error's text may tell of the tests


def _for_a_person(run: Run, submission: Submission, reason: str) -> dict[str, Any]:
    """The result where the grader itself failed; it has no ``sha256``, so that ``--resume`` tries again."""
    return _without_marks(run, submission) | {"status": "look", "reason": f"{reason}; нужен е преглед."}


def grade_one(run: Run, submission: Submission) -> dict[str, Any]:
    """One submission's result: marks, or the reason why there are none."""
    torch.set_num_threads(1)  # small tensors: more threads would only wait for each other
    lab = _lab(run.lab)[0]
    result = _without_marks(run, submission)
    try:
        data = submission.read()
        result["sha256"] = submission.digest(_trained(lab))
        cells = reader.code_cells(data)
    except reader.Unreadable as reason:
        return result | {"status": "unreadable", "reason": str(reason)}
    result["fingerprint"] = similar.fingerprint(cells)
    exercises = grade_cells(lab, cells, shared_zygote(run.tier, run.limits), run.seed, submission.weights)
    answers = handed_in.answers(cells, list(lab.questions))
    result["questions"] = [
        {"name": q.name, "title": q.title, "points": q.points, "answer": answers[q.name]}
        for q in lab.questions.values()
    ]
    broken = any(c["status"] == "broken check" for e in exercises for c in e["checks"])
    return result | {
        "status": "look" if broken else "graded",
        "reason": "Проверка се провали по своя вина; нужен е преглед." if broken else "",
        "earned": marks.total(exercises),
        "exercises": exercises,
    }


def write_atomically(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Replace a file's content so that a reader, or a restart after a kill, finds the old or the new,
    whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "w", encoding=encoding, newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def result_path(out: Path, submission: Submission) -> Path:
    return out / "results" / f"{submission.key}.json"


def finished(run: Run, out: Path, submission: Submission) -> bool:
    """Whether ``out`` already holds this run's result for the file as it is now."""
    try:
        result = json.loads(result_path(out, submission).read_text(encoding="utf-8"))
        found = (result["seed"], result["tier"], result["lab_hash"])
        if found != (run.seed, run.tier, lab_hash(Path(run.lab))):
            return False
        return result.get("sha256") == submission.digest(_trained(_lab(run.lab)[0]))
    except (OSError, ValueError, reader.Unreadable):
        return False


class Here(Executor):
    """Does the work in this process at once: a single job needs no second import of torch."""

    def submit(self, function: Callable, /, *args: Any, **kwargs: Any) -> Future:
        future: Future = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def _end_with_the_grader() -> None:
    """In a process of the pool: end when the grader is gone, even if it was killed and could tell nobody."""

    def watch() -> None:
        connection.wait([parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Processes(Executor):
    """Processes on this machine, each with a sandbox of its own, started anew after one of them was killed.

    They are forked from one that has imported torch and started no thread.
    """

    def __init__(self, jobs: int):
        self._jobs = jobs
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        context = get_context("forkserver")
        context.set_forkserver_preload([__name__])
        return ProcessPoolExecutor(self._jobs, mp_context=context, initializer=_end_with_the_grader)

    def submit(self, function: Callable, /, *args: Any, **kwargs: Any) -> Future:
        try:
            return self._pool.submit(function, *args, **kwargs)
        except BrokenExecutor:
            self._pool.shutdown()
            self._pool = self._start()
            return self._pool.submit(function, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


def executor(jobs: int) -> Executor:
    """``Processes``; this process if one is enough."""
    return Here() if jobs == 1 else Processes(jobs)


def grade_all(
    run: Run, submissions: Iterable[Submission], out: Path, pool: Executor, done: Callable[[Submission], None]
) -> list[str]:
    """Grade the submissions and write ``out/results/<key>.json`` for each.

    Returns:
        The ids that the grader itself failed on, with the error; empty when every one got a mark or a reason.
    """
    (out / "results").mkdir(parents=True, exist_ok=True)
    running: dict[Future, Submission] = {}
    suspects: list[Submission] = []  # a process was killed with these in its pool; each is tried again alone
    failures = []

    def write(submission: Submission, result: dict[str, Any]) -> None:
        text = json.dumps(result, ensure_ascii=False, indent=1, sort_keys=True)
        write_atomically(result_path(out, submission), text + "\n")

    def keep(finished: Iterable[Future], alone: bool = False) -> None:
        for future in finished:
            submission = running.pop(future)
            try:
                write(submission, future.result())
            except Exception as error:
                killed = isinstance(error, BrokenExecutor)
                if killed and not alone:
                    suspects.append(submission)
                    continue
                failures.append(f"{reader.printable(submission.id)}: {type(error).__name__}: {error}")
                write(submission, _for_a_person(run, submission, KILLED if killed else _stopped(error)))
            done(submission)

    for submission in submissions:
        running[pool.submit(grade_one, run, submission)] = submission
        keep(wait(running, None if len(running) >= AHEAD else 0, FIRST_COMPLETED).done)
    keep(as_completed(list(running)))
    for submission in suspects:
        running[pool.submit(grade_one, run, submission)] = submission
        keep(as_completed(list(running)), alone=True)
    return failures
