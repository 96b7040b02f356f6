"""Confines this process, before it imports code that is not ours."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlrules_mcp.training.confinement import namespaces
from mlrules_mcp.training.confinement.supervisor import Report, fork_supervised

GIB = 1024**3
_LOOPBACK = ("127.", "::1", "localhost")
_INTERNET = {2, 10, 23, 30}  # AF_INET and AF_INET6 by the numbers that platforms give them
# Where the network is refused, these libraries are told so, instead of failing or waiting.
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "WANDB_MODE": "disabled",
    "NO_ALBUMENTATIONS_UPDATE": "1",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What the user's code may use.

    Attributes:
        memory: bytes, together with its child processes.
        seconds: wall time; processor time is limited to so much on every core.
        processes: how many may run at once.
        file_bytes: the size of a file that it writes, and of all that it writes into the project's folder.
    """

    memory: int
    seconds: float
    processes: int = 128
    file_bytes: int = 2 * GIB


def default_memory() -> int:
    """Half of this machine's memory, or of what a container may use of it, in bytes; 8 GiB where nothing tells."""
    sizes = []
    with suppress(ValueError, OSError, AttributeError):
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            sizes.append(int(Path("/sys/fs/cgroup", name).read_text(encoding="ascii")))
    return min(sizes, default=16 * GIB) // 2


def confine(limits: Limits, *, root: Path, folder: Path, channel: int, report: Report) -> list[str]:
    """Confine this process as far as the platform can, and make `root` its working directory.

    On Linux it forks: what returns is the child, supervised by what was this process.

    Args:
        limits: what it may use.
        root: the folder of the user's project.
        folder: an empty temporary one.
        channel: the descriptor that answers are written to.
        report: see `fork_supervised`.

    Returns:
        What people should know of it, for the answer.
    """
    alone = covered = False
    if sys.platform == "linux":
        with suppress(OSError):
            alone = namespaces.unshare()
        if alone:
            with suppress(OSError):
                namespaces.raise_loopback()
            scratch = folder / "written"
            scratch.mkdir()
            with suppress(OSError):
                covered = namespaces.cover(root, scratch, limits.file_bytes)
        fork_supervised(
            own_processes=alone,
            channel=channel,
            memory=limits.memory,
            processes=limits.processes,
            report=report,
        )
    _set_limits(limits)
    _refuse_network()
    os.chdir(root)
    network = "The network was refused." if alone else "The network was refused to Python code alone."
    kept = "Files that it wrote into the project's folder were discarded." if covered else ""
    return [f"{network} {kept or 'Files that it wrote into its folder stay there.'}"]


def _set_limits(limits: Limits) -> None:
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not there on Windows

    seconds = int(limits.seconds * (os.cpu_count() or 1)) + 10
    wanted = {"CORE": 0, "FSIZE": limits.file_bytes, "CPU": seconds, "DATA": limits.memory}
    if sys.platform == "linux" and os.geteuid():
        wanted["NPROC"] = _threads() + 16 * limits.processes
    for name, value in wanted.items():
        kind = getattr(resource, f"RLIMIT_{name}", None)
        if kind is None:
            continue
        with suppress(OSError, ValueError):
            _, hard = resource.getrlimit(kind)
            allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (allowed, allowed))


def _threads() -> int:
    """How many threads the user has, which NPROC counts, too."""
    count = 0
    for task in Path("/proc").glob("[0-9]*/task"):
        with suppress(OSError):
            if task.stat().st_uid == os.geteuid():
                count += len(list(task.iterdir()))
    return count


def _refuse_network() -> None:
    """Refuse what Python code asks of the network with an error that says so; the loopback device is left."""
    os.environ.update(_OFFLINE)

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo":
            host = arguments[0]
        elif event in {"socket.connect", "socket.sendto"} and arguments[0].family in _INTERNET:
            host = arguments[1][0]
        else:
            return
        host = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "localhost")
        if not host.startswith(_LOOPBACK):
            raise ConnectionRefusedError(f"the training check has no network: {host} can't be reached")

    sys.addaudithook(refuse)
