import subprocess
import sys

import pytest

from mlrules_mcp.manifest import compiled
from mlrules_mcp.manifest.reader import read_manifest, read_manifest_file

from .support import BLOCK, HEAD


def test_the_compiled_manifest_is_fresh():
    fresh = read_manifest_file(compiled.shipped_path(), compiled.SHIPPED_SOURCE)
    assert compiled.shipped_manifest() == fresh, "run `make docs`"
    assert compiled.COMPILED.read_text(encoding="utf-8") == compiled.to_json(fresh), "run `make docs`"


def test_writing_and_reading_back_gives_the_same_manifest():
    manifest = read_manifest(
        f'{HEAD}@context {{"a": ["é"]}}\n{BLOCK}- tip\n'
        '@other [{"id": "off", "severity": "off", "description": "O"}]\n@version "1"\n',
        "rules.md",
    )
    assert compiled.from_json(compiled.to_json(manifest)) == manifest


@pytest.mark.parametrize("text", [BLOCK, HEAD + '@my_rules [{"id": "a", "severity": "off"}]\n'])
def test_a_manifest_with_diagnostics_or_adjustments_is_not_shipped(text):
    with pytest.raises(ValueError, match="not ready to be shipped"):
        compiled.to_json(read_manifest(text, "rules.md"))


def test_the_writer_writes_what_the_reader_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "COMPILED", tmp_path / "shipped.json")
    compiled.main()
    text = (tmp_path / "shipped.json").read_text(encoding="utf-8")
    assert compiled.from_json(text) == compiled.shipped_manifest()


def test_the_shipped_rules_load_neither_pydantic_nor_yaml_nor_wcmatch():
    code = (
        "import sys; from mlrules_mcp.manifest import compiled, globs, merging; "
        "rules = merging.load_manifests().rules; "
        "print(len(rules), sorted({'pydantic', 'yaml', 'wcmatch', 'difflib'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "46 []"
