// The pages that are looked at: one entry each.
//   name     of its screenshots
//   command  prints the page; `python` is the project's interpreter
//   serve    or starts a server, told its --port, whose page at / it is; its requests stay with that server
//   codes    exit codes with which the command has still made a page; 0 alone unless said otherwise
//   app      whether it is a host with an app in a frame, which is what is looked at then
//   walk     an async function (page, expect) that uses the page with the keyboard alone, or nothing

const mlrules = ["python", "-m", "mlrules_mcp"];

async function walkFilters(page, expect) {
  const all = await page.locator("article").count();
  const shown = () => page.locator("article:visible").count();
  const hash = () => page.evaluate(() => location.hash);
  const box = page.locator("#filters [type=checkbox]").first();
  const home = await page.locator("#filters").getAttribute("data-home");
  const of = Number(await page.locator("#filters .chip .soft").first().textContent());
  await box.focus();
  await page.keyboard.press("Space");
  const state = `#${await box.getAttribute("name")}=${await box.inputValue()}`;
  expect((await shown()) === of, `Space on the first status shows what has it, ${of}`);
  expect((await hash()) === state, "the status is in the address");
  await page.keyboard.press("Space");
  const select = page.locator("#filters select").first();
  await select.focus();
  await page.keyboard.press("ArrowDown");
  const some = await shown();
  expect((await select.inputValue()) && some > 0 && some < all, "an arrow key chooses a block or a check");
  await page.locator("#filters [name=q]").focus();
  await page.keyboard.type("no such words anywhere");
  expect((await shown()) === 0 && (await page.locator("#nothing").isVisible()), "a search for nothing says so");
  expect((await page.locator("#shown").textContent()).startsWith(`0 of ${all} `), "the number shown is told");
  await page.reload();
  expect((await shown()) === 0, "the address brings the filters back");
  await page.locator("#filters button").focus();
  await page.keyboard.press("Enter");
  await page.waitForFunction((number) => document.querySelectorAll("article:not([hidden])").length === number, all);
  expect((await hash()) === `#${home}`, "Enter on Clear clears the address");
  await page.locator("#filters [name=q]").focus();
  await page.keyboard.type("no such words anywhere");
  const step = page.locator(".steps a").first();
  if (await step.count()) {
    await step.focus();
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement.matches("article:not([hidden])"));
    expect((await shown()) === all, "a step's link shows its rule, whatever the filters say");
  }
}

