
"use strict";
{
  // Each control is named after what the articles carry under data-NAME; `q` searches their text.
  const form = document.getElementById("filters");
  const articles = [...document.querySelectorAll("article[data-filtered]")].map((element) => ({
    element,
    text: element.textContent.toLowerCase(),
    ...element.dataset,
  }));
  const sections = [...document.querySelectorAll("section.block")];
  const shown = document.getElementById("shown");
  const nothing = document.getElementById("nothing");
  const names = [...new Set([...form.elements].map((each) => each.name).filter((name) => name && name !== "q"))];

  const chosen = (name) => new FormData(form).getAll(name).filter(Boolean);

  const show = () => {
    const wanted = names.map((name) => [name, chosen(name)]).filter(([, values]) => values.length);
    const words = (chosen("q")[0] ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    let number = 0;
    for (const each of articles) {
      const fits = wanted.every(([name, values]) => values.includes(each[name]))
        && words.every((word) => each.text.includes(word));
      each.element.hidden = !fits;
      number += fits;
    }
    for (const section of sections) section.hidden = !section.querySelector("article:not([hidden])");
    shown.textContent = `${number} of ${articles.length} ${form.dataset.noun}`;
    nothing.hidden = number > 0;
  };

  const write = () => {
    const state = new URLSearchParams();
    for (const name of [...names, "q"]) if (chosen(name).length) state.set(name, chosen(name).join(","));
    history.replaceState(null, "", `#${state.toString() || form.dataset.home}`);
  };

  const read = () => {
    const fragment = location.hash.slice(1);
    const named = document.getElementById(fragment);
    if (named?.matches("article")) { // a link to one shows it, whatever the filters say
      if (named.hidden) form.reset();
      show();
      for (const each of named.querySelectorAll("details")) each.open = true;
      named.scrollIntoView();
      named.focus({ preventScroll: true });
      return;
    }
    const state = new URLSearchParams(fragment.includes("=") ? fragment : "");
    for (const control of form.elements) {
      if (control.type === "checkbox") control.checked = (state.get(control.name) ?? "").split(",").includes(control.value);
      else if (control.name) control.value = state.get(control.name) ?? "";
    }
    show();
  };

  form.addEventListener("input", () => { show(); write(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { show(); write(); }));
  addEventListener("hashchange", read);
  form.hidden = false;
  read();
}
