"""The process inside the sandbox: imports torch once, then forks a child for every exercise of every
submission.

``python -m gmtools.grading.zygote FD TIER`` reads jobs from the socket FD; each comes with two sockets of
its own: one on which the child answers calls, and one on which this process reports how the child ended.
When the grader closes that second socket, or dies, the child is killed. The grader measures the student's
time and ends what takes too long; the deadline here, many times that, is only a safety net, since it runs
through the grader's own work too. This process never runs a student's code.
"""

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass

import torch

from gmtools.grading import confine, wire
from gmtools.grading.callback import Callback
from gmtools.grading.calls import Call, Handle, Outcome
from gmtools.grading.lab import StudentError
from gmtools.grading.worker import LoadedNotebook

FIRST_USER, USERS = 60000, 4000
EXIT_MEMORY, EXIT_ERROR, EXIT_UNSENDABLE = 77, 78, 79
SAFETY_NET = 20  # the latest end of a child, in times the student's own seconds


def _error_reply(error: StudentError) -> dict:
    return {"error": {"kind": error.kind, "message": error.message, "cell": error.cell, "line": error.line}}


class Unsendable(Exception):
    """A value that is too large, too deep or too long for a frame."""


def _refuse_large(value: object) -> None:
    """Say before it is copied that a value cannot be sent: copying would take the time of a time-out."""
    parts = value if isinstance(value, list | tuple) else [value]
    if len(parts) > wire.MAX_JSON // 2:  # each takes a character and a comma
        raise wire.ProtocolError("too large")
    if sum(p.numel() * p.element_size() for p in parts if isinstance(p, torch.Tensor)) > wire.MAX_TENSORS:
        raise wire.ProtocolError("too large")


def _answer(outcome: Outcome) -> bytes:
    try:
        _refuse_large(outcome.value)
        return _outcome_frame(outcome)
    except MemoryError:
        raise
    except Exception as error:  # too large, too deep, a number of too many digits
        raise Unsendable from error


def _outcome_frame(outcome: Outcome) -> bytes:
    tensors: dict[str, torch.Tensor] = {}
    reply = {
        "value": wire.pack(outcome.value, tensors),
        "gradients": wire.pack(outcome.gradients, tensors),
        "changed": list(outcome.changed),
        "operations": outcome.operations,
        "parameters": wire.pack(outcome.parameters, tensors),
    }
    return wire.frame(reply, tensors)


def serve(connection: socket.socket) -> None:
    """Answer the frames of one exercise: first the cells, then calls, until the grader closes."""
    message, _ = wire.receive(connection)
    try:
        student = LoadedNotebook(message["cells"], message["name"])
    except StudentError as error:
        wire.send(connection, wire.frame(_error_reply(error), {}))
        return
    wire.send(connection, wire.frame({"loaded": True}, {}))

    def resolve(item: dict) -> object:
        if "handle" in item:
            return Handle(student, item["handle"])
        return Callback(connection, item["callback"])

    while True:
        message, tensors = wire.receive(connection)
        asked = {key: wire.unpack(message[key], tensors, resolve=resolve) for key in ("args", "kwargs")}
        options = {key: message[key] for key in ("name", "seed", "count", "parameters", "of", "keep")}
        try:
            answer = _answer(student.perform(Call(**asked, **options)))
        except StudentError as error:
            answer = wire.frame(_error_reply(error), {})
        wire.send(connection, answer)


def _silence(keep: int) -> None:
    """Nothing is open but /dev/null and the socket ``keep``."""
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    os.closerange(3, keep)
    os.closerange(keep + 1, 4096)


def child(connection: socket.socket, limits: dict, tier: str, user: int) -> None:
    """Confine this process, then serve. Never returns."""
    try:
        confine.die_with_parent()
        confine.be_killed_first()
        os.setsid()
        _silence(connection.fileno())
        confine.set_limits(limits["memory_mb"], limits["cpu_seconds"], limits["file_mb"])
        if tier != "plain":
            confine.own_mounts(limits["file_mb"])
            os.chdir("/tmp")
            confine.drop_privileges(user if tier == "root" else None)
        confine.set_seccomp()
        serve(connection)
    except EOFError:
        os._exit(0)
    except MemoryError:
        os._exit(EXIT_MEMORY)
    except Unsendable:
        os._exit(EXIT_UNSENDABLE)
    except BaseException:
        os._exit(EXIT_ERROR)
    os._exit(0)


