"""Reads settings from flags, the environment and a file; apart from `settings` because of what it imports."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, create_model
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from mlrules_mcp.server.http.settings import PREFIX, described


def read(given: Mapping[str, Any], file: Path | None) -> tuple[dict[str, Any], dict[str, str]]:
    """All settings' values, and for those that are not a default, where they come from.

    Raises:
        ValidationError: a value is not of its type, or the file has an unknown key.
        ValueError, OSError: the file is not TOML or cannot be read.
    """

    class Base(BaseSettings):
        model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", toml_file=file)

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            """What is given goes before the environment, and that before the file."""
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    model = create_model("Settings", __base__=Base, **{name: _field(*rest) for name, *rest in described()})
    settings = model(**given)
    values = {name: getattr(settings, name) for name in model.model_fields}
    sources = {
        **dict.fromkeys(TomlConfigSettingsSource(model)(), str(file)),
        **{name: f"{PREFIX}{name.upper()}" for name in EnvSettingsSource(model)()},
        **dict.fromkeys(given, "flag"),
    }
    return values, sources


def _field(item: Any, default: Any, metadata: Mapping[str, Any]) -> Any:
    if metadata["several"]:
        return Annotated[tuple[item, ...], NoDecode, BeforeValidator(_split)], default
    if default is None:
        return item | None, default
    return item, Field(default, ge=metadata.get("least"))


def _split(value: Any) -> Any:
    """Several values from one variable: a list in JSON, or one between commas (semicolons or lines for tokens)."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    separator = r"[;\n]" if "sha256:" in value else ","
    return [part.strip() for part in re.split(separator, value) if part.strip()]
