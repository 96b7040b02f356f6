// The page's playground, its client commands and the search of its rules. Everything is rendered as text, never as HTML.
const PROTOCOL = "2026-07-28";
const META = "io.modelcontextprotocol/";
const LONGEST_LINK = 30_000;
const SIGNS = { error: "●", warning: "▲", advice: "◆" };
const EXAMPLE = `import torch
from torch import nn
from torch.utils.data import DataLoader


def train(model: nn.Module, loader: DataLoader, epochs: int) -> float:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-2)
    criterion = nn.CrossEntropyLoss()
    total = 0
    for epoch in range(epochs):
        for images, labels in loader:
            images, labels = images.cuda(), labels.cuda()
            scores = torch.softmax(model(images), dim=1)
            loss = criterion(scores, labels)
            loss.backward()
            optimizer.step()
            total += loss
    return total


def accuracy(model: nn.Module, loader: DataLoader) -> float:
    model.eval()
    right = 0
    with torch.no_grad:
        for images, labels in loader:
            right += (model(images).argmax(1) == labels).sum()
    return right / len(loader.dataset)
`;
const $ = (id) => document.getElementById(id);
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null));
  return element;
};
const endpoint = new URL("mcp", document.baseURI).href;

// ---- the server ----

async function callTool(name, args) {
  const meta = {
    [`${META}protocolVersion`]: PROTOCOL,
    [`${META}clientInfo`]: { name: "mlrules-page", version: "1" },
    [`${META}clientCapabilities`]: {},
  };
  const headers = {
    "Content-Type": "application/json",
    Accept: "application/json, text/event-stream",
    "MCP-Protocol-Version": PROTOCOL,
    "Mcp-Method": "tools/call",
    "Mcp-Name": name,
  };
  if ($("token").value) headers.Authorization = `Bearer ${$("token").value.trim()}`;
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name, arguments: args, _meta: meta } });
  let response;
  try {
    response = await fetch(endpoint, { method: "POST", headers, body });
  } catch {
    throw new Error("The server can't be reached. Is it running?");
  }
  if (response.status === 401 || response.status === 403) {
    $("token-line").hidden = false;
    $("token").focus();
    throw new Error($("token").value ? "The token is not accepted." : "This server asks for a token: enter it, and check again.");
  }
  if (response.status === 413) throw new Error("That is too long for this server.");
  if (response.status === 429 || response.status === 503) {
    throw new Error(`The server is busy. Try again in ${response.headers.get("Retry-After") ?? "a few"} seconds.`);
  }
  const text = await response.text();
  const answer = readAnswer(text, response.headers.get("Content-Type") ?? "");
  if (!answer) throw new Error(`The server answered with status ${response.status}.`);
  if (answer.error) throw new Error(answer.error.message);
  if (answer.result.isError) throw new Error(answer.result.content.map((part) => part.text).join("\n"));
  return answer.result;
}

function readAnswer(text, type) {
  const messages = type.includes("event-stream")
    ? text.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5))
    : [text];
  for (const message of messages) {
    try {
      const parsed = JSON.parse(message);
      if (parsed.result || parsed.error) return parsed;
    } catch { /* an empty event, or no JSON: the caller says so */ }
  }
  return null;
}

// ---- the code: a script, or a notebook shown cell by cell ----

const state = { notebook: null, starts: new Map(), before: null, findings: [] };

function source() {
  return state.notebook ?? $("code").value;
}

function setSource(text, name) {
  if (name !== undefined) $("name").value = name;
  const isNotebook = $("name").value.endsWith(".ipynb");
  state.notebook = isNotebook ? text : null;
  state.starts = new Map();
  $("code").readOnly = isNotebook;
  $("code").value = isNotebook ? cellsOf(text) : text;
  showFindings([]);
}

function cellsOf(text) {
  let cells;
  try {
    const notebook = JSON.parse(text);
    cells = notebook.cells ?? notebook.worksheets.flatMap((sheet) => sheet.cells);
  } catch {
    return text;
  }
  const lines = [];
  cells.forEach((cell, index) => {
    if (cell.cell_type !== "code") return;
    const code = cell.source ?? cell.input ?? "";
    lines.push(`# ── cell ${index + 1} ──`);
    state.starts.set(index + 1, lines.length);
    lines.push(...(Array.isArray(code) ? code.join("") : code).split("\n"), "");
  });
  return lines.join("\n");
}

const lineOf = (finding) => (finding.cell ? (state.starts.get(finding.cell) ?? 0) : 0) + (finding.line ?? 1);

function drawLines() {
  const byLine = new Map();
  const worst = Object.keys(SIGNS);
  for (const finding of state.findings) {
    const line = lineOf(finding);
    const known = byLine.get(line);
    if (!known || worst.indexOf(finding.severity) < worst.indexOf(known)) byLine.set(line, finding.severity);
  }
  const lines = $("code").value.split("\n");
  $("gutter").replaceChildren(
    ...lines.map((_, index) => {
      const severity = byLine.get(index + 1);
      return make("span", { className: severity ?? "", textContent: `${severity ? SIGNS[severity] : " "} ${String(index + 1).padStart(3)}` });
    }),
  );
  $("marks").replaceChildren(
    ...lines.map((line, index) => make("span", { className: byLine.get(index + 1) ?? "", textContent: line || " " })),
  );
  followScroll();
}

