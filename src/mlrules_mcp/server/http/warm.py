"""Imported once by the process that workers are forked from: each of them begins with everything loaded.

A worker then starts in some milliseconds instead of a second, and shares the memory of what was loaded.
"""

from __future__ import annotations

import gc

from mlrules_mcp.analysis.fixes import fix
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import build_server
from mlrules_mcp.source import SourceFile

_SAMPLE = "import torch\nwith torch.no_grad:\n    pass\n"


def _load_everything() -> None:
    catalogue = Catalogue()
    assert catalogue.checks
    build_server(catalogue)
    fix(SourceFile.from_text(_SAMPLE, "sample.py"), catalogue, ["safe"])
    # What lives now lives for ever; a collector that scanned it would copy its pages into every worker.
    gc.collect()
    gc.freeze()


_load_everything()
