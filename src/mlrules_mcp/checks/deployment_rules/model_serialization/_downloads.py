"""Which values come from the network: files and contents that somebody else wrote."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.tree import code_of

_RETURNS_IT = frozenset(
    "urlopen urlretrieve hf_hub_download hf_hub_url cached_download snapshot_download cached_path get_file "
    "download_url_to_file".split()
)
_CLIENTS = frozenset("requests httpx gdown wget pooch urllib3".split())
# Downloads to a place of the caller's choice: where they take it.
_DESTINATIONS: dict[str, tuple[str, int]] = {
    "urllib.request.urlretrieve": ("filename", 1),
    "wget.download": ("out", 1),
    "gdown.download": ("output", 1),
    "torch.hub.download_url_to_file": ("dst", 1),
}
_PASSES_ON = frozenset("open BytesIO StringIO Path join GzipFile decompress read ZipFile b64decode unquote".split())
_URL = pattern(r"https?://|ftp://")
_COMMIT = pattern(r"[0-9a-f]{40}")
_DEEPEST = 8


def is_downloaded(expression: ast.expr, module: Module, depth: int = 0) -> bool:
    """Whether a file, its name or its content is seen to come from the network."""
    if depth > _DEEPEST:
        return False
    for origin in module.origins(expression):
        if _place(origin, module) in _destinations(module) or any(
            is_downloaded(source, module, depth + 1) for source in _sources(origin, module)
        ):
            return True
        if isinstance(origin, ast.Call) and _downloads(origin, module):
            return True
        if isinstance(origin, ast.Constant) and isinstance(origin.value, str) and _URL.match(origin.value):
            return True
    return False


def _downloads(call: ast.Call, module: Module) -> bool:
    revision = argument(call, "revision")
    if isinstance(revision, ast.Constant) and _COMMIT.fullmatch(str(revision.value)):
        return False  # pinned to what somebody has looked at
    name = module.qualified_name(call.func) or ""
    return last_name(call.func) in _RETURNS_IT or name.partition(".")[0] in _CLIENTS


def _sources(origin: ast.expr, module: Module) -> Iterator[ast.expr]:
    """The expressions one step back that a file, its name or its content is made from."""
    match origin:
        case ast.Name():
            for binding in module.reaching(origin):
                if binding.kind in ("with", "unpacking") and binding.value is not None:
                    yield binding.value
        case ast.Attribute(value=value) | ast.Subscript(value=value):
            yield value
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            yield from (left, right)
        case ast.Call(func=func, args=args) if last_name(func) in _PASSES_ON:
            yield from args
            if isinstance(func, ast.Attribute) and module.qualified_name(func) is None:
                yield func.value


def _place(expression: ast.expr, module: Module) -> str:
    """A file's name as code; what is a variable of a function counts in that function alone."""
    code = code_of(expression)
    function = module.enclosing_function(expression) if isinstance(expression, ast.Name) else None
    return f"{code} in {function.name}" if function else code


def _destinations(module: Module) -> frozenset[str]:
    return module.fact(_find_destinations)


def _find_destinations(module: Module) -> frozenset[str]:
    """The code of the file names that the module downloads to."""
    found: set[str] = set()
    for call in module.calls("urlretrieve", "download", "download_url_to_file"):
        name, position = _DESTINATIONS.get(module.qualified_name(call.func) or "", ("", 0))
        if name and (target := argument(call, name, position)) is not None:
            found.update(_place(origin, module) for origin in (target, *module.origins(target)))
    return frozenset(found)