export const pages = [
  {
    name: "training",
    command: [...mlrules, "train-check", "--device", "all", "--format", "html"],
    codes: [0, 1],
    async walk(page, expect) {
      const theme = page.locator("#theme");
      await theme.focus();
      for (const name of ["light", "dark", "system"]) {
        await page.keyboard.press("Enter");
        expect((await theme.textContent()) === `Theme: ${name}`, `Enter on the theme button chooses ${name}`);
      }
      const summary = page.locator("summary").first();
      await summary.focus();
      await page.keyboard.press("Enter");
      expect(await page.locator("details table").first().isVisible(), "Enter opens the numbers of a chart");
      await page.keyboard.press("Enter");
    },
  },
  {
    name: "review",
    command: [...mlrules, "review", ".", "--format", "html"],
    codes: [0, 1],
    walk: walkFilters,
  },
  { name: "review-compared", command: ["python", "-m", "tests.report.reviews"], walk: walkFilters },
  {
    name: "findings",
    command: [...mlrules, "check", "examples", "--format", "html"],
    codes: [0, 1],
    walk: walkFilters,
  },
  {
    name: "service",
    serve: [...mlrules, "serve", "--transport", "http"],
    async walk(page, expect) {
      const status = (text) => page.waitForFunction((part) => document.querySelector("#status").textContent.includes(part), text);
      const code = page.locator("#code");
      await code.fill("import torch\n\nwith torch.no_grad:\n    pass\n");
      await code.focus();
      await page.keyboard.press("Control+Enter");
      await status("1 error");
      await page.locator("#findings .link").focus();
      await page.keyboard.press("Enter");
      const selected = await code.evaluate((element) => element.value.slice(element.selectionStart, element.selectionEnd));
      expect(selected === "with torch.no_grad:", "Enter on a finding's line goes to it");
      await page.locator("#findings summary").focus();
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => document.querySelector("#findings pre")?.textContent.includes("no_grad"));
      await page.locator("#fix").focus();
      await page.keyboard.press("Enter");
      await status("1 fixed");
      expect((await code.inputValue()).includes("torch.no_grad():"), "the fix is in the code");
      await page.locator("#share").focus();
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => location.hash.startsWith("#code="));
      const link = await page.evaluate(() => navigator.clipboard.readText());
      await code.fill("");
      await page.evaluate(() => history.replaceState(null, "", "#try"));
      await page.goto(link);
      await status("No findings");
      expect((await code.inputValue()).includes("torch.no_grad():"), "the link brings the code back");
      const cell = { cell_type: "code", metadata: {}, outputs: [], execution_count: null, source: "with torch.no_grad:\n    pass" };
      const cells = [{ cell_type: "markdown", metadata: {}, source: "# Notes" }, { ...cell, source: "import torch" }, cell];
      const notebook = JSON.stringify({ cells, metadata: {}, nbformat: 4, nbformat_minor: 4 });
      await page.locator("#file").setInputFiles({ name: "work.ipynb", mimeType: "application/json", buffer: Buffer.from(notebook) });
      await status("1 error");
      expect((await page.locator("#findings .link").textContent()) === "cell 3, line 1", "a notebook's finding names its cell");
      await page.locator("#search").fill("leakage");
      expect((await page.locator(".rule:visible").count()) < 10, "the search leaves the rules that it finds");
      await page.locator("#search").fill("");
    },
  },
  {
    name: "app-findings",
    command: ["python", "benchmarks/browser/app_host.py", "findings"],
    app: true,
    async walk(page, expect) {
      const app = page.frameLocator("iframe");
      await app.getByRole("button", { name: "Why: softmax-into-cross-entropy" }).first().focus();
      await page.keyboard.press("Enter");
      await app.getByText("A softmax of a softmax is nearly flat").waitFor();
      await page.keyboard.press("Enter");
      expect(!(await app.getByText("A softmax of a softmax is nearly flat").isVisible()), "Enter hides the explanation again");
      const safe = app.locator(".added");
      await app.getByRole("button", { name: "Show fixes" }).focus();
      await page.keyboard.press("Enter");
      await safe.first().waitFor();
      const before = await safe.count();
      await app.getByRole("checkbox").focus();
      await page.keyboard.press("Space");
      await app.getByRole("button", { name: "Show fixes" }).focus();
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => globalThis.calls.length === 3);
      await app.getByText("0 findings left", { exact: false }).or(app.getByText("fixed;", { exact: false })).waitFor();
      expect((await safe.count()) > before, "suggested fixes change more lines");
      await app.getByRole("button", { name: "Ask the assistant to apply them" }).focus();
      await page.keyboard.press("Enter");
      await app.getByText("The assistant has been told.").waitFor();
      const told = await page.evaluate(() => globalThis.messages.at(-1).content.text);
      expect(told.startsWith("Apply these fixes to examples/train_reviews.py") && told.includes("```diff"), "the diff is told");
    },
  },
  {
    name: "app-training",
    command: ["python", "benchmarks/browser/app_host.py", "training"],
    app: true,
    async walk(page, expect) {
      const app = page.frameLocator("iframe");
      await app.getByRole("button", { name: "Train again" }).focus();
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => globalThis.calls.at(-1)?.name === "check_training");
      expect((await app.getByRole("img").count()) === 2, "two charts are there");
      expect((await app.locator("svg text").count()) === 10, "the axes of both are labelled");
    },
  },
];
