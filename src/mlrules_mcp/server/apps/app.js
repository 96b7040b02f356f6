"use strict";
// The page's side of the protocol between a host and an app: JSON-RPC over postMessage (MCP Apps, 2026-01-26).
// What a host sends is shown as text alone: no part of it is ever read as HTML.
const PROTOCOL = "2026-01-26";
const pending = new Map();
const host = { tools: false, input: {} };
let nextId = 1;

const post = (message) => window.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
const notify = (method, params = {}) => post({ method, params });
const request = (method, params) =>
  new Promise((resolve, reject) => {
    pending.set(nextId, { resolve, reject });
    post({ id: nextId++, method, params });
  });

function element(name, attributes = {}, ...children) {
  const svg = ["svg", "line", "path", "text"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") made.addEventListener("click", value);
    else if (value !== false && value !== undefined) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null));
  return made;
}

const counted = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;
const status = (text) => (document.querySelector("#status").textContent = text);
const textOf = (result) => (result.content ?? []).filter((each) => each.type === "text").map((each) => each.text).join("\n");

// Calls a tool of the server through the host, with the button that asked for it at rest until the answer is there.
async function callTool(button, name, parameters) {
  button.disabled = true;
  status(`Asking for ${name} …`);
  try {
    const result = await request("tools/call", { name, arguments: parameters });
    if (result.isError) throw new Error(textOf(result));
    status("");
    return result;
  } catch (error) {
    status(`${name} did not answer: ${error.message}`);
    return undefined;
  } finally {
    button.disabled = false;
  }
}

async function tellAssistant(button, text) {
  button.disabled = true;
  try {
    await request("ui/message", { role: "user", content: { type: "text", text } });
    status("The assistant has been told.");
  } catch (error) {
    button.disabled = false;
    status(`The message was not taken: ${error.message}`);
  }
}

// A button that shows what explain_rule says, and hides it again.
function whyButton(rule, place) {
  if (!host.tools) return undefined;
  const button = element("button", { class: "link", "aria-expanded": "false", "aria-label": `Why: ${rule}` }, "Why?");
  let shown;
  button.addEventListener("click", async () => {
    if (!shown) {
      const result = await callTool(button, "explain_rule", { rule });
      if (!result) return;
      shown = element("pre", { class: "soft", hidden: true }, textOf(result));
      place().append(shown);
    }
    shown.hidden = !shown.hidden;
    button.setAttribute("aria-expanded", String(!shown.hidden));
    button.focus();
  });
  return button;
}

function adopt(context = {}) {
  const root = document.documentElement;
  if (["light", "dark"].includes(context.theme)) root.dataset.theme = context.theme;
  for (const [name, value] of Object.entries(context.styles?.variables ?? {})) {
    if (/^--[a-z0-9-]+$/.test(name) && typeof value === "string") root.style.setProperty(name, value);
  }
}

// Starts the conversation; `show` is called with each result of the tool, and the arguments that it was called with.
function start(title, show) {
  const received = {
    "ui/notifications/tool-input": (params) => (host.input = params.arguments ?? {}),
    "ui/notifications/tool-result": (result) => {
      status("");
      if (result.isError || !result.structuredContent) status(textOf(result) || "There was no answer.");
      else show(result.structuredContent, host.input);
    },
    "ui/notifications/tool-cancelled": (params) => status(`The call was cancelled${params?.reason ? `: ${params.reason}` : "."}`),
    "ui/notifications/host-context-changed": adopt,
  };
  window.addEventListener("message", ({ source, data }) => {
    if (source !== window.parent || data?.jsonrpc !== "2.0") return;
    if (data.method === undefined) {
      const waiting = pending.get(data.id);
      pending.delete(data.id);
      if (data.error) waiting?.reject(new Error(data.error.message ?? "refused"));
      else waiting?.resolve(data.result ?? {});
    } else if (data.id !== undefined) {
      const known = ["ping", "ui/resource-teardown"].includes(data.method);
      post({ id: data.id, ...(known ? { result: {} } : { error: { code: -32601, message: "Method not found" } }) });
    } else received[data.method]?.(data.params ?? {});
  });
  request("ui/initialize", {
    protocolVersion: PROTOCOL,
    appInfo: { name: title, version: document.documentElement.dataset.version },
    appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
  }).then((result) => {
    host.tools = Boolean(result.hostCapabilities?.serverTools);
    adopt(result.hostContext);
    notify("ui/notifications/initialized");
    new ResizeObserver(() => {
      const { width, height } = document.documentElement.getBoundingClientRect();
      notify("ui/notifications/size-changed", { width: Math.ceil(width), height: Math.ceil(height) });
    }).observe(document.documentElement);
  }, (error) => status(`The host did not answer: ${error.message}`));
}
