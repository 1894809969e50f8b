"""The grader's end of the sandbox: start the zygote in bubblewrap, open jobs, talk to them.

Three tiers, named in every report:

``root``   bubblewrap started by root: own mounts, network, processes; every job has a user id of its own.
``user``   bubblewrap with unprivileged user namespaces: the same walls; all jobs share one powerless user id.
``plain``  a subprocess with limits and a system-call filter, and no walls: it can read what you can read.
           Never chosen by itself.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

import gmtools
from gmtools.grading import cgroup, confine, wire
from gmtools.grading.callback import Answers
from gmtools.grading.lab import StudentGone

TIERS = {
    "root": "изолирано (bubblewrap, отделен потребител)",
    "user": "изолирано (bubblewrap, потребителски пространства)",
    "plain": "НЕИЗОЛИРАНО (само ограничен подпроцес)",
}
START_SECONDS = 120


@dataclass(frozen=True)
class Limits:
    """What one exercise may use: seconds a call, seconds and CPU in all, added memory, size of files."""

    call_seconds: float = 10.0
    wall_seconds: float = 60.0
    cpu_seconds: int = 30
    memory_mb: int = 2048
    file_mb: int = 64


class NoSandbox(Exception):
    """No isolated tier works on this machine; the message says what to do."""


ADVICE = (
    "cannot isolate students' code: {why}.\n"
    "Install bubblewrap (Debian, Ubuntu: apt-get install bubblewrap) and allow user namespaces "
    "(sysctl kernel.unprivileged_userns_clone=1; on Ubuntu 24.04 also "
    "sysctl kernel.apparmor_restrict_unprivileged_userns=0), or run as root.\n"
    "To grade without isolation, on a machine you can lose: --tier plain"
)


def choose_tier(asked: str | None = None) -> str:
    """The tier to grade in: the one asked for, else the strongest that works here; never plain unasked.

    Raises:
        NoSandbox: the tier does not work here.
    """
    if not confine.supported():
        raise NoSandbox(
            "the grader needs Linux on x86-64 or AArch64 (on other systems run it in a container)"
        )
    if asked == "plain":
        return asked
    tier = asked or ("root" if os.geteuid() == 0 else "user")
    why = _why_not(tier)
    if why:
        raise NoSandbox(ADVICE.format(why=why))
    return tier


@cache
def _why_not(tier: str) -> str:
    if shutil.which("bwrap") is None:
        return "bubblewrap (bwrap) is not installed"
    if tier == "root" and os.geteuid() != 0:
        return "the tier root needs root"
    trial = subprocess.run([*_walls(tier), "true"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return "" if trial.returncode == 0 else f"bwrap fails with {trial.stderr.strip()[:300]!r}"


def _visible() -> list[Path]:
    """What Python and torch need to see, read-only: libraries and programs of the system and of the
    environment, and this package.

    Never a whole prefix: a course, its answers and the submissions may lie in ``/usr/src`` or beside ``bin``.
    """
    system = [
        Path(p) for p in ("/usr/bin", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/bin", "/lib", "/lib64")
    ]
    system += [Path("/etc/ld.so.cache"), Path("/etc/localtime"), *Path("/usr/local").glob("cuda*")]
    system.append(Path("/sys/kernel/mm/transparent_hugepage"))  # malloc asks there what a huge page is
    prefixes = [Path(sys.prefix), Path(sys.base_prefix), Path(os.path.realpath(sys.executable)).parent.parent]
    python = [prefix / name for prefix in prefixes for name in ("bin", "lib", "lib64", "pyvenv.cfg")]
    packages = [Path(p) for p in sys.path if p.endswith(("site-packages", "dist-packages"))]
    unique = dict.fromkeys([*system, *python, *packages, Path(gmtools.__file__).parent])
    return [p for p in unique if p.exists()]


def _walls(tier: str) -> list[str]:
    command = [
        "bwrap",
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-net",
        "--unshare-uts",
        "--die-with-parent",
    ]
    command += ["--new-session", "--clearenv", "--hostname", "sandbox", "--cap-add", "ALL"]
    if tier == "user":
        command += ["--unshare-user", "--uid", "0", "--gid", "0"]
    command += ["--perms", "1777", "--tmpfs", "/tmp"]  # before the rest: Python or the course may live in it
    made = {Path("/"), Path("/tmp")}
    for path in _visible():
        for parent in reversed(path.parents):
            if parent not in made and not any(parent == p or p in parent.parents for p in _visible()):
                command += ["--perms", "0755", "--dir", str(parent)]  # bwrap's own would be 0700
                made.add(parent)
        command += ["--ro-bind", str(path), str(path)]
    command += ["--proc", "/proc", "--dev", "/dev"]
    command += ["--remount-ro", "/dev", "--remount-ro", "/"]  # bwrap's own folders belong to the jobs' user
    for name, value in _environment().items():
        command += ["--setenv", name, value]
    return command


def _environment() -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(gmtools.__file__).parent.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONSAFEPATH": "1",
        # Huge pages for what Python and torch hold: forking copies a few hundred entries, not 55 000.
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=2",
        "PYTHONMALLOC": "malloc",
    }


def memory_limit() -> str:
    """How memory is limited on this machine, in words for the report."""
    return "cgroup" if cgroup.available() else "RLIMIT_AS"


class Job:
    """One forked child, holding one exercise of one submission."""

    def __init__(self, connection: socket.socket, control: socket.socket):
        self._connection, self._control = connection, control

    def ask(
        self,
        message: dict[str, Any],
        tensors: dict[str, Tensor],
        seconds: float,
        answers: Answers | None = None,
    ) -> tuple[dict, dict[str, Tensor]]:
        """Send a frame and receive the answer; meanwhile ``answers`` the child's calls of our functions.

        Raises:
            StudentGone: the child ended, took longer than ``seconds``, or sent what is no frame.
        """
        deadline = time.monotonic() + seconds
        try:
            wire.send(self._connection, wire.frame(message, tensors), deadline)
            reply = wire.receive(self._connection, deadline)
            while answers is not None and "callback" in reply[0]:
                wire.send(self._connection, answers.frame(*reply), deadline)
                reply = wire.receive(self._connection, deadline)
            return reply
        except TimeoutError:
            reason = "timeout"
        except wire.ProtocolError:
            reason = "protocol"
        except (EOFError, OSError):
            reason = self._how_it_ended()
        self.close()
        raise StudentGone(reason)

    def _how_it_ended(self) -> str:
        self._control.settimeout(5)
        try:
            reason = self._control.recv(256).decode()
        except (OSError, ValueError):
            return "crash"
        return reason if reason in ("timeout", "memory", "exit", "protocol") else "crash"

    def close(self) -> None:
        """Kill the child if it is still there."""
        self._connection.close()
        self._control.close()


class Zygote:
    """A warm sandbox, from which jobs are forked; started at the first job and again if it ever dies."""

    def __init__(self, tier: str, limits: Limits | None = None):
        self.tier, self.limits = tier, limits or Limits()
        self._process: subprocess.Popen | None = None
        self._group: cgroup.MemoryGroup | None = None
        self._jobs: socket.socket | None = None

    def _start(self) -> None:
        self.close()
        self._jobs, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        walls = [] if self.tier == "plain" else _walls(self.tier)
        self._group = cgroup.MemoryGroup()
        command = [*walls, sys.executable, "-m", "gmtools.grading.zygote", str(theirs.fileno()), self.tier]
        self._process = subprocess.Popen(
            self._group.entered(command), pass_fds=[theirs.fileno()], env=_environment(), cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        theirs.close()
        self._jobs.settimeout(START_SECONDS)
        if self._jobs.recv(16) != b"ready":
            raise NoSandbox(f"the sandbox did not start: {self._process.stderr.read().decode()[-2000:]}")
        self._group.limit(self.limits.memory_mb + 2 * self.limits.file_mb)

    def open(self) -> Job:
        """Fork a child for one exercise."""
        if self._process is None or self._process.poll() is not None:
            self._start()
        ours, theirs = socket.socketpair()
        control, their_control = socket.socketpair()
        with theirs, their_control:
            request = json.dumps(asdict(self.limits)).encode()
            socket.send_fds(self._jobs, [request], [theirs.fileno(), their_control.fileno()])
        return Job(ours, control)

    def close(self) -> None:
        """End the sandbox and everything in it."""
        if self._jobs is not None:
            self._jobs.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stderr.close()
        if self._group is not None:
            self._group.close()
        self._process = self._jobs = self._group = None

    def __enter__(self) -> "Zygote":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
