"""Puts the server together."""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Iterator
from pathlib import Path

from mcp.server import MCPServer
from mcp.server.mcpserver.tools import Tool

from mlrules_mcp import __version__
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server import tools
from mlrules_mcp.server.toolkit import ServerContext

INSTRUCTIONS = """\
Practices for machine-learning code (PyTorch, Lightning, scikit-learn), checked on the code itself.
- Before you write or change ML code: list_rules with the files' paths.
- After each change: analyze_code with the new text. Mend errors and warnings; weigh advice.
- To mend: fix_code applies safe fixes; explain_rule tells why, what is left alone, and shows good code.
- To show that training works on this machine's devices: check_training.
A finding that is wrong here is suppressed on its line: # mlrules: ignore[check-name]"""


def build_server(catalogue: Catalogue, roots: tuple[Path, ...] = ()) -> MCPServer:
    """The MCP server with all its tools.

    Args:
        roots: the folders whose files the tools may read; none lets them see only what a call passes in.
    """
    context = ServerContext(catalogue, roots)
    # The SDK logs each refused argument at INFO: a line on stderr for every slip of an assistant.
    logging.getLogger("mcp").setLevel(logging.WARNING)
    return MCPServer(
        "mlrules-mcp",
        title="Machine-learning rules",
        version=__version__,
        instructions=INSTRUCTIONS,
        tools=list(_tools(context)),
        log_level="WARNING",
    )


def _tools(context: ServerContext) -> Iterator[Tool]:
    for info in pkgutil.iter_modules(tools.__path__, f"{tools.__name__}."):
        yield importlib.import_module(info.name).build(context)
