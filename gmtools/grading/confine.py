"""What the forked child does to itself before it runs strangers' code: Linux limits by prctl, seccomp and
mounts.

x86-64 and AArch64. The filter denies rather than allows: torch may need any harmless call, so only those
that make processes, reach the network, touch other processes or change the machine are refused (EPERM;
clone3 gets ENOSYS, which makes the C library fall back to clone, whose flags the filter can see: threads
pass, processes do not).
"""

import ctypes
import os
import platform
import re
import resource
import signal
import stat
import struct
from functools import cache

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWPID, CLONE_THREAD, MNT_DETACH = 0x20000, 0x20000000, 0x10000, 2
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 0x1000, 0x4000, 0x40000
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_DUMPABLE = 1, 22, 24, 38, 4
MEGABYTE = 2**20
MAX_THREADS = 256  # of a user id; root's are not counted, and processes are refused by the filter

# name: (x86-64, AArch64); None where the architecture has no such call.
DENIED = {
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "mount_setattr": (442, 442), "unshare": (272, 97), "setns": (308, 268),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "msgget": (68, 186),
    "semget": (64, 190), "mq_open": (240, 180), "init_module": (175, 105), "finit_module": (313, 273),
    "reboot": (169, 142), "swapon": (167, 224), "kexec_load": (246, 104), "acct": (163, 89),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "sethostname": (170, 161),
    "setpriority": (141, 140), "sched_setscheduler": (144, 119),
    "mknod": (133, None), "mknodat": (259, 33), "personality": (135, 92), "quotactl": (179, 60),
}  # fmt: skip
MACHINES = {"x86_64": (0, 0xC000003E, 56, 435), "aarch64": (1, 0xC00000B7, 220, 435)}
DENY, NO_SUCH_CALL, ALLOW, KILL = 0x00050001, 0x00050026, 0x7FFF0000, 0x80000000


def supported() -> bool:
    """Whether this machine's system calls are known here."""
    return platform.system() == "Linux" and platform.machine() in MACHINES


@cache
def seccomp_program() -> bytes:
    """The filter, made once before the first fork, as classic BPF: 8 bytes an instruction."""
    column, architecture, clone, clone3 = MACHINES[platform.machine()]

    def step(code: int, true: int, false: int, value: int) -> bytes:
        return struct.pack("=HBBI", code, true, false, value)

    load, equal, bits, answer, at_least = 0x20, 0x15, 0x45, 0x06, 0x35
    program = [
        step(load, 0, 0, 4),
        step(equal, 1, 0, architecture),
        step(answer, 0, 0, KILL),
        step(load, 0, 0, 0),
    ]
    program += [step(at_least, 0, 1, 0x40000000), step(answer, 0, 0, DENY)]  # the x32 calls
    program += [step(equal, 0, 1, clone3), step(answer, 0, 0, NO_SUCH_CALL)]
    for numbers in DENIED.values():
        if numbers[column] is not None:
            program += [step(equal, 0, 1, numbers[column]), step(answer, 0, 0, DENY)]
    program += [
        step(equal, 0, 3, clone),
        step(load, 0, 0, 16),
        step(bits, 1, 0, CLONE_THREAD),
        step(answer, 0, 0, DENY),
    ]
    return b"".join([*program, step(answer, 0, 0, ALLOW)])


def _checked(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def set_seccomp() -> None:
    """No new privileges from here on, and the filter."""
    program = seccomp_program()
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    _checked(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _checked(LIBC.prctl(PR_SET_SECCOMP, 2, ctypes.c_char_p(header), 0, 0), "seccomp")


def new_pid_namespace_for_children() -> None:
    """The next child of this process is the first process of a PID namespace of its own."""
    _checked(LIBC.unshare(CLONE_NEWPID), "unshare")


def back_to_pid_namespace(descriptor: int) -> None:
    """Undo ``new_pid_namespace_for_children``, without which a second one is refused."""
    _checked(LIBC.setns(descriptor, CLONE_NEWPID), "setns")


def own_mounts(size_mb: int) -> None:
    """No /proc at all, and empty /tmp and /dev/shm that go with the process.

    IPC objects need no namespace of their own (which is slow to free): the filter refuses to make any.
    """
    _checked(LIBC.unshare(CLONE_NEWNS), "unshare")
    _checked(LIBC.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "private mounts")
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    kept = {path: os.open(path, os.O_PATH) for path in mounted_below("/tmp")}
    for place in (b"/tmp", b"/dev/shm"):
        options = f"size={size_mb}m,nr_inodes=4096,mode=1777".encode()
        _checked(LIBC.mount(b"tmpfs", place, b"tmpfs", flags, options), f"mount {place.decode()}")
    for path, descriptor in kept.items():
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.makedirs(path, mode=0o755, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            os.close(os.open(path, os.O_CREAT, 0o444))
        source = f"/proc/self/fd/{descriptor}".encode()
        _checked(LIBC.mount(source, os.fsencode(path), None, MS_BIND | MS_REC, None), f"bind {path}")
        os.close(descriptor)
    _checked(LIBC.umount2(b"/proc", MNT_DETACH), "umount /proc")


@cache
def mounted_below(place: str) -> list[str]:
    """What stands on mounts of its own below ``place``: Python or the course, if they live there. Read once,
    before the first fork."""
    with open("/proc/self/mountinfo") as mounts:
        points = [re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), line.split()[4]) for line in mounts]
    return sorted({point for point in points if point.startswith(place + "/")})


def drop_privileges(user: int | None) -> None:
    """Become ``user`` (where there are users to become) and give up every capability."""
    for capability in range(64):
        LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    header, data = struct.pack("=Ii", 0x20080522, 0), bytes(24)
    _checked(LIBC.capset(ctypes.c_char_p(header), ctypes.c_char_p(data)), "capset")


def set_limits(memory_mb: int, cpu_seconds: int, file_mb: int) -> None:
    """Resource limits; memory is what may be added to the address space that torch already fills."""
    with open("/proc/self/statm") as statm:
        occupied = int(statm.read().split()[0]) * resource.getpagesize()
    for name, limit in (
        (resource.RLIMIT_AS, occupied + memory_mb * MEGABYTE),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, file_mb * MEGABYTE),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_NPROC, MAX_THREADS),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
    ):
        resource.setrlimit(name, (limit, limit))


def be_killed_first() -> None:
    """Where memory of the group runs out, let it be this process that ends, not the one that forked it."""
    with open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")


def die_with_parent() -> None:
    """Be killed when the process that forked this one ends."""
    _checked(LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "pdeathsig")
