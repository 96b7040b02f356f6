"""Which values come from the network: files and contents that somebody else wrote."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.saved import written_lines
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
_PASSES_ON = frozenset(
    "open BytesIO StringIO Path join GzipFile decompress read iter_content iter_bytes getvalue".split()
)
_URL = pattern(r"https?://|ftp://")
_SHELL_DOWNLOAD = pattern(r"[!%]\s*(sudo )?(wget|curl|gdown|aria2c)\b")
_COMMIT = pattern(r"[0-9a-f]{40}")
_DEEPEST = 8


def is_downloaded(expression: ast.expr, module: Module) -> bool:
    """Whether a file, its name or its content is seen to come from the network."""
    return _comes_from_afar(expression, module, module.fact(_destinations), 0)


def _comes_from_afar(expression: ast.expr, module: Module, places: frozenset[str], depth: int) -> bool:
    """Whether a value is downloaded, or read from one of some places."""
    if depth > _DEEPEST:
        return False
    for origin in module.origins(expression):
        if _place(origin, module) in places or (isinstance(origin, ast.Call) and _downloads(origin, module)):
            return True
        if isinstance(origin, ast.Constant) and isinstance(origin.value, str):
            if _URL.match(origin.value) or _is_fetched_by_shell(origin.value, module):
                return True
        elif any(_comes_from_afar(source, module, places, depth + 1) for source in _sources(origin, module)):
            return True
    return False


def _is_fetched_by_shell(path: str, module: Module) -> bool:
    """Whether a notebook has a line of the shell that downloads a file of this name."""
    name = path.replace("\\", "/").rpartition("/")[2]
    return "." in name and any(name in line for line in module.fact(_shell_downloads))


def _shell_downloads(module: Module) -> list[str]:
    if not module.source.path.endswith(".ipynb"):
        return []
    return [line for _, line in written_lines(module) if _SHELL_DOWNLOAD.match(line)]


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
                if binding.kind in ("with", "unpacking", "loop") and binding.value is not None:
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
    """The code of the file names that the module downloads to."""
    targets: list[ast.expr] = []
    for call in module.calls("urlretrieve", "download", "download_url_to_file"):
        name, position = _DESTINATIONS.get(module.qualified_name(call.func) or "", ("", 0))
        if name and (target := argument(call, name, position)) is not None:
            targets.append(target)
    for call in module.calls("write"):
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Name() as file), args=[content]):
                if _comes_from_afar(content, module, frozenset(), 0):
                    opened = [binding.value for binding in module.reaching(file) if isinstance(binding.value, ast.Call)]
                    targets += [each.args[0] for each in opened if each.args and last_name(each.func) == "open"]
    return frozenset(_place(origin, module) for target in targets for origin in (target, *module.origins(target)))
