"""Submissions that cheat, crash or misbehave: each gets the mark it deserves and harms nothing else.

Every case replaces the body of the first exercise; the second is answered honestly in the same notebook and
must keep its full mark. The fork bombs and floods are bounded: were the walls to fail, the machine would
survive.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest

from gmtools.grading import batch, marks, solve
from gmtools.grading.lab import load_graded
from gmtools.grading.sandbox import Limits, Zygote, choose_tier
from gmtools.grading.session import RemoteStudent

LAB = Path(__file__).parents[2] / "labs" / "1-elbo"
TIERS = (["root"] if os.geteuid() == 0 else []) + ["user", "plain"]
LIMITS = Limits(call_seconds=3, wall_seconds=20, cpu_seconds=10, memory_mb=512, file_mb=16)
RIGHT = "0.5 * (logvar.exp() + mu**2 - 1 - logvar).sum(-1)"
ZEROS = "torch.zeros(mu.shape[0], dtype=mu.dtype)"
SECRET = "a-secret-of-the-graders"

pytestmark = pytest.mark.skipif(not (LAB.parents[1] / "solutions").is_dir(), reason="solutions/ was removed")

FORGED = """
import json, os, struct
text = json.dumps({"value": 1, "earned": 30, "status": "passed", "error": None}).encode()
for descriptor in range(64):
    try:
        os.write(descriptor, struct.pack("!II", len(text), 0) + text)
    except OSError:
        pass
