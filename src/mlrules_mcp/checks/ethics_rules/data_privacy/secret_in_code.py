from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.ethics_rules.data_privacy._secrets import Format, formats_in, is_made_up, secrets
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding, Location
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.saved import written_lines, written_text

_WANDB = pattern(r"(?:local-)?[0-9a-f]{40}")
_COMET = pattern(r"[A-Za-z0-9]{25}")
# Calls that take a key whose form alone says nothing: the argument, the key's form, what it is, its variable.
_LOGINS: dict[str, tuple[str, int, re.Pattern[str], str, str]] = {
    "wandb.login": ("key", 1, _WANDB, "Weights & Biases API key", "WANDB_API_KEY"),
    "comet_ml.Experiment": ("api_key", 0, _COMET, "Comet API key", "COMET_API_KEY"),
    "comet_ml.start": ("api_key", 0, _COMET, "Comet API key", "COMET_API_KEY"),
    "comet_ml.login": ("api_key", 0, _COMET, "Comet API key", "COMET_API_KEY"),
    "comet_ml.init": ("api_key", 0, _COMET, "Comet API key", "COMET_API_KEY"),
}
_TRACKERS = frozenset(name.partition(".")[0] for name in _LOGINS)


class SecretInCode(Check[ast.Module]):
    """A token of a tracker, hub or cloud that stands in the code.

    ## What it does
    Finds tokens by the forms that their issuers document: Hugging Face (`hf_…`), Weights & Biases, Kaggle, Comet,
    Neptune, OpenAI, Anthropic, Google, AWS, GitHub, Databricks, Replicate, Groq and NVIDIA; in strings, comments and
    a notebook's shell lines and magics. The token itself is never repeated.

    ## Why it matters
    Whoever gets a copy of the file, its history or the notebook can use the account: read and delete models and
    data, and run up costs. Deleting the line is not enough, as the history keeps it.

    ## Do not flag
    Placeholders (`"YOUR_TOKEN"`, `hf_xxxx…`, the example keys of AWS's documentation), tokens read from the
    environment, a secret store or `getpass`, hashes and commit ids of the same length, CSS classes such as
    scikit-learn's `sk-toggleable`, base64; tests.

    ## Fix safety
    No fix: the token has to be revoked first.

    ## References
    - https://docs.github.com/en/code-security/secret-scanning/introduction/supported-secret-scanning-patterns
    - https://huggingface.co/docs/hub/security-tokens
    - https://docs.wandb.ai/models/track/environment-variables
    """

    packages = frozenset()
    examples = (
        Bad(
            """
            import wandb

            wandb.login(key="«7149d439536b3216fdaeeb975729fae923d5a4fd»")
            """
        ),
        Bad(
            """
            import os

            os.environ["WANDB_API_KEY"] = "«7149d439536b3216fdaeeb975729fae923d5a4fd»"
            os.environ["KAGGLE_KEY"] = "«12aabfe228f219e9cb0eb53f16947ccf»"
            """
        ),
        Bad(
            """
            import wandb as wb

            KEY = «"7149d439536b3216fdaeeb975729fae923d5a4fd"»

            def main():
                wb.login(key=KEY)
            """
        ),
        Bad(
            """
            import torch

            # wandb.login(key="«7149d439536b3216fdaeeb975729fae923d5a4fd»")
            settings = {"epochs": 10, "WANDB_API_KEY": "‹local-7149d439536b3216fdaeeb975729fae923d5a4fd›"}
            """
        ),
        Bad(
            """
            import json

            with open("kaggle.json", "w") as file:
                file.write('{"username": "ann", "key": "«12aabfe228f219e9cb0eb53f16947ccf»"}')
            """
        ),
        Good(
            """
            import os
            import wandb
            from getpass import getpass
            from kaggle_secrets import UserSecretsClient

            wandb.login(key=os.environ["WANDB_API_KEY"])
            wandb.login(key=UserSecretsClient().get_secret("wandb"))
            os.environ["HF_TOKEN"] = getpass("token: ")
            """
        ),
        Good(
            """
            import os
            import wandb
            from huggingface_hub import login

            wandb.login(key="YOUR_WANDB_API_KEY")
            os.environ["WANDB_API_KEY"] = "0"
            os.environ["WANDB_API_KEY"] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
            os.environ["KAGGLE_KEY"] = "0123456789abcdef0123456789abcdef"
            login(token="hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
            AWS_ACCESS_KEY_ID = "AKIAIOSFODNN7EXAMPLE"
            """,
            "placeholders, and the example key of AWS's documentation",
        ),
        Good(
            """
            from transformers import AutoModel

            model = AutoModel.from_pretrained("org/model", revision="7149d439536b3216fdaeeb975729fae923d5a4fd")
            checksums = {"wandb-offline.tar.gz": "12aabfe228f219e9cb0eb53f16947ccf"}
            """,
            "commits and checksums are as long",
        ),
        Good(
            """
            import torch

            style = '<style>#sk-container-id-1 .sk-toggleable__control:checked~label.sk-toggleable__label</style>'
            picture = "iVBORw0KGgoAAAANSUhEUgAAAAUA/hf_AAAFCAYAAACNbyblAAAAHElEQVQI12P4/8/AKIA"
            """,
            "a style sheet and a picture",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test(module):
            return
        seen: set[tuple[int | None, int]] = set()
        for location, what, variable in (*_by_form(module), *_by_use(module)):
            if (location.cell, location.line) not in seen:
                seen.add((location.cell, location.line))
                yield self.finding(
                    module,
                    location,
                    f"A {what} stands here: whoever gets this file or its history can use the account. "
                    f"Revoke it, and read the new one from the environment (`{variable}`) or a secret store.",
                    error=True,
                )


def _by_form(module: Module) -> Iterator[tuple[Location, str, str]]:
    text = written_text(module)
    formats = [form for form in formats_in(text) if any(_of_lines(text, form))]
    if not formats:
        return
    for place, line in written_lines(module):
        for secret in secrets(line, formats):
            location = replace(place, column=secret.start + 1, end_column=secret.end + 1)
            yield location, secret.what, secret.variable


def _of_lines(text: str, form: Format) -> Iterator[bool]:
    """For each line with a format's marker, whether it holds a token: far fewer than all lines."""
    place = text.find(form.marker)
    while place >= 0:
        start, end = text.rfind("\n", 0, place) + 1, text.find("\n", place)
        end = end if end >= 0 else len(text)
        yield form.expression.search(text, start, end) is not None
        place = text.find(form.marker, end)


def _by_use(module: Module) -> Iterator[tuple[Location, str, str]]:
    if not module.imported_packages & _TRACKERS:
        return
    for call in module.calls("login", "Experiment", "start", "init"):
        match _LOGINS.get(module.qualified_name(call.func) or ""):
            case (name, position, form, what, variable):
                given = argument(call, name, position)
                for origin in module.origins(given) if given is not None else ():
                    match origin:
                        case ast.Constant(value=str(key)) if form.fullmatch(key) and not is_made_up(key):
                            yield module.location(origin), what, variable
