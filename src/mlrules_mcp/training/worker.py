"""The process that trains: `python -m mlrules_mcp.training.worker --device auto --seed 0`, in a folder of its own.

Its stdout carries the lines that `run.run_worker` reads. Before anything else is imported, stdout becomes a
channel that only this module knows, and what others print goes to stderr, which is the log.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

from mlrules_mcp.training.errors import INSTALL, TrainingError


def main(arguments: list[str] | None = None) -> None:
    """Train, and send progress and one result or error."""
    parser = argparse.ArgumentParser(prog="python -m mlrules_mcp.training.worker")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args(arguments)
    channel = claim_stdout()
    end_with_reader(channel.fileno())

    def send(kind: str, content: dict[str, Any]) -> None:
        print(json.dumps({kind: content}, allow_nan=False), file=channel, flush=True)

    def progress(done: int, total: int | None, message: str) -> None:
        send("progress", {"done": done, "total": total, "message": message})

    progress(0, None, "importing torch and lightning")
    try:
        # Only now: what these print while they are imported belongs into the log.
        from mlrules_mcp.training.battery import run_battery  # noqa: PLC0415
    except (ImportError, OSError) as error:  # OSError: a shared library is missing
        message = f"torch or lightning is installed but cannot be imported ({error}). Install it anew: {INSTALL}."
        send("error", {"reason": "not-installed", "message": message})
        return
    try:
        result = run_battery(options.device, seed=options.seed, folder=Path.cwd(), full=options.full, progress=progress)
    except TrainingError as error:
        send("error", {"reason": error.reason, "message": str(error)})
    else:
        send("result", result.to_dict())


def claim_stdout() -> TextIO:
    """Take stdout for ourselves: returns it, and sends what anyone else writes to it to stderr."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return channel


def end_with_reader(channel: int) -> None:
    """End this process and its children as soon as nobody reads the channel any more, for the parent was killed.

    Windows cannot tell; there the worker goes on to its end.
    """
    if sys.platform == "win32":
        return

    def watch() -> None:
        poll = select.poll()
        poll.register(channel, 0)  # no event is asked for: an error is reported all the same
        poll.poll()
        if os.getsid(0) == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end-with-reader").start()


if __name__ == "__main__":
    main()