function followScroll() {
  $("gutter").scrollTop = $("marks").scrollTop = $("code").scrollTop;
  $("marks").scrollLeft = $("code").scrollLeft;
}

function goTo(line) {
  const lines = $("code").value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
  const code = $("code");
  code.focus();
  code.setSelectionRange(start, start + (lines[line - 1] ?? "").length);
  const height = parseFloat(getComputedStyle(code).lineHeight);
  code.scrollTop = Math.max(0, (line - 1) * height - code.clientHeight / 3);
  code.scrollLeft = 0;
  followScroll();
  [...$("marks").children].forEach((each, index) => each.classList.toggle("here", index === line - 1));
}

// ---- findings ----

function showFindings(findings) {
  const order = Object.keys(SIGNS);
  state.findings = [...findings].sort((a, b) => lineOf(a) - lineOf(b) || order.indexOf(a.severity) - order.indexOf(b.severity));
  $("findings").replaceChildren(...state.findings.map(findingItem));
  $("fix").disabled = !state.findings.some((finding) => finding.fix?.applicability === "safe");
  drawLines();
}

function findingItem(finding) {
  const line = lineOf(finding);
  const place = finding.cell ? `cell ${finding.cell}, line ${finding.line}` : `line ${finding.line ?? 1}`;
  const why = make("details", { className: "why" }, make("summary", { textContent: "Why, and good code" }));
  why.addEventListener("toggle", () => explain(why, finding.check), { once: true });
  return make(
    "li",
    { className: finding.severity },
    make(
      "div",
      { className: "where" },
      make("span", { className: "severity", textContent: `${SIGNS[finding.severity]} ${finding.severity}` }),
      make("button", { type: "button", className: "link", textContent: place, onclick: () => goTo(line) }),
      make("code", { textContent: finding.check }),
    ),
    make("p", {}, ...withCode(finding.message)),
    finding.fix ? make("p", { className: "fixable", textContent: `${finding.fix.applicability === "safe" ? "Safe fix" : "Suggested fix"}: ${finding.fix.title}` }) : null,
    why,
  );
}

const withCode = (text) => text.split("`").map((part, index) => (index % 2 ? make("code", { textContent: part }) : part));

async function explain(details, check) {
  const text = make("pre", { textContent: "…", tabIndex: 0 });
  details.append(text);
  try {
    text.textContent = (await callTool("explain_rule", { rule: check })).content.map((part) => part.text ?? "").join("\n");
  } catch (error) {
    text.textContent = error.message;
  }
}

function summary(findings) {
  if (!findings.length) return "No findings.";
  const counts = Object.keys(SIGNS)
    .map((severity) => [findings.filter((finding) => finding.severity === severity).length, severity])
    .filter(([count]) => count);
  return `${counts.map(([count, severity]) => `${count} ${severity}${count > 1 && severity !== "advice" ? "s" : ""}`).join(", ")}.`;
}

async function whileBusy(work) {
  const buttons = [$("check"), $("fix")];
  buttons.forEach((button) => { button.disabled = true; });
  $("status").textContent = "Reading …";
  try {
    await work();
  } catch (error) {
    $("status").textContent = error.message;
  } finally {
    $("check").disabled = false;
    $("fix").disabled = !state.findings.some((finding) => finding.fix?.applicability === "safe");
  }
}

const problems = (data) => (data.diagnostics ?? []).map((diagnostic) => ` ${diagnostic.message}`).join("");

function check() {
  return whileBusy(async () => {
    const { structuredContent: data } = await callTool("analyze_code", { code: source(), filename: $("name").value || "snippet.py" });
    showFindings(data.findings ?? []);
    $("status").textContent = `${summary(state.findings)}${data.left_out ? ` Left out: ${data.left_out}` : ""}${problems(data)}`;
  });
}

function fix() {
  return whileBusy(async () => {
    const before = source();
    const name = $("name").value || "snippet.py";
    const { structuredContent: data } = await callTool("fix_code", { code: before, filename: name, output: "code" });
    state.before = before;
    setSource(data.code ?? before);
    showFindings(data.findings ?? []);
    $("undo").hidden = false;
    const count = (data.fixed ?? []).length;
    $("status").textContent = `${count} fixed. Left: ${summary(state.findings)}${problems(data)}`;
  });
}

// ---- files and links ----

async function open(file) {
  if (!file) return;
  if (file.size > 5_000_000) {
    $("status").textContent = "That file is over 5 MB: too large for this page.";
    return;
  }
  setSource(await file.text(), file.name);
  await check();
}

