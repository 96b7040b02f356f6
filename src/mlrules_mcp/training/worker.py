"""The process that trains: `python -m mlrules_mcp.training.worker --device auto --seed 0`, in a folder of its own.

Its stdout carries the lines that `run.run_worker` reads. Before anything else is imported, stdout becomes a
channel that only this module knows, and what others print goes to stderr, which is the log.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import logging
import os
import select
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlrules_mcp.training.errors import INSTALL, TrainingError
from mlrules_mcp.training.spread import Spread

if TYPE_CHECKING:
    from mlrules_mcp.training.result import TrainingResult
    from mlrules_mcp.training.trials import Subject


def main(arguments: list[str] | None = None) -> None:
    """Train, and send progress and one result or error."""
    parser = argparse.ArgumentParser(prog="python -m mlrules_mcp.training.worker")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--nodes", type=int, help="several processes, which torchrun has started, train together")
    parser.add_argument("--strategy", default="ddp")
    parser.add_argument("--target", help="a Target as JSON: the user's module, instead of the sample")
    parser.add_argument("--time-limit", type=float, default=120.0)
    parser.add_argument("--memory-limit", type=int, default=0, help="bytes")
    options = parser.parse_args(arguments)
    folder = Path.cwd()
    channel = Channel()
    try:
        if options.target is None:
            channel.end_with_reader()
            result = train(options, channel, folder)
        else:
            result = train_target(options, channel, folder)
    except TrainingError as error:
        channel.send("error", {"reason": error.reason, "message": str(error)})
    else:
        channel.send("result", result.to_dict())


def train(
    options: argparse.Namespace,
    channel: Channel,
    folder: Path,
    subject: Callable[[], Subject] | None = None,
    until: float | None = None,
) -> TrainingResult:
    """Run the battery on the sample, or on another subject.

    Args:
        until: when it has to have ended, by `time.monotonic`; slow checks are given up for that.

    Raises:
        TrainingError: torch does not import, or what `run_battery` and `subject` raise.
    """
    channel.progress(0, None, "importing torch and lightning")
    try:
        # Only now: what these print while they are imported belongs into the log.
        from mlrules_mcp.training import battery, devices  # noqa: PLC0415
    except (ImportError, OSError) as error:  # OSError: a shared library is missing
        message = f"torch or lightning is installed but cannot be imported ({error}). Install it anew: {INSTALL}."
        raise TrainingError("not-installed", message) from None
    spread = Spread.of_environment(options.nodes, options.strategy) if options.nodes else None
    # The simulated device has to be known before anything goes backward.
    devices.prepare(battery.choose_devices(options.device))
    made = battery.SAMPLE if subject is None else subject()
    return battery.run_battery(
        options.device,
        seed=options.seed,
        folder=folder,
        full=options.full,
        subject=made,
        spread=spread,
        seconds=None if until is None else max(1.0, until - time.monotonic()),
        progress=channel.progress,
    )


def train_target(options: argparse.Namespace, channel: Channel, folder: Path) -> TrainingResult:
    """Run the battery on the user's module, confined; raises TrainingError as `train` and `make_subject` do."""
    from mlrules_mcp.training.confinement import Limits, confine  # noqa: PLC0415
    from mlrules_mcp.training.target.request import Target  # noqa: PLC0415

    until = time.monotonic() + 0.9 * options.time_limit
    target = Target.from_json(options.target)
    limits = Limits(memory=options.memory_limit, seconds=options.time_limit)

    def report(reason: str, message: str) -> None:
        channel.send("error", {"reason": reason, "message": message}, anyway=True)

    notes = confine(limits, root=Path(target.root), folder=folder, channel=channel.descriptor, report=report)
    channel.claim()
    # The user's code may loop for ever: just before the time is up, the log gets to know where it is.
    faulthandler.dump_traceback_later(max(options.time_limit - 0.5, 0.8 * options.time_limit))
    temporary, own = folder / "tmp", folder / "own"
    for each in (temporary, own):
        each.mkdir()
    os.environ.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)))
    tempfile.tempdir = None
    channel.progress(0, None, f"importing {Path(target.file).name}")

    # Without torch, as far as that goes: what fails at once is to be told at once.
    from mlrules_mcp.training.target.loading import Importer  # noqa: PLC0415

    importer = Importer(target)
    importer.file_module(importer.file)

    def subject() -> Subject:
        from mlrules_mcp.training.target.subject import make_subject, remade  # noqa: PLC0415

        channel.progress(0, None, "making the model and taking its first steps")
        made = make_subject(target, importer, seed=options.seed, folder=own)
        remake = partial(remade, target, options.seed, own)
        return replace(made, notes=(*made.notes, *notes), remake=remake)

    _quiet()
    return train(options, channel, own, subject, until)


def _quiet() -> None:
    """Keep what Lightning says of our own settings out of the log, which is for what the user's code prints."""
    warnings.filterwarnings("ignore", module=r"lightning\.")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)


class Channel:
    """The way to the reader of this process's output, taken for ourselves: what others print goes to stderr."""

    def __init__(self) -> None:
        self.descriptor = os.dup(1)
        self._file = os.fdopen(self.descriptor, "w", encoding="utf-8")
        self._owner = os.getpid()
        os.dup2(2, 1)

    def claim(self) -> None:
        """Belong to this process from now on, rather than to the one that it was forked from."""
        self._owner = os.getpid()

    def send(self, kind: str, content: dict[str, Any], anyway: bool = False) -> None:
        """Send a message. A process that the user's code forked, and that came this far, ends instead."""
        if os.getpid() != self._owner and not anyway:
            os._exit(0)
        if anyway:  # a message of the process that was ended may have been cut off
            self._file.write("\n")
        try:
            print(json.dumps({kind: content}, allow_nan=False), file=self._file, flush=True)
        except OSError:  # whoever closes all descriptors closes this one
            os.write(2, b"The descriptor that answers are written to was closed.\n")
            os._exit(1)

    def progress(self, done: int, total: int | None, message: str) -> None:
        """Send how far the work is."""
        self.send("progress", {"done": done, "total": total, "message": message})

    def end_with_reader(self) -> None:
        """End this process and its children as soon as nobody reads the channel any more, for the parent was killed.

        Windows cannot tell; there the worker goes on to its end.
        """
        if sys.platform == "win32":
            return

        def watch() -> None:
            poll = select.poll()
            poll.register(self.descriptor, 0)  # no event is asked for: an error is reported all the same
            poll.poll()
            if os.getsid(0) == os.getpid():
                os.killpg(0, signal.SIGKILL)
            os._exit(1)

        threading.Thread(target=watch, daemon=True, name="end-with-reader").start()


if __name__ == "__main__":
    main()
