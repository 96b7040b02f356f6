"""A server on a loopback port, for clients that speak HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from mcp.server import MCPServer


@contextmanager
def served(server: MCPServer) -> Iterator[str]:
    """The address of a server that answers over HTTP while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        app = server.streamable_http_app()
        running = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        finally:
            running.should_exit = True
            thread.join()