@dataclass
class Running:
    """A child: how to signal it, whom to tell about its end, and when to end it at the latest."""

    pid: int
    handle: int
    control: socket.socket
    deadline: float
    cpu_seconds: float
    killed: bool = False

    def kill(self) -> None:
        """Kill the child (and, being first in its PID namespace, all that it started)."""
        os.kill(self.pid, signal.SIGKILL)
        self.killed = True

    def _reason(self, status: int, cpu_seconds: float) -> str:
        if status == -signal.SIGKILL:  # by us, by the limit on CPU time, or by the kernel for want of memory
            return "timeout" if self.killed or cpu_seconds > self.cpu_seconds - 1 else "memory"
        if status < 0:
            return "crash"
        return {EXIT_MEMORY: "memory", EXIT_UNSENDABLE: "protocol"}.get(status, "exit")

    def bury(self) -> None:
        """Collect the dead child and report how it ended."""
        _, status, used = os.wait4(self.pid, 0)
        reason = self._reason(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime)
        with contextlib.suppress(OSError):
            self.control.sendall(reason.encode())
        self.control.close()
        os.close(self.handle)


class Nursery:
    """Forks children, watches over them, and never runs a student's code itself."""

    def __init__(self, jobs: socket.socket, tier: str):
        self._jobs, self._tier, self._number = jobs, tier, 0
        self._running: list[Running] = []
        self._home = None if tier == "plain" else os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)

    def _fork(self) -> int:
        if self._home is None:
            return os.fork()
        confine.new_pid_namespace_for_children()
        pid = os.fork()
        if pid:
            confine.back_to_pid_namespace(self._home)
        return pid

    def _accept(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._jobs, 4096, 2)
        if not data:
            return False
        limits = json.loads(data)
        connection, control = (socket.socket(fileno=d) for d in descriptors)
        self._number += 1
        pid = self._fork()
        if pid == 0:
            child(connection, limits, self._tier, FIRST_USER + self._number % USERS)
        connection.close()
        deadline = time.monotonic() + SAFETY_NET * limits["wall_seconds"]
        self._running.append(Running(pid, os.pidfd_open(pid), control, deadline, limits["cpu_seconds"]))
        return True

    def run(self) -> None:
        """Serve jobs until the grader closes the socket; then everything here is killed with this process."""
        while True:
            now = time.monotonic()
            alive = [r for r in self._running if not r.killed]
            watched = [self._jobs, *(r.handle for r in self._running), *(r.control for r in alive)]
            wait = min((r.deadline - now for r in alive), default=None)
            ready = select.select(watched, [], [], None if wait is None else max(wait, 0))[0]
            for one in list(self._running):
                if one.handle in ready:
                    one.bury()
                    self._running.remove(one)
                elif not one.killed and (one.control in ready or one.deadline <= now):
                    one.kill()
            if self._jobs in ready and not self._accept():
                return


def main() -> None:
    """Import and warm torch with one thread, say so, and serve."""
    jobs, tier = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    _warm()
    gc.collect()
    gc.freeze()  # a child's collector would otherwise write to, and so copy, every page
    jobs.sendall(b"ready")
    Nursery(jobs, tier).run()


def _warm() -> None:
    """Do once, before forking, what Python and torch do lazily at a first call; import torch._dynamo."""
    import torch._dynamo
    import torch.distributions
    import torch.nn.functional as F

    x = torch.randn(2, 3, requires_grad=True)
    F.binary_cross_entropy_with_logits(x, torch.zeros(2, 3), reduction="none").sum().backward()
    torch.distributions.Normal(x, 1.0).log_prob(x).logsumexp(0).sum().backward()
    confine.seccomp_program()
    confine.mounted_below("/tmp")
    student = LoadedNotebook(["import torch", "def f(x):\n    return (torch.randn(3) * x).sum(-1)"], "f")
    for count in (False, True):
        data = _outcome_frame(student.trace("f", torch.randn(2, 3, requires_grad=True), count=count))
        ours, theirs = socket.socketpair()
        with ours, theirs:
            wire.send(ours, data)
            wire.receive(theirs)


if __name__ == "__main__":
    main()
