"""The sandbox's control group, where this machine lets one be made."""

import subprocess
from pathlib import Path

import pytest

from gmtools.grading import cgroup
from gmtools.grading.lab import StudentGone
from gmtools.grading.sandbox import Limits, Zygote, choose_tier, memory_limit
from gmtools.grading.session import RemoteStudent

needs_groups = pytest.mark.skipif(not cgroup.available(), reason="no right to make control groups here")
HOG = """
def f(megabytes):
    hog = bytearray(megabytes * 2**20)
    hog[::4096] = bytes(len(hog[::4096])).replace(b"\\0", b"\\1")
    return megabytes
"""


@needs_groups
def test_memory_beyond_the_groups_costs_one_job():
    with Zygote(choose_tier(), Limits(memory_mb=512)) as sandbox:
        student = RemoteStudent(sandbox, [HOG], "f")
        assert student.f(200) == 200
        sandbox._group.limit(100)
        with pytest.raises(StudentGone) as caught:
            student.f(300)
        assert caught.value.reason == "memory"
        assert student.f(50) == 50, "the zygote lives on"
        student.close()
        group = sandbox._group.path
        assert group.is_dir()
    assert not group.exists()


@needs_groups
def test_groups_of_graders_that_were_killed_are_removed():
    ended = subprocess.Popen(["true"])
    ended.wait()
    group = cgroup.MemoryGroup()
    left = group.path.with_name(f"{cgroup.PREFIX}{ended.pid}-1")
    left.mkdir()
    group.close()
    cgroup.MemoryGroup().close()
    assert not left.exists()


def test_where_no_group_can_be_made_the_report_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(cgroup, "_own", lambda: [(tmp_path / "absent", "memory.max")])
    cgroup.available.cache_clear()
    try:
        assert memory_limit() == "RLIMIT_AS"
    finally:
        cgroup.available.cache_clear()
    group = cgroup.MemoryGroup()
    group.limit(1)
    assert group.entered(["true"]) == ["true"] and group.path is None and not list(Path(tmp_path).iterdir())
