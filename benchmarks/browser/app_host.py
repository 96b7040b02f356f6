"""Prints a page that plays the host of an app: the real page and the real answers of a server, in a sandboxed frame.

Run: python benchmarks/browser/app_host.py findings|training
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp import Client

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import build_server

ROOT = Path(__file__).parents[2]
EXAMPLE = "examples/train_reviews.py"
# What a host has to enforce where a page asks for no hosts, by the specification of MCP Apps.
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "media-src 'self' data:; connect-src 'none'"
)
Call = tuple[str, dict[str, Any]]


def main() -> None:
    """Print the page."""
    anyio.run(_print_host, sys.argv[1])


async def _print_host(app: str) -> None:
    code = (ROOT / EXAMPLE).read_text(encoding="utf-8")
    sent: dict[str, Any] = {"code": code, "filename": EXAMPLE}
    first: Call = ("analyze_code", sent) if app == "findings" else ("check_training", {"device": "all"})
    async with Client(build_server(Catalogue(), (ROOT,))) as client:
        tool = next(tool for tool in (await client.list_tools()).tools if tool.name == first[0])
        html = (await client.read_resource((tool.meta or {})["ui"]["resourceUri"])).contents[0]
        answers: dict[str, Any] = {}

        async def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
            result = await client.call_tool(name, arguments)
            answer = result.model_dump(mode="json", by_alias=True, exclude_none=True)
            answers[json.dumps([name, arguments], sort_keys=True, separators=(",", ":"))] = answer
            return answer

        checks = {finding["check"] for finding in (await call(*first))["structuredContent"].get("findings", ())}
        for check in checks:
            await call("explain_rule", {"rule": check})
        for suggested in (False, True) if app == "findings" else ():
            await call("fix_code", {**sent, "suggested": suggested})
    text = html.text if html and hasattr(html, "text") else ""
    page = text.replace("<head>", f'<head><meta http-equiv="Content-Security-Policy" content="{POLICY}">', 1)
    data = json.dumps({"page": page, "first": first, "answers": answers}).replace("</", "<\\/")
    print(HOST.replace("DATA", data))


HOST = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>A host</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; }
body { margin: 0; background: light-dark(#fff, #15181d); }
iframe { display: block; border: 0; width: 100%; }
</style></head>
<body><script type="application/json" id="data">DATA</script><script>
const { page, first, answers } = JSON.parse(document.querySelector("#data").textContent);
const sorted = (value) => {
  if (Array.isArray(value)) return value.map(sorted);
  if (!value || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
};
globalThis.calls = [];
globalThis.messages = [];
const frame = document.createElement("iframe");
frame.title = "The app";
frame.setAttribute("sandbox", "allow-scripts");
const send = (message) => frame.contentWindow.postMessage({ jsonrpc: "2.0", ...message }, "*");
const theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
const answer = {
  "ui/initialize": () => ({
    protocolVersion: "2026-01-26", hostInfo: { name: "host", version: "1" },
    hostCapabilities: { serverTools: {} }, hostContext: { theme, displayMode: "inline" },
  }),
  "tools/call": ({ name, arguments: parameters }) => {
    calls.push({ name, arguments: parameters });
    return answers[JSON.stringify([name, sorted(parameters)])];
  },
  "ui/message": (message) => { messages.push(message); return {}; },
};
addEventListener("message", ({ source, data }) => {
  if (source !== frame.contentWindow || data?.jsonrpc !== "2.0") return;
  if (data.id !== undefined && data.method) {
    const result = answer[data.method]?.(data.params);
    if (!result) console.error(`the host has no answer to ${JSON.stringify(data).slice(0, 300)}`);
    send(result ? { id: data.id, result } : { id: data.id, error: { code: -32601, message: "no answer" } });
  } else if (data.method === "ui/notifications/initialized") {
    send({ method: "ui/notifications/tool-input", params: { arguments: first[1] } });
    send({ method: "ui/notifications/tool-result", params: answers[JSON.stringify([first[0], sorted(first[1])])] });
  } else if (data.method === "ui/notifications/size-changed") frame.style.height = `${data.params.height}px`;
});
frame.srcdoc = page;
document.body.append(frame);
</script></body></html>"""


if __name__ == "__main__":
    main()
