"""Source code and the facts that checks ask for."""

from mlrules_mcp.source.module import Module
from mlrules_mcp.source.project import Project
from mlrules_mcp.source.reading import SourceFile, UnreadableSource

__all__ = ["Module", "Project", "SourceFile", "UnreadableSource"]
