"""Modules that do what users' modules should not, each of which fails before it needs torch."""

from __future__ import annotations

import os
import select
from pathlib import Path

# Holds a named pipe open for as long as any of its processes lives.
_HOLD = """
import ctypes, os, shutil, signal, sys, tempfile, time
pipe = os.open({pipe!r}, os.O_WRONLY)
os.set_inheritable(pipe, True)
"""
LEAVES = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.pause()
    os._exit(0)
"""
FAULTS = {
    "exits": ("sys.exit(3)", "SystemExit: 3 (exits.py:6)"),
    "exits at once": ("os._exit(0)", "ended with exit code 0 and without a result. It was at: importing"),
    "crashes": ("ctypes.string_at(0)", "ended by SIGSEGV. It was at: importing crashes.py, at crashes.py:6"),
    "takes memory": (
        "held = []\nwhile True:\n    held.append(bytearray(10_000_000))",
        "takes more than the memory limit (takes_memory.py:8)",
    ),
    "takes memory in children": (
        "for _ in range(3):\n    if os.fork() == 0:\n        held = bytearray(150_000_000)\n        signal.pause()\n"
        "signal.pause()",
        "more than its memory limit of 300 MiB and was ended",
    ),
    "starts many processes": (
        "for _ in range(200):\n    if os.fork() == 0:\n        signal.pause()\nsignal.pause()",
        "started more than 128 processes and was ended",
    ),
    "leaves processes behind": (f"{LEAVES}\nraise ValueError('over')", "ValueError: over (leaves_processes_behind.py"),
    "forks and goes on": ("os.fork()\nraise ValueError('over')", "ValueError: over (forks_and_goes_on.py:7)"),
    "prints": (
        "print('{\"result\": {}}', flush=True)\nos.write(1, b'\\xff\\n')\nos.system('echo more')\n"
        "raise ValueError('over')",
        "ValueError: over (prints.py:9)",
    ),
    "closes what is open": (
        "for each in range(1, 50):\n    try:\n        os.close(each)\n    except OSError:\n        pass\nx = 1 / 0",
        "ended with exit code 1 and without a result. It was at: importing closes_what_is_open.py",
    ),
    "deletes its temporary folder": (
        "shutil.rmtree(tempfile.gettempdir())\nraise ValueError('over')",
        "ValueError: over (deletes_its_temporary_folder.py:7)",
    ),
    "asks the network": (
        "import urllib.request\nurllib.request.urlopen('http://192.0.2.1/')",
        "the training check has no network: 192.0.2.1 can't be reached",
    ),
}
# Says that it has come so far.
ENDLESS = f"{LEAVES}\nos.write(pipe, b'x')\nwhile True:\n    pass"


class Held:
    """A named pipe that modules' processes hold open.

    Args:
        folder: for the pipe, outside of the modules' project.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "held"
        os.mkfifo(self.path)
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def write(self, project: Path, name: str, text: str) -> str:
        """Write a module whose processes hold the pipe; returns its file's name."""
        file = f"{name.replace(' ', '_')}.py"
        (project / file).write_text(_HOLD.format(pipe=str(self.path)) + f"\n{text}\n", encoding="utf-8")
        return file

    def started(self) -> bool:
        """Whether an ENDLESS module has begun, now or within some seconds."""
        return self.let_go() and os.read(self._descriptor, 1) == b"x"

    def let_go(self) -> bool:
        """Whether it was held and is no more, now or within some seconds."""
        readable, _, _ = select.select([self._descriptor], [], [], 10)
        return bool(readable)

    def close(self) -> None:
        """Let go of it here."""
        os.close(self._descriptor)
