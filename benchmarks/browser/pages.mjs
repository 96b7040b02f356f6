// The pages that are looked at: one entry each.
//   name     of its screenshots
//   command  prints the page; `python` is the project's interpreter
//   codes    exit codes with which the command has still made a page; 0 alone unless said otherwise
//   walk     an async function (page, expect) that uses the page with the keyboard alone, or nothing

const mlrules = ["python", "-m", "mlrules_mcp"];

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
];
