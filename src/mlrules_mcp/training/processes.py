"""Several processes on this machine that train together, as torchrun would start them."""

from __future__ import annotations

import multiprocessing
import os
import socket
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

import torch
from torch import distributed

from mlrules_mcp.training.errors import NotApplicableError, TrainingFailedError, quote
from mlrules_mcp.training.places import Place

HOST = "127.0.0.1"
# How long the other processes may take to say what they raised themselves, in seconds.
GRACE = 2.0


def run_together(work: Callable[..., Any], arguments: tuple[Any, ...], *, count: int, seconds: float) -> list[Any]:
    """Do some work in several new processes that can talk to each other over gloo; returns what each one made.

    They are no forks: autograd does not run in a fork of a process that has used it.

    Args:
        work: gets the rank and the arguments; a function of a module, which is sent by name.
        arguments: sent by pickle, as is what the work returns.
        count: how many processes.
        seconds: how long they may take.

    Raises:
        NotApplicableError: this machine can't do that, or not in time.
        TrainingFailedError: the work raised.
    """
    if not distributed.is_available():
        raise NotApplicableError("This PyTorch is built without torch.distributed.")
    context = multiprocessing.get_context("spawn")
    port = _free_port()
    pipes, children = [], []
    for rank in range(count):
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_rank, args=(work, arguments, rank, count, port, theirs))
        try:
            child.start()
        except OSError as error:
            raise NotApplicableError(f"No process can be started here: {quote(error)}.") from error
        theirs.close()
        pipes.append(ours)
        children.append(child)
    try:
        return _collect(pipes, seconds)
    finally:
        for child in children:
            child.kill()
            child.join()


def _collect(pipes: list[Connection], seconds: float) -> list[Any]:
    """What came out of the pipes, in their order."""
    results: dict[int, Any] = {}
    failures: list[tuple[str, str, Place | None]] = []
    deadline = time.monotonic() + seconds
    while len(results) + len(failures) < len(pipes):
        left = [pipe for pipe in pipes if not pipe.closed]
        ready = wait(left, max(0.0, deadline - time.monotonic()))
        if not ready:
            break
        for pipe in pipes:
            if pipe not in ready:
                continue
            try:
                kind, *content = pipe.recv()
            except EOFError:
                kind, content = "alone", ["one of them ended without a word.", None]
            pipe.close()
            if kind == "done":
                results[pipes.index(pipe)] = content[0]
            else:
                failures.append((kind, content[0], content[1]))
                deadline = min(deadline, time.monotonic() + GRACE)
    if failures:
        # A process whose partner has died raises as well: what it says of the connection comes last.
        kind, message, place = min(failures, key=lambda failure: (failure[0] != "alone", failure[2] is None))
        if kind == "alone":
            raise NotApplicableError(f"Processes can't talk to each other here: {message}")
        raise TrainingFailedError(message, place)
    if len(results) < len(pipes):
        raise NotApplicableError(f"{len(pipes)} processes did not train together within {seconds:g} s.")
    return [results[index] for index in range(len(pipes))]


def _rank(
    work: Callable[..., Any], arguments: tuple[Any, ...], rank: int, count: int, port: int, pipe: Connection
) -> None:
    """One of the processes, from its begin to its end."""
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "GROUP_RANK": "0",
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": HOST,
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "mlrules",
    }
    with suppress(OSError):
        loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "")
        os.environ |= {"GLOO_SOCKET_IFNAME": loopback} if loopback else {}
    try:
        distributed.init_process_group("gloo")
        distributed.barrier()
    except (RuntimeError, OSError, ValueError) as error:
        pipe.send(("alone", quote(error), None))
        return
    try:
        pipe.send(("done", work(rank, *arguments)))
    except TrainingFailedError as error:
        pipe.send(("raised", str(error), error.place))
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        pipe.send(("raised", quote(error), None))


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind((HOST, 0))
        port: int = bound.getsockname()[1]
        return port
