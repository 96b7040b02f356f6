from __future__ import annotations

import pytest

from mlrules_mcp.server.http.service import security
from mlrules_mcp.server.http.settings import HttpSettings


@pytest.mark.parametrize(
    "origin", ["https://rules.example", "http://rules.example", "http://localhost:*", "https://other.example"]
)
def test_the_page_of_a_host_that_is_served_may_call_it(origin: str) -> None:
    settings = HttpSettings(allowed_hosts=("rules.example",), allowed_origins=("https://other.example",))
    assert origin in security(settings).allowed_origins


def test_no_other_page_may() -> None:
    assert "https://rules.example" not in security(HttpSettings()).allowed_origins
