"""Submissions that cheat, crash or misbehave: each gets the mark it deserves and harms nothing else.

Every case replaces the body of the first exercise; the second is answered honestly in the same notebook and
must keep its full mark. The fork bombs and floods are bounded: were the walls to fail, the machine would
survive. Every case runs in the strongest tier of this machine, and a short set in the others; with
GMTOOLS_EVERY_TIER=1 (``make tiers``) every case runs in every tier.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from gmtools.grading import batch, marks, solve
from gmtools.grading.lab import load_graded
from gmtools.grading.reader import code_cells, notebook_of
from gmtools.grading.sandbox import Limits, Zygote, choose_tier
from gmtools.grading.session import RemoteStudent

LAB = Path(__file__).parent / "course" / "labs" / "bound"
TIERS = (["root"] if os.geteuid() == 0 else []) + ["user", "plain"]
LIMITS = Limits(call_seconds=2, wall_seconds=20, cpu_seconds=10, memory_mb=512, file_mb=16)
RIGHT = "0.5 * (logvar.exp() + mu**2 - 1 - logvar).sum(-1)"
ZEROS = "torch.zeros(mu.shape[0], dtype=mu.dtype)"
SECRET = "a-secret-of-the-graders"


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
TO_EVERY_SOCKET = """
import os, struct, time
def say(data):
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, data)
        except OSError:
            pass
"""
SAFETENSORS = """
header = b'{"0": {"dtype": "F32", "shape": [1099511627776], "data_offsets": [0, 4398046511104]}}'
data = len(header).to_bytes(8, "little") + header
text = b'{"value": {"tensor": "0"}, "gradients": null, "changed": []}'
say(struct.pack("!II", len(text), len(data)) + text + data)
"""
CYCLE = """
text = b'{"value": ' + b'{"list": [' * 50 + b']}' * 50 + b', "gradients": null, "changed": []}'
say(struct.pack("!II", len(text), 0) + text)
"""
PICKLE = """
import pickle
class Boom:
    def __reduce__(self):
        return os.abort, ()
data = pickle.dumps(Boom())
say(struct.pack("!II", 2, len(data)) + b"{}" + data)
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
    "a header of 8 GB": (TO_EVERY_SOCKET + "say(b'\\xff' * 8)", RIGHT, 0),
    "half a frame": (TO_EVERY_SOCKET + "say(b'\\0\\0')", RIGHT, 0),
    "a frame that never ends": (TO_EVERY_SOCKET + "say(struct.pack('!II', 99, 0)); time.sleep(60)", RIGHT, 0),
    "a million brackets": (TO_EVERY_SOCKET + "say(struct.pack('!II', 10**6, 0) + b'[' * 10**6)", RIGHT, 0),
    "a frame of a list": (TO_EVERY_SOCKET + "say(struct.pack('!II', 4, 0) + b'[[]]')", RIGHT, 0),
    "not UTF-8": (TO_EVERY_SOCKET + "say(struct.pack('!II', 2, 0) + b'\\xff\\xfe')", RIGHT, 0),
    "a tensor larger than its data": (TO_EVERY_SOCKET + SAFETENSORS, RIGHT, 0),
    "a value without a bottom": (TO_EVERY_SOCKET + CYCLE, RIGHT, 0),
    "a pickle for a tensor": (TO_EVERY_SOCKET + PICKLE, RIGHT, 0),
    "traces another process": ("import ctypes\nassert ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0", RIGHT, 0),
}  # fmt: skip


HELPER = "def kl(m, l):\n    return 0.5 * (l.exp() + m**2 - 1 - l).sum(-1)"
GOOD, BAD = (f"def gaussian_kl(mu, logvar):\n    return {value}" for value in (RIGHT, ZEROS))

