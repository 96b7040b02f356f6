"""The MCP server: a thin skin over the analysis, the manifest and the training check."""
