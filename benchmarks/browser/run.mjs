// Opens every page of pages.mjs in Chromium: light and dark, wide and narrow, on paper, and by keyboard alone.
// Run: make browser [OUT=folder]. CHROMIUM names another browser than Debian's.
// Fails on any accessibility violation that axe-core finds, message on the console, request, or sideways scrolling.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { pages } from "./pages.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const [folder, ...names] = process.argv.slice(2);
if (!folder) {
  console.error("usage: node run.mjs FOLDER [PAGE…]");
  process.exit(2);
}
const unknown = names.filter((name) => !pages.some((page) => page.name === name));
if (unknown.length) {
  console.error(`no such page: ${unknown.join(", ")}. There are: ${pages.map((page) => page.name).join(", ")}`);
  process.exit(2);
}
mkdirSync(folder, { recursive: true });
const sizes = { wide: { width: 1280, height: 900 }, narrow: { width: 360, height: 780 } };
const problems = [];

function make({ name, command: [program, ...parameters], codes = [0] }) {
  const interpreter = program === "python" ? (process.env.PYTHON ?? "python3") : program;
  let html;
  try {
    html = execFileSync(interpreter, parameters, { encoding: "utf8", maxBuffer: 2 ** 28, stdio: ["ignore", "pipe", "inherit"] });
  } catch (error) {
    if (!codes.includes(error.status)) throw error;
    html = error.stdout;
  }
  const file = path.resolve(folder, `${name}.html`);
  writeFileSync(file, html);
  return pathToFileURL(file).href;
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

async function start({ name, serve: [program, ...parameters] }) {
  const port = await freePort();
  const interpreter = program === "python" ? (process.env.PYTHON ?? "python3") : program;
  const child = spawn(interpreter, [...parameters, "--port", port], { stdio: ["ignore", "ignore", "inherit"] });
  const url = `http://127.0.0.1:${port}/`;
  for (const end = Date.now() + 30_000; Date.now() < end && child.exitCode === null; ) {
    const answer = await fetch(`${url}readyz`).catch(() => null);
    if (answer?.ok) return { url, stop: () => child.kill() };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  child.kill();
  throw new Error(`${name}: the server did not come up`);
}

async function open(browser, url, options, problem) {
  const served = url.startsWith("http:") && new URL(url).origin;
  const context = await browser.newContext({ offline: !served, ...options });
  if (served) await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const page = await context.newPage();
  page.on("console", (message) => problem(`console: ${message.text()}`));
  page.on("pageerror", (error) => problem(`error: ${error.message}`));
  page.on("request", (request) => {
    const own = served ? new URL(request.url()).origin === served : request.url().split("#")[0] === url;
    if (!own && !request.url().startsWith("blob:")) problem(`request: ${request.url()}`);
  });
  await page.goto(url);
  return page;
}

async function appIn(page) {
  const frame = await (await page.waitForSelector("iframe")).contentFrame();
  await frame.waitForSelector("main > *");
  // A frame is painted as far as it is in view: make all of it so, once its host has given it its height.
  const tall = await frame.waitForFunction(() => innerHeight >= document.documentElement.getBoundingClientRect().height && innerHeight);
  await page.setViewportSize({ width: page.viewportSize().width, height: await tall.jsonValue() });
  await frame.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  return frame;
}

async function accessibility(view, problem) {
  await view.evaluate(axe); // as a debugger does: the page's own policy stays in force
  const { violations, incomplete, passes } = await view.evaluate(() => globalThis.axe.run(document));
  for (const violation of violations) {
    const where = violation.nodes.slice(0, 3).map((node) => node.target.join(" "));
    problem(`axe ${violation.id} (${violation.impact}): ${violation.help}; ${where.join(" | ")}`);
  }
  return { passed: passes.length, undecided: incomplete.map((each) => each.id) };
}

async function tabThrough(page, view, problem) {
  let stops = 0;
  for (; stops < 500; stops++) {
    await page.keyboard.press("Tab");
    const focused = await view.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return null;
      const box = element.getBoundingClientRect();
      const again = element.dataset.seen === "yes";
      element.dataset.seen = "yes";
      const style = getComputedStyle(element);
      const seen = box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight;
      return { again, name: element.outerHTML.slice(0, 80), seen, ring: style.outlineStyle !== "none" };
    });
    if (!focused || focused.again) break;
    if (!focused.seen) problem(`focus goes to what is not in view: ${focused.name}`);
    if (!focused.ring) problem(`focus does not show on: ${focused.name}`);
  }
  if (!stops) problem("nothing can be reached with Tab");
  return stops;
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const table = [];
for (const entry of pages.filter(({ name }) => !names.length || names.includes(name))) {
  const { url, stop } = entry.serve ? await start(entry) : { url: make(entry) };
  for (const colorScheme of ["light", "dark"]) {
    for (const [size, viewport] of Object.entries(sizes)) {
      const title = `${entry.name}-${colorScheme}-${size}`;
      const problem = (text) => problems.push(`${title}: ${text}`);
      const page = await open(browser, url, { colorScheme, viewport, reducedMotion: "reduce" }, problem);
      const view = entry.app ? await appIn(page) : page;
      const sideways = await view.evaluate(() => document.scrollingElement.scrollWidth - innerWidth);
      if (sideways > 0) problem(`scrolls sideways by ${sideways} px`);
      await page.screenshot({ path: path.join(folder, `${title}.png`), fullPage: true });
      const { passed, undecided } = await accessibility(view, problem);
      const stops = await tabThrough(page, view, problem);
      await entry.walk?.(page, (met, text) => met || problem(`not so: ${text}`));
      await view.evaluate(() => {
        for (const each of document.querySelectorAll("details")) each.open = true;
      });
      await accessibility(view, problem);
      table.push({ page: title, "axe passed": passed, undecided: undecided.join(" ") || "none", "tab stops": stops });
      if (size === "wide" && colorScheme === "light") {
        await page.pdf({ path: path.join(folder, `${entry.name}.pdf`), format: "A4", margin: { top: "12mm", bottom: "12mm", left: "12mm", right: "12mm" } });
      }
      await page.context().close();
    }
  }
  stop?.();
}
await browser.close();
console.table(table);
for (const problem of problems) console.error(problem);
console.log(problems.length ? `${problems.length} problems.` : `No problems. Screenshots and printed pages: ${folder}`);
process.exit(problems.length ? 1 : 0);