function save() {
  const link = make("a", { href: URL.createObjectURL(new Blob([source()], { type: "text/plain" })), download: $("name").value || "snippet.py" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const through = async (bytes, stream) => new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());

async function pack(value) {
  const bytes = await through(new TextEncoder().encode(JSON.stringify(value)), new CompressionStream("deflate-raw"));
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function unpack(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(await through(bytes, new DecompressionStream("deflate-raw"))));
}

async function share() {
  const fragment = `#code=${await pack({ name: $("name").value, code: source() })}`;
  if (fragment.length > LONGEST_LINK) {
    $("status").textContent = "That is too long for a link. Download it instead.";
    return;
  }
  history.replaceState(null, "", fragment);
  await copy(location.href, $("share"));
}

async function copy(text, button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Press Ctrl+C";
    window.prompt("Copy this:", text);
  }
  setTimeout(() => { button.textContent = before; }, 1500);
}

async function openLink() {
  if (!location.hash.startsWith("#code=")) return false;
  try {
    const { name, code } = await unpack(location.hash.slice(6));
    setSource(String(code), String(name));
    $("try").scrollIntoView();
    await check();
  } catch {
    $("status").textContent = "This link holds no code that can be read: was it cut?";
    return false;
  }
  return true;
}

// ---- clients ----

function clients() {
  const json = (value) => JSON.stringify(value).replaceAll(":{", ": {").replaceAll('":"', '": "').replaceAll('","', '", "');
  const cursor = btoa(JSON.stringify({ url: endpoint }));
  const code = encodeURIComponent(JSON.stringify({ name: "mlrules", type: "http", url: endpoint }));
  return [
    { name: "Claude Code", text: `claude mcp add --transport http mlrules ${endpoint}` },
    { name: "Codex", text: `codex mcp add mlrules --url ${endpoint}` },
    { name: "Gemini CLI", text: `gemini mcp add -s user -t http mlrules ${endpoint}` },
    { name: "Cursor", note: ".cursor/mcp.json", text: json({ mcpServers: { mlrules: { url: endpoint } } }), link: `cursor://anysphere.cursor-deeplink/mcp/install?name=mlrules&config=${encodeURIComponent(cursor)}` },
    { name: "VS Code", note: ".vscode/mcp.json", text: json({ servers: { mlrules: { type: "http", url: endpoint } } }), link: `vscode:mcp/install?${code}` },
    { name: "Windsurf", note: "~/.codeium/windsurf/mcp_config.json", text: json({ mcpServers: { mlrules: { serverUrl: endpoint } } }) },
    { name: "On your own machine", note: "Over standard input and output, where it may read your files:", text: "claude mcp add mlrules -- uvx mlrules-mcp" },
  ];
}

function clientCard({ name, note, text, link }) {
  const button = make("button", { type: "button", className: "copy", textContent: "Copy", ariaLabel: `Copy for ${name}` });
  button.onclick = () => copy(text, button);
  return make(
    "article",
    { className: "client" },
    make("div", { className: "bar" }, make("h3", { textContent: name }), make("span", { className: "space" }), link ? make("a", { href: link, textContent: `Add to ${name}` }) : null, button),
    note ? make("p", { textContent: note }) : null,
    make("pre", { tabIndex: 0 }, make("code", { textContent: text })),
  );
}

// ---- rules ----

function searchRules() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const block of document.querySelectorAll("[data-block]")) {
    let any = false;
    for (const rule of block.querySelectorAll(".rule")) {
      rule.hidden = !words.every((word) => rule.textContent.toLowerCase().includes(word));
      any ||= !rule.hidden;
      shown += !rule.hidden;
    }
    block.hidden = !any;
  }
  $("shown").textContent = words.length ? `${shown} ${shown === 1 ? "rule" : "rules"}` : "";
}

// ---- start ----

$("code").addEventListener("input", () => {
  state.before = null;
  $("undo").hidden = true;
  if (state.findings.length) showFindings([]);
  else drawLines();
});
$("code").addEventListener("scroll", followScroll);
$("code").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) check();
});
$("token-line").addEventListener("submit", (event) => {
  event.preventDefault();
  check();
});
$("check").onclick = check;
$("fix").onclick = fix;
$("undo").onclick = () => {
  setSource(state.before);
  state.before = null;
  $("undo").hidden = true;
  check();
};
$("save").onclick = save;
$("share").onclick = share;
$("file").onchange = (event) => { open(event.target.files[0]); event.target.value = ""; };
$("search").oninput = searchRules;
for (const kind of ["dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") open(event.dataTransfer.files[0]);
  });
}
for (const element of document.querySelectorAll("[data-url]")) element.textContent = endpoint;
for (const button of document.querySelectorAll("[data-copy]")) button.onclick = () => copy(endpoint, button);
$("clients").replaceChildren(...clients().map(clientCard));
window.addEventListener("hashchange", openLink);
setSource(EXAMPLE, "train.py");
openLink();
