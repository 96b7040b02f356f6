"""Linux namespaces without privileges: no network, no process that survives, no lasting write to the project."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def unshare() -> bool:
    """Move this process to namespaces of its own for network and mounts, and its next children to one for processes.

    Where the system wants privileges for that, in a namespace of users too, in which this user keeps its number.
    False if the system refuses: nothing has changed then.
    """
    child = os.fork()
    if not child:  # tried there first: a process that is half way in can't go back
        os._exit(0 if _unshared() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 and _unshared()


def _unshared() -> bool:
    wanted = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET
    user, group = os.geteuid(), os.getegid()
    if user == 0 and _called("unshare", wanted):
        return True
    if not _called("unshare", wanted | CLONE_NEWUSER):
        return False
    try:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    except OSError:
        return False
    return True


def raise_loopback() -> None:
    """Start the loopback device of a new network namespace: processes on one machine talk through it."""
    import fcntl  # noqa: PLC0415 - not there on Windows

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack_from("H", fcntl.ioctl(asked, _SIOCGIFFLAGS, request), 16)[0]
        fcntl.ioctl(asked, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def cover(folder: Path, scratch: Path, size: int) -> bool:
    """Lay memory over a folder: what this process and its children write there is seen by them, and then gone.

    Args:
        folder: what is covered, for this mount namespace alone.
        scratch: an empty folder elsewhere.
        size: the most bytes that may be written.

    Returns:
        False if the system refuses; the folder is as it was then.
    """
    if set(":,\\") & set(f"{folder}{scratch}") or scratch.is_relative_to(folder):
        return False
    if not _called("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None):
        return False
    if not _called("mount", b"tmpfs", os.fsencode(scratch), b"tmpfs", 0, f"size={size}".encode()):
        return False
    (scratch / "upper").mkdir()
    (scratch / "work").mkdir()
    options = os.fsencode(f"lowerdir={folder},upperdir={scratch / 'upper'},workdir={scratch / 'work'}")
    target = os.fsencode(folder)
    return any(_called("mount", b"overlay", target, b"overlay", 0, options + more) for more in (b",userxattr", b""))


def become_subreaper() -> None:
    """Have descendants whose parents ended become children of this process, rather than of init."""
    _called("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_parent(signal_number: int) -> None:
    """Have this process get a signal when its parent ends."""
    _called("prctl", _PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def _called(name: str, *arguments: int | bytes | None) -> bool:
    """Whether a function of the C library succeeded."""
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if function is None:
        return False
    result: int = function(*(ctypes.c_ulong(each) if isinstance(each, int) else each for each in arguments))
    return result == 0
