"use strict";
// Shows an answer of check_training: the verdicts, the devices in a table, and the curves.
const main = document.querySelector("main");
const WIDTH = 320, HEIGHT = 170, LEFT = 42, BOTTOM = 24, TOP = 8;
const ORDER = ["broken", "not_simulated", "met", "not_applicable"];
const short = (number) => (number === null || number === undefined ? "–" : String(Number(number.toPrecision(4))));
const words = (name) => name.replaceAll("_", " ");

// One chart: a line a device, over the share of the training that had passed.
function chart(title, devices, key) {
  const series = devices.map((device) => ({ name: device.device, values: device[key] ?? [] })).filter(({ values }) => values.length);
  const finite = series.flatMap(({ values }) => values).filter(Number.isFinite);
  if (!finite.length) return undefined;
  const low = Math.min(...finite, key === "validation" ? 0 : Infinity), high = Math.max(...finite);
  const x = (place, count) => LEFT + (place / Math.max(count - 1, 1)) * (WIDTH - LEFT - 4);
  const y = (value) => TOP + (1 - (value - low) / (high - low || 1)) * (HEIGHT - TOP - BOTTOM);
  const ticks = [0, 1, 2].map((part) => low + ((high - low) * part) / 2);
  const path = (values) =>
    values.map((value, place) => {
      if (!Number.isFinite(value)) return "";
      const joined = place > 0 && Number.isFinite(values[place - 1]);
      const point = `${x(place, values.length).toFixed(1)} ${y(value).toFixed(1)}`;
      return joined ? `L${point}` : `M${point}L${point}`;
    }).join("");
  const told = series.map(({ name, values }) => `${name}: ${short(values.find(Number.isFinite))} to ${short(values.findLast(Number.isFinite))}`);
  return element("figure", {},
    element("figcaption", {}, element("strong", {}, title),
      series.map(({ name }, place) => element("span", { class: `curve-${place % 4}` }, name))),
    element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title} over the training. ${told.join("; ")}` },
      ticks.map((tick) => [
        element("line", { x1: LEFT, x2: WIDTH - 4, y1: y(tick), y2: y(tick) }),
        element("text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, short(Number(tick.toPrecision(3)))),
      ]),
      element("text", { x: LEFT, y: HEIGHT - 6 }, "start"),
      element("text", { x: WIDTH - 4, y: HEIGHT - 6, "text-anchor": "end" }, "end of training"),
      series.map(({ values }, place) => element("path", { class: `curve-${place % 4}${series.length === 1 ? " alone" : ""}`, d: path(values) }))));
}

function table(caption, heads, rows) {
  const cell = (name, value) => (value instanceof Node ? value : element(name, typeof value === "number" ? { class: "number" } : {}, typeof value === "number" ? short(value) : value ?? "–"));
  return element("section", { "aria-label": caption },
    element("div", { class: "bar" }, element("h2", {}, caption)),
    element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `${caption}, table` }, element("table", {},
      element("thead", {}, element("tr", {}, heads.map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, rows.map(([first, ...others]) =>
        element("tr", {}, element("th", { scope: "row" }, first), others.map((value) => cell("td", value))))))));
}

function deviceRow(device) {
  const losses = (device.losses ?? []).filter(Number.isFinite);
  const memory = device.peak_memory_bytes ? `${Math.round(device.peak_memory_bytes / 2 ** 20)} MiB` : "–";
  return [device.device, [device.name, device.hardware].filter(Boolean).join(", "),
    losses.length ? `${short(losses[0])} → ${short(losses.at(-1))}` : "did not train",
    (device.validation ?? []).findLast(Number.isFinite), device.steps_per_second, memory, device.seconds];
}

function checkRow(check) {
  const cell = element("td", {}, check.message, check.path ? ` (${check.path}:${check.line})` : "", " ",
    check.status === "broken" && check.rule ? whyButton(check.rule, () => cell) : undefined);
  return [check.check, check.device, element("td", { class: check.status }, words(check.status)), cell];
}

function show(data, input) {
  const broken = data.checks.filter((check) => check.status === "broken").length;
  const verdict = broken ? `${counted(broken, "check")} broken` : "nothing is broken";
  document.querySelector("h1").textContent = `Training check${data.model ? ` of ${data.model}` : ""}: ${verdict}`;
  const checks = [...data.checks].sort((a, b) => ORDER.indexOf(a.status) - ORDER.indexOf(b.status));
  const charts = [chart("Loss", data.devices, "losses"), chart(words(data.devices[0]?.metric ?? "Metric"), data.devices, "validation")].filter(Boolean);
  const again = element("button", {}, "Train again");
  again.addEventListener("click", async () => {
    const result = await callTool(again, "check_training", input);
    if (!result?.structuredContent) return;
    show(result.structuredContent, input);
    document.querySelector("button").focus();
  });
  main.replaceChildren(...[
    host.tools ? element("div", { class: "bar" }, again) : undefined,
    charts.length ? element("section", { "aria-label": "Curves" }, element("div", { class: "charts" }, charts)) : undefined,
    table("Devices", ["device", "hardware", "loss", words(data.devices[0]?.metric ?? "metric"), "steps/s", "peak memory", "seconds"], data.devices.map(deviceRow)),
    table("Checks", ["check", "device", "status", "what was seen"], checks.map(checkRow)),
  ].filter(Boolean));
}

start("mlrules-training", show);
