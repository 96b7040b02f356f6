"""An application on a loopback port, for clients that speak HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from mlrules_mcp.server.http.serving import HttpProtocol


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """The address of an MCP endpoint, `/mcp`, that answers while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(
            app, log_level="error", lifespan="on", timeout_graceful_shutdown=1, ws="none", http=HttpProtocol
        )
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        finally:
            running.should_exit = True
            thread.join()
