"""What the tests of the manifest share."""

from mlrules_mcp.manifest.model import Manifest
from mlrules_mcp.manifest.reader import read_manifest

HEAD = '---\ntrigger: always_on\ndescription: Rules\nglobs: ["**/*.py"]\n---\n'
BLOCK = '@my_rules [\n  {"id": "first", "description": "Do this"}\n]\n'


def read(text: str) -> Manifest:
    return read_manifest(text, "rules.md")


def codes(manifest: Manifest) -> list[str]:
    return [diagnostic.code for diagnostic in manifest.diagnostics]
