"""Tokens of trackers, hubs and clouds that are told by their form alone, as their issuers document it.

Seen in November 2026:
- Hugging Face: https://huggingface.co/docs/hub/security-tokens
- Weights & Biases: https://docs.wandb.ai/support/find_api_key (40 hexadecimal digits; `wandb_v1_` since 2026)
- Kaggle: https://www.kaggle.com/docs/api (`kaggle.json`, 32 hexadecimal digits)
- Neptune: https://docs.neptune.ai/api/neptune (base64 of a JSON object that starts with `api_address`)
- OpenAI, Anthropic, GitHub, Google, Databricks, Replicate, Groq, NVIDIA:
  https://docs.github.com/en/code-security/secret-scanning/introduction/supported-secret-scanning-patterns
- AWS: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from mlrules_mcp.patterns import pattern


class Format(NamedTuple):
    """How the tokens of one issuer look.

    Attributes:
        what: what such a token is, in the words of a message.
        marker: what every text with one has in it.
        expression: finds it; the token itself is the group `token`.
        variable: the environment variable that its library reads it from.
    """

    what: str
    marker: str
    expression: re.Pattern[str]
    variable: str


def _form(body: str) -> re.Pattern[str]:
    # Between characters that no token has: pictures in base64 hold every short sequence somewhere.
    return pattern(rf"(?<![\w+/-])(?P<token>{body})(?![\w+/-])")


def _beside(words: str, body: str) -> re.Pattern[str]:
    return pattern(rf"(?:{words})(?P<token>{body})(?!\w)")


_AWS_SECRET = "AWS_SECRET_ACCESS_KEY"
_WANDB_KEY = r"(?:local-)?[0-9a-f]{40}"
# An AWS key in a signed address names who signed it and opens nothing: download servers hand them out.
_FORMATS = (
    Format("Hugging Face token", "hf_", _form(r"hf_[A-Za-z0-9]{34}"), "HF_TOKEN"),
    Format("Weights & Biases API key", "wandb_v1_", _form(r"wandb_v1_\w{40,100}"), "WANDB_API_KEY"),
    Format(
        "Weights & Biases API key",
        "WANDB_API_KEY",
        _beside(r"""WANDB_API_KEY["'\])]*\s*[=:,]\s*["']?""", _WANDB_KEY),
        "WANDB_API_KEY",
    ),
    Format(
        "Weights & Biases API key",
        "wandb",
        _beside(r"""wandb[ .]login\b[^"'\n]{0,40}["' ]""", _WANDB_KEY),
        "WANDB_API_KEY",
    ),
    Format(
        "Kaggle API key",
        "KAGGLE_KEY",
        _beside(r"""KAGGLE_KEY["'\])]*\s*[=:,]\s*["']?""", r"[0-9a-f]{32}"),
        "KAGGLE_KEY",
    ),
    Format(
        "Kaggle API key",
        "username",
        _beside(
            r"""["']username\\?["']\s*:\s*\\?["'][^"'\\\n]{2,60}\\?["']\s*,\s*\\?["']key\\?["']\s*:\s*\\?["']""",
            r"[0-9a-f]{32}",
        ),
        "KAGGLE_KEY",
    ),
    Format(
        "Comet API key",
        "COMET_API_KEY",
        _beside(r"""COMET_API_KEY["'\])]*\s*[=:,]\s*["']?""", r"[A-Za-z0-9]{25}"),
        "COMET_API_KEY",
    ),
    Format(
        "Neptune API token",
        "eyJhcGlfYWRkcmVzcyI6",
        _form(r"eyJhcGlfYWRkcmVzcyI6[\w+/]{60,}={0,2}"),
        "NEPTUNE_API_TOKEN",
    ),
    Format("OpenAI API key", "T3BlbkFJ", _form(r"sk-[\w-]{20,}T3BlbkFJ[\w-]{20,}"), "OPENAI_API_KEY"),
    Format("Anthropic API key", "sk-ant-", _form(r"sk-ant-(?:api|admin)\d\d-[\w-]{80,}"), "ANTHROPIC_API_KEY"),
    Format("Google API key", "AIza", _form(r"AIza[\w-]{35}"), "GOOGLE_API_KEY"),
    Format("AWS access key", "AKIA", _form(r"(?<!Credential=)(?<!AccessKeyId=)AKIA[A-Z2-7]{16}"), "AWS_ACCESS_KEY_ID"),
    *(
        Format(
            "AWS secret key", name, _beside(rf"""{name}["'\])]*\s*[=:,]\s*["']?""", r"[A-Za-z0-9/+]{40}"), _AWS_SECRET
        )
        for name in (_AWS_SECRET, _AWS_SECRET.lower())
    ),
    Format("GitHub token", "ghp_", _form(r"ghp_[A-Za-z0-9]{36}"), "GITHUB_TOKEN"),
    Format("GitHub token", "github_pat_", _form(r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"), "GITHUB_TOKEN"),
    Format("Databricks token", "dapi", _form(r"dapi[0-9a-f]{32}(?:-\d)?"), "DATABRICKS_TOKEN"),
    Format("Replicate API token", "r8_", _form(r"r8_[A-Za-z0-9]{37}"), "REPLICATE_API_TOKEN"),
    Format("Groq API key", "gsk_", _form(r"gsk_[A-Za-z0-9]{52}"), "GROQ_API_KEY"),
    Format("NVIDIA API key", "nvapi-", _form(r"nvapi-[\w-]{64}"), "NVIDIA_API_KEY"),
)
_MADE_UP = pattern(
    r"example|your|x{4}|\*{3}|token|secret|placeholder|dummy|fake|redact|0{6}|1{6}|12345|abcdef|98765|deadbeef|qwerty",
    re.IGNORECASE,
)
_LEAST_LETTERS = 10  # different ones: 32 random hexadecimal digits have fewer once in 30,000


class Secret(NamedTuple):
    """A token in a text: what it is, where its library would look for it, and where it starts and ends."""

    what: str
    variable: str
    start: int
    end: int


def formats_in(text: str) -> list[Format]:
    """The formats whose markers a text holds: most have none, and it need not be searched."""
    return [form for form in _FORMATS if form.marker in text]


def secrets(text: str, formats: list[Format]) -> Iterator[Secret]:
    """The tokens in a text, but for those that are made up for documentation."""
    seen: set[int] = set()
    for form in formats:
        for match in form.expression.finditer(text):
            start, end = match.span("token")
            if start not in seen and not is_made_up(match["token"]):
                seen.add(start)
                yield Secret(form.what, form.variable, start, end)


def is_made_up(token: str) -> bool:
    """Whether what has the form of a token stands in for one: few letters, counted up, or words."""
    return bool(_MADE_UP.search(token)) or len(set(token.lower())) < _LEAST_LETTERS
