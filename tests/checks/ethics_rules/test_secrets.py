"""The forms of tokens. The tokens are put together here, so that no scanner takes this file for a leak."""

from __future__ import annotations

import json
import random
import string

import pytest

from mlrules_mcp.analysis.engine import analyze
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.checks.ethics_rules.data_privacy._secrets import formats_in, is_made_up, secrets
from mlrules_mcp.source import SourceFile

LETTERS = string.ascii_letters
DIGITS = string.digits
HEX = "0123456789abcdef"
BASE32 = string.ascii_uppercase + "234567"


def drawn(characters: str, length: int) -> str:
    return "".join(random.Random(length).choices(characters, k=length))


TOKENS = {
    "Hugging Face token": "hf" + "_" + drawn(LETTERS, 34),
    "OpenAI API key": "sk" + "-proj-" + drawn(LETTERS, 40) + "T3Blbk" + "FJ" + drawn(LETTERS, 40),
    "Anthropic API key": "sk" + "-ant-api03-" + drawn(LETTERS + DIGITS, 95),
    "Google API key": "AI" + "za" + drawn(LETTERS + DIGITS, 35),
    "AWS access key": "AK" + "IA" + drawn(BASE32, 16),
    "GitHub token": "gh" + "p_" + drawn(LETTERS + DIGITS, 36),
    "Databricks token": "da" + "pi" + drawn(HEX, 32),
    "Replicate API token": "r8" + "_" + drawn(LETTERS + DIGITS, 37),
    "Groq API key": "gs" + "k_" + drawn(LETTERS + DIGITS, 52),
    "NVIDIA API key": "nv" + "api-" + drawn(LETTERS + DIGITS, 64),
    "Weights & Biases API key": "wandb" + "_v1_" + drawn(LETTERS + DIGITS, 76),
    "Neptune API token": "eyJhcGlfYWRk" + "cmVzcyI6" + drawn(LETTERS + DIGITS, 90) + "=",
}


def found(text: str) -> list[tuple[str, str]]:
    return [(secret.what, text[secret.start : secret.end]) for secret in secrets(text, formats_in(text))]


@pytest.mark.parametrize("what", TOKENS)
def test_a_token_is_told_by_its_form(what: str) -> None:
    token = TOKENS[what]
    assert found(f'login(token="{token}")') == [(what, token)]
    assert found(f"export TOKEN={token}") == [(what, token)]


@pytest.mark.parametrize("what", TOKENS)
def test_what_is_longer_or_part_of_a_picture_is_none(what: str) -> None:
    token = TOKENS[what].rstrip("=")
    assert found(f"iVBORw0K/{token}/AAAB") == []
    assert found(f"A{token}B") == []


@pytest.mark.parametrize("line", ["wandb login {}", 'wandb.login(relogin=True, key="{}")', "%env WANDB_API_KEY={}"])
def test_a_key_of_wandb_without_a_form_of_its_own_is_told_by_what_stands_before_it(line: str) -> None:
    key = drawn(HEX, 40)
    assert found(line.format(key)) == [("Weights & Biases API key", key)]
    assert found(f'revision = "{key}"') == []


@pytest.mark.parametrize("name", ["aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"])
def test_the_secret_key_of_aws_is_told_by_its_name(name: str) -> None:
    key = drawn(LETTERS + DIGITS + "/+", 40)
    assert found(f'os.environ["{name}"] = "{key}"') == [("AWS secret key", key)]
    assert found(f'{name} = os.environ["AWS_SECRET"]') == []


@pytest.mark.parametrize("before", ["X-Amz-Credential=", "AWSAccessKeyId="])
def test_a_signed_address_names_a_key_and_gives_nothing_away(before: str) -> None:
    assert found(f"https://objects.example.com/a.pt?{before}{TOKENS['AWS access key']}%2F20220725") == []


@pytest.mark.parametrize(
    "token", ["hf_" + "x" * 34, "AKIAIOSFODNN7EXAMPLE", "0123456789abcdef" * 2, "hf_yourtokenhere"]
)
def test_placeholders_are_made_up(token: str) -> None:
    assert is_made_up(token)


def test_a_message_names_the_token_and_never_repeats_it() -> None:
    token = TOKENS["Hugging Face token"]
    cell = {"cell_type": "code", "source": f"!huggingface-cli login --token {token}", "outputs": [{"text": token}]}
    source = SourceFile.from_text(json.dumps({"cells": [cell], "metadata": {}}), "a.ipynb")
    findings = analyze(source, Catalogue().narrowed(["data_privacy"])).findings
    assert {finding.check for finding in findings} == {"secret-in-code", "secret-in-output"}
    assert {finding.severity for finding in findings} == {"error"}
    assert all("Hugging Face token" in finding.message and token not in repr(finding) for finding in findings)


def test_the_place_of_a_token_in_a_shell_line_is_its_own_columns() -> None:
    token = TOKENS["Hugging Face token"]
    cell = {"cell_type": "code", "source": f"import torch\n!huggingface-cli login --token {token}", "outputs": []}
    source = SourceFile.from_text(json.dumps({"cells": [cell], "metadata": {}}), "a.ipynb")
    (finding,) = analyze(source, Catalogue().narrowed(["data_privacy"])).findings
    location = finding.location
    assert (location.cell, location.line, location.column, location.end_column) == (1, 2, 32, 32 + len(token))


@pytest.mark.parametrize(
    "comment", ["# mlrules: ignore[secret-in-output]\nshow()", "show()  # mlrules: ignore[data_privacy]"]
)
def test_a_comment_in_the_cell_suppresses_what_its_output_shows(comment: str) -> None:
    cell = {"cell_type": "code", "source": comment, "outputs": [{"text": TOKENS["Hugging Face token"]}]}
    analysis = analyze(SourceFile.from_text(json.dumps({"cells": [cell]}), "a.ipynb"), Catalogue())
    assert not [finding for finding in analysis.findings if finding.check == "secret-in-output"]
    assert not analysis.diagnostics
