"""A control group for one sandbox: what all its processes and their temporary files take of memory together.

Address-space limits count each process alone and no files in /tmp. Where this process may make control
groups (version 1 or 2; as root, in a container, or delegated by systemd), the sandbox gets one of its own;
elsewhere the limits of each process are all there is. Every report says which.
"""

import contextlib
import itertools
import os
import time
from functools import cache
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEGABYTE = 2**20
PREFIX = "gmtools-sandbox-"
NUMBERS = itertools.count()


def _own() -> list[tuple[Path, str]]:
    """This process's memory groups, version 2 and 1, with the name of the file that limits them."""
    places = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            places.append((ROOT / path.strip("/"), "memory.max"))
        elif "memory" in controllers.split(","):
            places.append((ROOT / "memory" / path.strip("/"), "memory.limit_in_bytes"))
    return places


def _remove(group: Path) -> None:
    """Remove a group whose processes may still be ending."""
    for _ in range(50):
        try:
            group.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.02)


def _sweep(place: Path) -> None:
    """Remove what graders that were killed have left."""
    for group in place.glob(f"{PREFIX}*"):
        owner = group.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            with contextlib.suppress(OSError):
                group.rmdir()


class MemoryGroup:
    """A group of its own with a limit; ``path`` is None where none can be made."""

    def __init__(self) -> None:
        self.path: Path | None = None
        with contextlib.suppress(OSError):
            for place, limit in _own():
                _sweep(place)
                group = place / f"{PREFIX}{os.getpid()}-{next(NUMBERS)}"
                group.mkdir()
                if os.access(group / limit, os.W_OK):
                    self.path, self._limit = group, limit
                    return
                group.rmdir()

    def entered(self, command: list[str]) -> list[str]:
        """The command, started in the group with all that it will start."""
        if self.path is None:
            return command
        return ["/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.path / "cgroup.procs"), *command]

    def limit(self, added_mb: int) -> None:
        """Allow ``added_mb`` more than what the group holds now."""
        if self.path is not None:
            held = "memory.current" if self._limit == "memory.max" else "memory.usage_in_bytes"
            total = int((self.path / held).read_text()) + added_mb * MEGABYTE
            (self.path / self._limit).write_text(str(total))

    def close(self) -> None:
        """Remove the group, once its processes have ended."""
        if self.path is not None:
            _remove(self.path)
        self.path = None


@cache
def available() -> bool:
    """Whether sandboxes get groups here."""
    group = MemoryGroup()
    found = group.path is not None
    group.close()
    return found
