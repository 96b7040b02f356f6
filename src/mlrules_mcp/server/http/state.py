"""What the probes report of a running service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlrules_mcp.catalogue import Catalogue


@dataclass(slots=True)
class ServiceState:
    """Whether the service can take requests.

    Attributes:
        started: the protocol's endpoint is up.
        draining: the service is about to end: it answers what comes, and asks to be sent no more.
    """

    catalogue: Catalogue
    started: bool = False
    draining: bool = False

    @property
    def ready(self) -> bool:
        """Whether new requests are welcome."""
        return self.started and not self.draining and bool(self.catalogue.rules.rules)

    def report(self) -> dict[str, Any]:
        """The answer to a readiness probe."""
        status = "draining" if self.draining else "ready" if self.ready else "starting"
        return {"status": status, "rules": len(self.catalogue.rules.rules)}
