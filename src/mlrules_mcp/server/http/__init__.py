"""The MCP server over HTTP: one process that speaks to clients, and worker processes that analyse what they send."""
