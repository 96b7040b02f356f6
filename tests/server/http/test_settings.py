from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mlrules_mcp.cli import cli
from mlrules_mcp.server.http.settings import SettingsError, load, table
from mlrules_mcp.server.http.tokens import make_token


def test_flags_go_before_variables_and_these_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mlrules.toml"
    file.write_text('port = 1\nworkers = 2\nqueue = 3\nallowed_hosts = ["a", "b"]\n', encoding="utf-8")
    monkeypatch.setenv("MLRULES_PORT", "4")
    monkeypatch.setenv("MLRULES_WORKERS", "5")
    settings, origins = load({"port": 6}, file)
    assert (settings.port, settings.workers, settings.queue, settings.allowed_hosts) == (6, 5, 3, ("a", "b"))
    sources = {origin.name: origin.source for origin in origins}
    assert (sources["port"], sources["workers"], sources["queue"]) == ("flag", "MLRULES_WORKERS", str(file))
    assert sources["host"] == "default"


@pytest.mark.parametrize("value", ['["a", "b:8"]', "a, b:8"])
def test_a_variable_may_hold_several_values(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLRULES_ALLOWED_HOSTS", value)
    assert load({})[0].allowed_hosts == ("a", "b:8")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"host": "0.0.0.0"}, "lets others in"),
        ({"host": "mlrules.example"}, "lets others in"),
        ({"host": "0.0.0.0", "oauth_issuer": "https://a.example"}, "needs public_url"),
        ({"oauth_issuer": "http://a.example", "public_url": "https://b.example"}, "oauth_issuer has to be an https"),
        ({"port": -1}, "port: Input should be greater than or equal to 0"),
        ({"time_limit": "soon"}, "time_limit: Input should be a valid number"),
    ],
)
def test_settings_that_cannot_be_are_refused(given: dict[str, object], expected: str) -> None:
    with pytest.raises(SettingsError, match=expected):
        load(given)


@pytest.mark.parametrize(("text", "expected"), [("prot = 1", "prot: Extra inputs"), ("port =", "cannot be read")])
def test_a_file_with_a_mistake_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "mlrules.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=expected):
        load({}, file)
    with pytest.raises(SettingsError, match="There is no file"):
        load({}, tmp_path / "none.toml")


def test_listening_elsewhere_takes_tokens_an_issuer_or_the_word(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load({"host": "::1"})[0].host == "::1"
    assert load({"host": "0.0.0.0", "insecure": True})[0].insecure
    _, kept = make_token("ci", ["analyze"])
    monkeypatch.setenv("MLRULES_TOKENS", str(kept))
    assert load({"host": "0.0.0.0"})[0].tokens == (str(kept),)


def test_check_config_shows_all_settings_but_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    _, kept = make_token("ci", ["analyze"])
    monkeypatch.setenv("MLRULES_TOKENS", str(kept))
    shown = CliRunner().invoke(cli, ["serve", "--check-config", "--queue", "7"])
    assert shown.exit_code == 0
    lines = {line.split()[0]: line for line in shown.output.splitlines()}
    assert lines["queue"].split()[1:] == ["7", "(flag)"]
    assert lines["tokens"].endswith("(1 hidden)  (MLRULES_TOKENS)")
    assert kept.digest not in shown.output


def test_every_setting_stands_in_the_table() -> None:
    rows = table().splitlines()[2:]
    assert len(rows) == len(load({})[1])
    assert any("`--queue`" in row and "`MLRULES_QUEUE`, `queue`" in row and "`64`" in row for row in rows)


def test_an_option_of_the_service_is_refused_over_stdio() -> None:
    refused = CliRunner().invoke(cli, ["serve", "--port", "1"])
    assert (refused.exit_code, "--port needs --transport http" in refused.output) == (2, True)


def test_the_token_goes_to_its_holder_and_its_hash_to_the_file() -> None:
    made = CliRunner().invoke(cli, ["token", "ci", "--scope", "review", "--scope", "analyze"])
    assert made.exit_code == 0
    assert made.stdout.startswith("ci review,analyze sha256:")
    token = made.stderr.split()[-1]
    assert token.startswith("mlr_")
    assert token not in made.stdout
    refused = CliRunner().invoke(cli, ["token", "c/i"])
    assert (refused.exit_code, "a token's name has letters" in refused.output) == (2, True)