"""
EQUAL = """
class Equal(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function.__name__ in ("allclose", "equal", "eq", "all", "isfinite", "__bool__", "__eq__"):
            return True
        return super().__torch_function__(function, types, args, kwargs or {})
    __eq__ = __ge__ = __le__ = lambda self, other: True
"""
PATCHED = """
import builtins, json, sys
torch.allclose = torch.equal = lambda *a, **k: True
torch.Tensor.__eq__ = torch.Tensor.all = torch.Tensor.any = lambda *a, **k: True
builtins.isinstance = lambda *a: True
for module in list(sys.modules.values()):
    for name in ("expect", "expect_close", "expect_tensor", "run_check", "Failed"):
        if hasattr(module, name):
            setattr(module, name, lambda *a, **k: None)
"""
FRAMES = """
import sys
frame, found = sys._getframe(), []
while frame is not None:
    for name, value in frame.f_locals.items():
        if name in ("expected", "wanted", "exact", "whole", "answer") and isinstance(value, torch.Tensor):
            found.append(value)
    frame = frame.f_back
if found:
    return found[-1]
"""
COLLECTED = """
import gc
for thing in gc.get_objects():
    if type(thing) is torch.Tensor and thing.shape == mu.shape[:1]:
        return thing
"""
FAKE = """
class Fake:
    __class__ = torch.Tensor
    shape, dtype = mu.shape[:1], mu.dtype
    def __getattr__(self, name):
        return lambda *a, **k: self
return Fake()
"""
HOSTILE_ERROR = """
class E(Exception):
    def __str__(self):
        raise SystemExit
raise E
"""

# name: (code before the return, what is returned, points of the first exercise)
CASES = {
    "honest": ("", RIGHT, 30),
    "infinite loop": ("while True: pass", ZEROS, 0),
    "sleeps": ("import time; time.sleep(60)", ZEROS, 0),
    "sys.exit": ("import sys; sys.exit(0)", ZEROS, 0),
    "quit": ("quit()", ZEROS, 0),
    "os._exit": ("import os; os._exit(0)", ZEROS, 0),
    "abort": ("import os; os.abort()", ZEROS, 0),
    "segmentation fault": ("import ctypes; ctypes.string_at(0)", ZEROS, 0),
    "recursion": ("return gaussian_kl(mu, logvar)", ZEROS, 0),
    "recursion without limit": ("import sys; sys.setrecursionlimit(10**9)", "gaussian_kl(mu, logvar)", 0),
    "memory in Python": ("hog = []\nwhile True: hog.append(bytes(10**7))", ZEROS, 0),
    "memory in torch": ("torch.ones(10**10)", ZEROS, 0),
    "memory through files": ("open('/dev/shm/x', 'wb').write(bytes(10**8))", RIGHT, 0),
    "floods the output": ("print('x' * 10**7)", RIGHT, 30),
    "writes to standard error": ("import sys; print('x' * 10**6, file=sys.stderr)", RIGHT, 30),
    "forks": ("import os\nfor _ in range(50):\n    try: os.fork()\n    except OSError: pass", RIGHT, 30),
    "starts a program": ("import os, subprocess; subprocess.run(['true'])", RIGHT, 0),
    "multiprocessing": ("import multiprocessing as m; m.Process(target=print).start()", RIGHT, 0),
    "kills its parent": ("import os; os.kill(os.getppid(), 9)", RIGHT, 0),
    "kills everybody": ("import os; os.kill(-1, 9)", RIGHT, 0),
    "opens a socket": ("import socket; socket.socket()", RIGHT, 0),
    "forged replies": (FORGED, ZEROS, 0),
    "equal to everything": (EQUAL, f"{ZEROS}.as_subclass(Equal)", 0),
    "patches comparisons and checks": (PATCHED, ZEROS, 0),
    "reads the callers' frames": (FRAMES, ZEROS, 0),
    "reads the collector's objects": (COLLECTED, ZEROS, 0),
    "pretends to be a tensor": (FAKE, ZEROS, 0),
    "exception that cannot be printed": (HOSTILE_ERROR, ZEROS, 0),
    "enormous message": ("raise ValueError('x' * 10**8)", ZEROS, 0),
    "deep list": ("x = []\nfor _ in range(10**5): x = [x]", "x", 0),
    "wide list": ("", "[0] * 10**8", 0),
    "enormous number": ("", "10**5000", 0),
    "enormous view": ("", "torch.zeros(1).expand(10**12)", 0),
    "sparse": ("", f"{ZEROS}.to_sparse()", 0),
    "complex": ("", f"{ZEROS}.to(torch.complex64)", 0),
    "meta": ("", "torch.empty(mu.shape[0], device='meta')", 0),
    "NaN": ("", f"{ZEROS} * float('nan')", 0),
    "infinity": ("", f"{ZEROS} + float('inf')", 0),
    "itself": ("", "gaussian_kl", 0),
    "a generator": ("yield 1", "None", 0),
    "a loop over rows": ("", "torch.stack([kl(m, l) for m, l in zip(mu, logvar)])", 26),
    "changes its input": ("mu *= 1; mu += 1; mu -= 1", RIGHT, None),
    "threads": ("import threading\nt = threading.Thread(target=lambda: 0); t.start(); t.join()", RIGHT, 30),
    "leaves threads": ("import threading as m\nm.Thread(target=m.Event().wait, args=[9]).start()", RIGHT, 30),
    "traces": ("import sys; sys.settrace(lambda *a: 1 / 0)", RIGHT, None),
    "closes every file": ("import os; os.closerange(0, 64)", RIGHT, 0),
    "no more memory limit": ("import resource as r\nr.setrlimit(r.RLIMIT_AS, (-1, -1))", RIGHT, 0),
    "mounts": ("import ctypes\nassert ctypes.CDLL(None).umount2(b'/tmp', 2) == 0", RIGHT, 0),
    "new namespaces": ("import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0", RIGHT, 0),
    "traces another process": ("import ctypes\nassert ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0", RIGHT, 0),
}  # fmt: skip
NOT_PLAIN = {
    "memory through files"
}  # there /dev/shm is the machine's own; the size of a file is limited all the same


@pytest.fixture(scope="module", params=TIERS)
def zygote(request):
    with Zygote(choose_tier(request.param), LIMITS) as opened:
        yield opened


@pytest.fixture(scope="module")
def lab():
    return load_graded(LAB)[0]


def cells_with(before: str, returned: str) -> list[str]:
    body = "".join(f"    {line}\n" for line in before.strip().splitlines())
    helper = "def kl(m, l):\n    return 0.5 * (l.exp() + m**2 - 1 - l).sum(-1)"
    return [
        solve.solution_source(LAB),
        helper,
        f"def gaussian_kl(mu, logvar):\n{body}    return {returned}\n",
    ]


def result_of(lab, zygote, cells, exercise):
    student = RemoteStudent(zygote, cells, exercise)
    try:
        return marks.run_exercise(lab.exercises[exercise], student, 0)
    finally:
        student.close()


@pytest.mark.parametrize("case", CASES)
def test_the_mark_is_the_right_one(case, lab, zygote):
    before, returned, points = CASES[case]
    cells = cells_with(before, returned)
    first = result_of(lab, zygote, cells, "gaussian_kl")
    statuses = [(c["status"], c["message"]) for c in first["checks"]]
    if points is not None:  # None: any mark for what the function computes
        assert first["earned"] == points, statuses
    assert "broken check" not in [status for status, _ in statuses], statuses
    assert result_of(lab, zygote, cells, "bernoulli_log_likelihood")["earned"] == 30


def message_of(lab, zygote, expression):
    """What the sandbox can see: the message of an exception that carries the expression's value."""
    cells = cells_with(f"import os, glob\nraise ValueError({expression})", ZEROS)
    return result_of(lab, zygote, cells, "gaussian_kl")["checks"][0]["message"]


def test_secrets_of_the_environment_are_not_there(lab, monkeypatch):
    monkeypatch.setenv("GMTOOLS_SECRET", SECRET)
    with Zygote(choose_tier(), LIMITS) as opened:
        assert SECRET not in message_of(lab, opened, "str(dict(os.environ))")


def test_answers_and_other_submissions_cannot_be_seen(lab, zygote, tmp_path):
    (tmp_path / "neighbour.ipynb").write_text("{}")
    places = [solve.solutions_folder(LAB), LAB, tmp_path, Path.home() / ".ssh", Path("/proc/1")]
    seen = message_of(lab, zygote, f"[p for p in {[str(p) for p in places]!r} if os.path.exists(p)]")
    assert seen.endswith(": []") or zygote.tier == "plain", seen


def test_nothing_can_be_written_but_what_goes_with_the_process(lab, zygote):
    if zygote.tier == "plain":
        return  # the tier that protects no file says so in every report
    package = Path(batch.__file__).parents[1]
    folders = {
        Path(sys.prefix),
        package,
        *package.parents,
        *Path(sys.prefix).parents,
        *map(Path, ("/dev", "/usr")),
    }
    attempt = f"[p for p in {sorted(map(str, folders))!r} if os.access(p, os.W_OK)]"
    assert message_of(lab, zygote, attempt).endswith(": []")
    attempt = "[p for p in ('/tmp', '/dev/shm', os.__file__, '/dev/null') if os.access(p, os.W_OK)]"
    assert message_of(lab, zygote, attempt).endswith(": ['/tmp', '/dev/shm', '/dev/null']")
    cells = cells_with("open('/tmp/planted', 'w').write('x')\nimport os", RIGHT)
    result_of(lab, zygote, cells, "gaussian_kl")
    assert message_of(lab, zygote, "os.listdir('/tmp') + os.listdir('/dev/shm')").endswith(": []")


def test_hidden_inputs_do_not_leave_in_a_message_a_type_or_a_line(lab, zygote):
    before = """
values = repr(mu.tolist())
kind = "SyntaxError" if mu.shape[0] % 2 else "type(values, (Exception,), {})"
place = compile(f"raise {kind}(values)", f"<cell {abs(hash(values)) % 10**6}>", "exec")
exec(place, {"values": values})
"""
    result = result_of(lab, zygote, cells_with(before, ZEROS), "gaussian_kl")
    hidden = [c for c in result["checks"] if c["hidden"]]
    assert hidden
    for check in hidden:
        assert check["status"] == "error" and "[" not in check["message"]
        assert check["cell"] in (None, 1, 2, 3)
        assert "detail" not in check


def test_a_message_is_capped_and_printable(lab, zygote):
    message = message_of(lab, zygote, r"'\x1b[31m\u202e<script>' + 'x' * 10**6")
    assert len(message) < 600 and message.isprintable()


def test_the_sandbox_outlives_everything(lab, zygote):
    """After all cases above the same sandbox still gives honest work its marks."""
    student_results = batch.grade_cells(lab, [solve.solution_source(LAB)], zygote, 4)
    assert marks.total(student_results) == 100


def test_bubblewrap_is_here():
    """The isolated tiers are what is tested above: without bubblewrap those tests must fail, not pass by."""
    assert shutil.which("bwrap"), "bubblewrap is not installed: apt-get install bubblewrap"
