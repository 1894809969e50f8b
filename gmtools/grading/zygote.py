"""The process inside the sandbox: imports torch once, then forks a child for every exercise of every
submission.

``python -m gmtools.grading.zygote FD TIER`` reads jobs from the socket FD; each comes with two sockets of
its own: one on which the child answers calls, and one on which its supervisor reports how it ended. The
supervisor kills the child when the grader closes that second socket. This process and the supervisors never
run a student's code.
"""

import json
import os
import select
import signal
import socket
import sys

import torch

from gmtools.grading import confine, wire
from gmtools.grading.calls import Outcome
from gmtools.grading.lab import StudentError
from gmtools.grading.worker import LoadedNotebook

FIRST_USER, USERS = 60000, 4000


def _error_reply(error: StudentError) -> dict:
    return {"error": {"kind": error.kind, "message": error.message, "cell": error.cell, "line": error.line}}


def _outcome_frame(outcome: Outcome) -> bytes:
    tensors: dict[str, torch.Tensor] = {}
    reply = {
        "value": wire.pack(outcome.value, tensors),
        "gradients": wire.pack(outcome.gradients, tensors),
        "changed": list(outcome.changed),
        "operations": outcome.operations,
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
    while True:
        message, tensors = wire.receive(connection)
        args, kwargs = wire.unpack(message["args"], tensors), wire.unpack(message["kwargs"], tensors)
        try:
            options = {"seed": message["seed"], "count": message["count"]}
            answer = _outcome_frame(student.trace(message["name"], *args, **options, **kwargs))
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
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
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
        os._exit(77)
    except BaseException:
        os._exit(78)
    os._exit(0)


def supervise(control: socket.socket, connection: socket.socket, limits: dict, tier: str, user: int) -> None:
    """Fork the child, wait for its end or for the grader to hang up, report, and exit."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    confine.die_with_parent()
    if tier != "plain":
        confine.new_namespaces()
    pid = os.fork()
    if pid == 0:
        control.close()
        child(connection, limits, tier, user)
    connection.close()
    handle = os.pidfd_open(pid)
    select.select([handle, control], [], [], limits["wall_seconds"])
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    try:
        control.sendall(json.dumps({"status": os.waitstatus_to_exitcode(status)}).encode())
    finally:
        os._exit(0)


def main() -> None:
    """Fork a supervisor for each job until the grader closes the socket."""
    jobs, tier = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    _warm()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    jobs.sendall(b"ready")
    number = 0
    while True:
        data, descriptors, _, _ = socket.recv_fds(jobs, 4096, 2)
        if not data:
            return
        number += 1
        pid = os.fork()
        if pid == 0:
            jobs.close()
            connection, control = (socket.socket(fileno=d) for d in descriptors)
            try:
                supervise(control, connection, json.loads(data), tier, FIRST_USER + number % USERS)
            finally:
                os._exit(1)
        for descriptor in descriptors:
            os.close(descriptor)


def _warm() -> None:
    """Do once, before forking, what torch does lazily at its first call (and what imports torch._dynamo)."""
    import torch._dynamo
    import torch.distributions
    import torch.nn.functional as F

    x = torch.randn(2, 3, requires_grad=True)
    F.binary_cross_entropy_with_logits(x, torch.zeros(2, 3), reduction="none").sum().backward()
    torch.distributions.Normal(x, 1.0).log_prob(x).logsumexp(0).sum().backward()
    wire.frame({}, {"x": torch.zeros(1)})


if __name__ == "__main__":
    main()
