"""Kernels that start in a moment: each is forked from a process that has already imported torch.

`use_forked_kernels()` switches jupyter_client over, in this process; nbclient and nbval notice nothing.
The server imports and does no arithmetic, so that no thread pool exists when it forks.
"""

import multiprocessing
import os
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

# pyplot is left out: it starts the backend, and that is for each kernel to do.
PRELOAD = ["torch", "torch.distributions", "numpy", "matplotlib.figure", "IPython", "ipykernel.kernelapp"]
QUIET = ["--HistoryManager.enabled=False", "--log-level=ERROR"]  # options of every kernel, forked or not
NAME = "forked-provisioner"


def use_forked_kernels() -> None:
    """From now on kernels started by this process are forked from one warm server."""
    factory = KernelProvisionerFactory.instance()
    factory.provisioners[NAME] = EntryPoint(NAME, f"{__name__}:ForkedProvisioner", factory.GROUP_NAME)
    factory.default_provisioner_name = NAME
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOAD)


class ForkedProvisioner(LocalProvisioner):
    """Starts the kernel as a child of the warm server instead of as a new Python."""

    async def launch_kernel(self, cmd: list[str], **kwargs) -> dict:
        given = cmd[cmd.index("ipykernel_launcher") + 1 :]
        arguments = list(dict.fromkeys([*given, *QUIET]))  # nbval gives none of its own
        process = multiprocessing.get_context("forkserver").Process(
            target=_become_kernel,
            args=(arguments, kwargs["env"], str(kwargs.get("cwd") or Path.cwd()), str(Path.cwd())),
        )
        process.start()
        self.process = _PopenLike(process)
        self.pid = self.pgid = process.pid
        self.cwd = kwargs.get("cwd", Path.cwd())
        return self.connection_info


class _PopenLike:
    """The few methods of subprocess.Popen that LocalProvisioner calls, on a multiprocessing.Process."""

    stdin = stdout = stderr = None

    def __init__(self, process):
        self._process = process
        self.pid = process.pid
        self.kill, self.terminate = process.kill, process.terminate

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int:
        self._process.join()
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


def _become_kernel(arguments: list[str], env: dict[str, str], folder: str, started_in: str) -> None:
    """Runs in the forked child: be what `python -m ipykernel_launcher` would have been."""
    os.setsid()
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    if sys.path and sys.path[0] in ("", started_in):  # the builder's own, from `python -m`
        del sys.path[0]
    import matplotlib
    from ipykernel.kernelapp import launch_new_instance

    # Two variables of the environment were read before the fork. The kernel ends when the server does.
    matplotlib.rcParams["backend"] = "module://matplotlib_inline.backend_inline"
    launch_new_instance(argv=[*arguments, f"--IPKernelApp.parent_handle={os.getppid()}"])
