"""How the service is configured: by flags, the environment and a file, in that order.

The table of settings is plain, so that the command line can show its flags without what serving needs.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

PREFIX = "MLRULES_"
INSTALL = "pip install 'mlrules-mcp[http]'"


class SettingsError(Exception):
    """A setting is not what it has to be; the message names it, and where it came from."""


def _setting(default: Any, text: str, **more: Any) -> Any:
    return field(default=default, metadata={"help": text, **more})


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """The settings of the service; see each one's help."""

    host: str = _setting("127.0.0.1", "Where to listen.")
    port: int = _setting(8000, "The port; 0 takes a free one.", least=0)
    roots: tuple[Path, ...] = _setting((), "A folder whose files the tools may read.", flag="--root")
    manifests: tuple[Path, ...] = _setting((), "A further rule file.", flag="--manifest")
    tools: tuple[str, ...] = _setting((), "A tool to offer, by name; none stands for all.", flag="--tools")
    read_only: bool = _setting(False, "Offer no tool that runs code of the operator's.")
    allowed_hosts: tuple[str, ...] = _setting(
        (), "A Host header to take besides localhost, with its port or `:*`.", flag="--allowed-host"
    )
    allowed_origins: tuple[str, ...] = _setting(
        (), "An Origin header to take besides those of the hosts.", flag="--allowed-origin"
    )
    insecure: bool = _setting(False, "Listen beyond this machine without tokens.")
    tokens_file: Path | None = _setting(None, "A file of hashed tokens, as `mlrules-mcp token` makes them.")  # noqa: RUF009
    tokens: tuple[str, ...] = _setting((), "Lines of such a file.", secret=True)
    oauth_issuer: str = _setting("", "The authorization server whose access tokens are taken.")
    oauth_audience: str = _setting("", "The audience that they must be for. Default: the public URL.")
    oauth_jwks_url: str = _setting("", "Where the issuer's keys are. Default: as the issuer's metadata says.")
    public_url: str = _setting("", "The URL that clients call, such as https://mlrules.example/mcp. Needed for OAuth.")
    rate_limit: int = _setting(600, "The most requests a minute for each token or address; 0: no limit.", least=0)
    trusted_proxies: tuple[str, ...] = _setting(
        (), "An address of a proxy whose X-Forwarded-For is believed.", flag="--trusted-proxy"
    )
    enable_training: bool = _setting(False, "Offer check_training, which uses this machine's devices.")
    workers: int = _setting(0, "Processes that analyse; 0: one for each core.", least=0)
    queue: int = _setting(64, "The most requests that wait for a worker.", least=0)
    time_limit: float = _setting(30.0, "The most seconds that a call may take in a worker.", least=0.1)
    memory_limit: int = _setting(1024, "The most MiB that a call may take beyond what a worker starts with.", least=16)
    max_request: int = _setting(4, "The most MiB of a request.", least=1)
    max_files: int = _setting(50, "The most files or paths in a call.", least=1)
    max_code: int = _setting(2048, "The most KiB of text in a call.", least=1)
    drain_delay: float = _setting(0.0, "Seconds between SIGTERM and the end of listening, unready.", least=0)
    drain_limit: int = _setting(30, "The most seconds that open requests get after that.", least=0)

    def check(self) -> None:
        """Raise a SettingsError where settings do not go together."""
        protected = self.tokens_file or self.tokens or self.oauth_issuer
        if not protected and not self.insecure and not is_loopback(self.host):
            raise SettingsError(
                f"Listening on {self.host} lets others in. Set tokens_file (`mlrules-mcp token` makes tokens) or "
                "oauth_issuer, or insecure where everyone may come in."
            )
        if self.oauth_issuer and not self.public_url:
            raise SettingsError("oauth_issuer needs public_url: clients are told which resource to ask tokens for.")
        for name in ("oauth_issuer", "oauth_jwks_url", "public_url"):
            value = getattr(self, name)
            if value and not value.startswith(("https://", "http://localhost", "http://127.0.0.1")):
                raise SettingsError(f"{name} has to be an https:// URL, not {value!r}.")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a setting's value came from, for `--check-config`."""

    name: str
    value: str
    source: str


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def flag(name: str) -> str:
    """The flag of a setting."""
    metadata = next(each.metadata for each in fields(HttpSettings) if each.name == name)
    return str(metadata.get("flag") or f"--{name.replace('_', '-')}")


def described() -> Iterator[tuple[str, type, Any, Mapping[str, Any]]]:
    """Each setting's name, type (of an item, where there can be several), default and metadata."""
    types = get_type_hints(HttpSettings)
    for each in fields(HttpSettings):
        assert each.default is not MISSING
        kind = types[each.name]
        item = get_args(kind)[0] if get_args(kind) else kind
        yield each.name, item, each.default, {**each.metadata, "several": get_origin(kind) is tuple}


def load(given: Mapping[str, Any], file: Path | None = None) -> tuple[HttpSettings, list[Origin]]:
    """The settings in force, and where each came from.

    Args:
        given: what flags say; those not given are left out.
        file: a TOML file with the settings' names as keys.

    Raises:
        SettingsError: something is wrong with one.
    """
    try:
        from pydantic import ValidationError  # noqa: PLC0415 - only serving over HTTP needs it

        from mlrules_mcp.server.http.sources import read  # noqa: PLC0415
    except ImportError:
        raise SettingsError(f"Serving over HTTP needs more packages; install with: {INSTALL}") from None
    if file is not None and not file.is_file():
        raise SettingsError(f"There is no file {file.as_posix()!r}.")
    try:
        values, sources = read(given, file)
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise SettingsError(f"Settings: {'; '.join(problems)}.") from None
    except (ValueError, OSError) as error:
        raise SettingsError(f"The settings cannot be read: {error}") from None
    settings = HttpSettings(**values)
    origins = [
        Origin(name, _shown(values[name], metadata), sources.get(name, "default"))
        for name, _, _, metadata in described()
    ]
    settings.check()
    return settings, origins


def _shown(value: Any, metadata: Mapping[str, Any]) -> str:
    if metadata.get("secret"):
        return f"({len(value)} hidden)" if value else ""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def table() -> str:
    """All settings as a table in Markdown."""
    lines = ["| flag | variable, and key of the file | default | |", "| --- | --- | --- | --- |"]
    for name, _, default, metadata in described():
        option = "" if metadata.get("secret") else f"`{flag(name)}`"
        shown = _shown(default, metadata)
        several = " May be repeated." if metadata["several"] else ""
        lines.append(
            f"| {option} | `{PREFIX}{name.upper()}`, `{name}` | {f'`{shown}`' if shown else ''} "
            f"| {metadata['help']}{several} |"
        )
    return "\n".join(lines)
