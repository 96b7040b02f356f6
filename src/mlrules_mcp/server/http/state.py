"""What the parts of a running service know of each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import anyio

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.http.pool import WorkerPool


@dataclass(slots=True)
class ServiceState:
    """Whether the service can take requests.

    Attributes:
        pool: the workers; None where tools run in the server's own process.
        started: the protocol's endpoint is up.
        draining: the service is about to end: it answers what comes, and asks to be sent no more.
        requests: how many are being answered.
        listeners: the streams that wait for notices.
    """

    catalogue: Catalogue
    pool: WorkerPool | None = None
    started: bool = False
    draining: bool = False
    requests: int = 0
    listeners: set[anyio.CancelScope] = field(default_factory=set)

    @property
    def ready(self) -> bool:
        """Whether new requests are welcome."""
        workers = self.pool is None or self.pool.up > 0
        return self.started and not self.draining and workers and bool(self.catalogue.rules.rules)

    def report(self) -> dict[str, Any]:
        """The answer to a readiness probe."""
        status = "draining" if self.draining else "ready" if self.ready else "starting"
        workers = {"workers": self.pool.up} if self.pool else {}
        return {"status": status, "rules": len(self.catalogue.rules.rules), **workers}

    def end_streams(self) -> None:
        """End the streams that would go on for ever."""
        for listener in list(self.listeners):
            listener.cancel()
