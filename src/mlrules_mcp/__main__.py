"""`python -m mlrules_mcp` is the command `mlrules-mcp`."""

from mlrules_mcp.cli import main

main()