# name: (the cells that answer the first exercise, its points)
NOTEBOOKS = {
    "the last definition wins": ([BAD, GOOD], 30),
    "the last definition wins, though wrong": ([GOOD, BAD], 0),
    "a lambda": ([f"gaussian_kl = lambda mu, logvar: {RIGHT}"], 30),
    "defined under a condition": (["if True:\n    " + GOOD.replace("\n", "\n    ")], 30),
    "a helper of its own": ([HELPER, "gaussian_kl = kl"], 30),
    "an object that can be called": (
        [
            HELPER,
            "class KL:\n    def __call__(self, mu, logvar):\n        return kl(mu, logvar)",
            "gaussian_kl = KL()",
        ],
        30,
    ),
    "type hints": (
        ["from torch import Tensor", GOOD.replace("(mu, logvar)", "(mu: Tensor, logvar: Tensor) -> Tensor")],
        30,
    ),
    "star import": (["from math import *", GOOD.replace("0.5", "sqrt(0.25)")], 30),
    "an import that is missing here": (["import no_such_module", GOOD], 30),
    "an import that is missing and needed": (
        ["import no_such_module", BAD.replace("torch.", "no_such_module.")],
        0,
    ),
    "training code that never ends": (["while True:\n    pass", GOOD], 30),
    "a loop in what it needs": (["while True:\n    half = 0.5", GOOD.replace("0.5", "half")], 0),
    "shell and magics": (["!rm -rf /\n%load_ext x", "%%bash\nrm -rf /", "%time pass\n" + GOOD], 30),
    "top-level await": (["await something()", GOOD], 30),
    "a broken cell": (["def broken(:", GOOD], 30),
    "its own cell broken": (["def gaussian_kl(mu, logvar:\n    return 0"], 0),
    "a null byte": (["x = '\0'", GOOD], 30),
    "ten thousand parentheses": (["(" * 10**4 + ")" * 10**4, GOOD], 30),
    "a long chain of operators": (["x = " + "-" * 10**5 + "1", GOOD], 30),
    "an enormous constant": (["x = 10**10**10", GOOD], 30),
    "a lone surrogate": (["x = '\ud800'", GOOD], 30),
    "Windows line ends": ([GOOD.replace("\n", "\r\n")], 30),
    "torch taken away": (["import sys\nsys.modules['torch'] = None", GOOD], 30),
    "builtins taken away": (["sum = len = isinstance = None\n__builtins__ = {}", GOOD], 30),
    "deleted at the end": ([GOOD, "del gaussian_kl"], 30),
    "names in Cyrillic": (["половин = 0.5", GOOD.replace("0.5", "половин")], 30),
    "a decorator that detaches": (["@torch.no_grad()\n" + GOOD], 26),
    "an exit among the definitions": (["import os\nhalf = os._exit(0)", GOOD.replace("0.5", "half")], 0),
    "an answer for the cell's number": ([BAD.replace("return", "return  # <cell 99>\\\n   ")], 0),
    "a thousand cells": ([*(f"x{i} = {i}" for i in range(1000)), GOOD], 30),
}
SHORT = {
    "honest", "infinite loop", "os._exit", "segmentation fault", "memory in Python", "forks",
    "starts a program", "kills everybody", "opens a socket", "forged replies", "equal to everything",
    "patches comparisons and checks", "reads the callers' frames", "closes every file",
    "no more memory limit", "new namespaces", "the last definition wins", "shell and magics",
}  # fmt: skip
EVERY_TIER = os.environ.get("GMTOOLS_EVERY_TIER") == "1"


def in_tiers(table):
    pairs = [(t, case) for t in TIERS for case in table if t == TIERS[0] or EVERY_TIER or case in SHORT]
    return pytest.mark.parametrize(("zygote", "case"), pairs, indirect=["zygote"])


@pytest.fixture(scope="module", params=TIERS)
def zygote(request):
    opened = batch.shared_zygote(choose_tier(request.param), Limits())
    usual, opened.limits = opened.limits, LIMITS
    yield opened
    opened.limits = usual


