"use strict";
// Shows an answer of analyze_code as an annotated listing, with buttons that ask for fixes.
const SEVERITIES = ["error", "warning", "advice"];
const CONTEXT = 2;
const main = document.querySelector("main");

// The code that the tool was called with, by the name of its file. Files that were named by path are not known here.
function sources(input) {
  const named = (input.files ?? []).map((file) => [file.name, file.text]);
  return new Map(input.code === undefined ? named : [[input.filename ?? "snippet.py", input.code]]);
}

// The lines of a file, or of one cell of a notebook.
function linesOf(text, cell) {
  if (cell === undefined || cell === null) return text.split(/\r\n|\r|\n/);
  try {
    const { source } = JSON.parse(text).cells[cell - 1];
    return (Array.isArray(source) ? source.join("") : source).split("\n");
  } catch {
    return [];
  }
}

function annotation(finding) {
  const also = (finding.also_at ?? []).map((place) => (typeof place === "object" ? place.line : place));
  const box = element("div", { class: `finding ${finding.severity}` },
    element("p", {},
      element("strong", { class: finding.severity }, finding.severity), " ",
      element("code", {}, finding.check), " ", finding.message, " ", whyButton(finding.check, () => box)),
    (finding.related ?? []).map((each) => element("p", { class: "related" }, `${each.path}:${each.line}: ${each.message}`)),
    also.length ? element("p", { class: "related" }, `Also at ${also.join(", ")}`) : undefined,
    finding.fix ? element("p", { class: "related" }, `${finding.fix.applicability} fix: ${finding.fix.title}`) : undefined);
  return box;
}

function listing(findings, text) {
  const items = [];
  for (const cell of new Set(findings.map((finding) => finding.cell))) {
    const inside = findings.filter((finding) => finding.cell === cell);
    const lines = text === undefined ? [] : linesOf(text, cell);
    if (cell) items.push(element("li", { class: "soft" }, `Cell ${cell}`));
    let last = 0;
    for (const line of [...new Set(inside.map((finding) => finding.line))].sort((a, b) => a - b)) {
      const first = Math.max(last + 1, line - CONTEXT);
      const begin = items.length;
      const shown = lines.slice(first - 1, line).map((code, place) => [first + place, code]);
      for (const [number, code] of shown.length ? shown : [[line, ""]]) items.push(codeLine(number, code));
      if (last && first > last + 1) items[begin].classList.add("gap");
      items.at(-1).append(...inside.filter((finding) => finding.line === line).map(annotation));
      last = line;
    }
  }
  return element("ol", { class: "listing" }, items);
}

const codeLine = (number, code) =>
  element("li", {}, element("div", { class: "line" },
    element("span", { class: "number" }, element("code", {}, `${number}`)), element("pre", {}, code)));

function diffOf(path, diff, data) {
  const kinds = { "+": "added", "-": "removed", "@": "place" };
  const lines = diff.split("\n").filter((line) => !/^(---|\+\+\+) /.test(line));
  const fixed = (data.fixed ?? []).length;
  const told = `Apply these fixes to ${path}:\n\n\`\`\`diff\n${diff}\n\`\`\``;
  const tell = element("button", { onclick: () => tellAssistant(tell, told) }, "Ask the assistant to apply them");
  return element("div", { class: "diff", tabindex: "-1", role: "group", "aria-label": `Fixes for ${path}` },
    element("pre", {}, lines.map((line) => element("span", { class: kinds[line[0]] ?? "soft" }, `${line}\n`))),
    element("div", { class: "bar" }, element("p", { class: "soft" }, `${fixed} fixed; ${counted((data.findings ?? []).length, "finding")} left.`), tell));
}

function fixControls(path, findings, text, place) {
  const safe = findings.filter((finding) => finding.fix?.applicability === "safe").length;
  const suggested = findings.filter((finding) => finding.fix).length - safe;
  if (!host.tools || safe + suggested === 0) return [];
  const also = element("input", { type: "checkbox", checked: safe === 0 });
  const button = element("button", { "aria-label": `Show fixes for ${path}` }, "Show fixes");
  button.addEventListener("click", async () => {
    const code = text === undefined ? { path } : { code: text, filename: path };
    const result = await callTool(button, "fix_code", { ...code, suggested: also.checked });
    if (!result) return;
    const { diff, ...data } = result.structuredContent ?? {};
    place().querySelector(".diff")?.remove();
    if (!diff) return status("Nothing there can be mended safely: tick the box to see suggestions.");
    const shown = diffOf(path, diff, data);
    place().append(shown);
    shown.focus();
  });
  return [suggested ? element("label", {}, also, `with ${counted(suggested, "suggestion")}`) : undefined, button];
}

start("mlrules-findings", (data, input) => {
  const code = sources(input);
  const counts = SEVERITIES.map((each) => [data.findings.filter((finding) => finding.severity === each).length, each]);
  const named = counts.filter(([number]) => number).map(([number, each]) => counted(number, each, each === "advice" ? each : undefined));
  document.querySelector("h1").textContent = `${named.join(", ") || "No findings"} in ${counted(data.files, "file")}`;
  const sections = [...new Set(data.findings.map((finding) => finding.path))].map((path) => {
    const findings = data.findings.filter((finding) => finding.path === path);
    const section = element("section", { "aria-label": path },
      element("div", { class: "bar" }, element("h2", {}, path), fixControls(path, findings, code.get(path), () => section)),
      listing(findings, code.get(path)));
    return section;
  });
  const remarks = (data.diagnostics ?? []).map((each) => `${each.path}${each.line ? `:${each.line}` : ""}: ${each.message}`);
  const rest = [...remarks, data.left_out ? `Left out: ${data.left_out}` : undefined].filter(Boolean);
  main.replaceChildren(...sections, ...rest.map((text) => element("p", { class: "soft" }, text)));
});