@pytest.fixture(scope="module")
def lab():
    return load_graded(LAB)[0]


def cells_with(before: str, returned: str) -> list[str]:
    body = "".join(f"    {line}\n" for line in before.strip().splitlines())
    return [
        solve.solution_source(LAB),
        HELPER,
        f"def gaussian_kl(mu, logvar):\n{body}    return {returned}\n",
    ]


def result_of(lab, zygote, cells, exercise):
    student = RemoteStudent(zygote, cells, exercise)
    try:
        return marks.run_exercise(lab.exercises[exercise], student, 0)
    finally:
        student.close()


def assert_mark(lab, zygote, cells, points):
    first = result_of(lab, zygote, cells, "gaussian_kl")
    statuses = [(c["status"], c["message"]) for c in first["checks"]]
    if points is not None:  # None: any mark for what the function computes
        assert first["earned"] == points, statuses
    assert "broken check" not in [status for status, _ in statuses], statuses
    assert result_of(lab, zygote, cells, "bernoulli_log_likelihood")["earned"] == 30


@in_tiers(CASES)
def test_the_mark_is_the_right_one(zygote, case, lab):
    before, returned, points = CASES[case]
    assert_mark(lab, zygote, cells_with(before, returned), points)


@in_tiers(NOTEBOOKS)
def test_every_form_of_notebook_gets_what_it_deserves(zygote, case, lab):
    cells, points = NOTEBOOKS[case]
    answers = solve.definitions(solve.solution_source(LAB))
    others = [
        "import torch",
        "import torch.nn.functional as F",
        *(v for k, v in answers.items() if k != "gaussian_kl"),
    ]
    notebook = json.dumps(notebook_of([*others, *cells]))
    assert_mark(lab, zygote, code_cells(notebook.encode()), points)


def test_there_are_enough_cases():
    assert len(CASES) + len(NOTEBOOKS) >= 80 and {*CASES, *NOTEBOOKS} >= SHORT


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
    assert seen.endswith(": [].") or zygote.tier == "plain", seen


def test_a_course_below_usr_or_in_pythons_own_folder_cannot_be_seen(lab, zygote):
    """Of a prefix only its libraries and programs are visible, so that what lies beside them is not."""
    if zygote.tier == "plain":
        return
    for prefix in map(Path, ("/usr", "/usr/local", sys.prefix, sys.base_prefix)):
        beside = {p.name for p in prefix.iterdir()} - {"bin", "lib", "lib64", "local", "pyvenv.cfg"}
        beside = {name for name in beside if not name.startswith("cuda")}
        seen = f"sorted(set(os.listdir({str(prefix)!r})) & {beside!r})"
        assert beside and message_of(lab, zygote, seen).endswith(": []."), prefix


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
    # A course below /tmp stands on mounts of its own in the job's /tmp, which goes with the process.
    own = {p for p in package.parents if p.is_relative_to("/tmp")}
    own |= {p for p in (Path(sys.prefix), *Path(sys.prefix).parents) if p.is_relative_to("/tmp")}
    attempt = f"[p for p in {sorted(map(str, folders - own))!r} if os.access(p, os.W_OK)]"
    assert message_of(lab, zygote, attempt).endswith(": [].")
    attempt = "[p for p in ('/tmp', '/dev/shm', os.__file__, '/dev/null') if os.access(p, os.W_OK)]"
    assert message_of(lab, zygote, attempt).endswith(": ['/tmp', '/dev/shm', '/dev/null'].")
    cells = cells_with("open('/tmp/planted', 'w').write('x')\nimport os", RIGHT)
    result_of(lab, zygote, cells, "gaussian_kl")
    names = {p.relative_to("/tmp").parts[0] for p in own if p != Path("/tmp")}
    left = f"[p for p in os.listdir('/tmp') + os.listdir('/dev/shm') if p not in {names!r}]"
    assert message_of(lab, zygote, left).endswith(": [].")


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
