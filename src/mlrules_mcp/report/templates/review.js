
"use strict";
{
  const form = document.getElementById("filters");
  const rules = [...document.querySelectorAll("article[data-status]")].map((element) => ({
    element,
    text: element.textContent.toLowerCase(),
    ...element.dataset,
  }));
  const sections = [...document.querySelectorAll("section.block")];
  const shown = document.getElementById("shown");
  const nothing = document.getElementById("nothing");
  const names = ["block", "severity", "q"];

  const chosen = () => {
    const data = new FormData(form);
    return { status: data.getAll("status"), ...Object.fromEntries(names.map((name) => [name, data.get(name)])) };
  };

  const show = () => {
    const { status, block, severity, q } = chosen();
    const words = q.toLowerCase().split(/\s+/).filter(Boolean);
    let number = 0;
    for (const rule of rules) {
      const fits = (!status.length || status.includes(rule.status))
        && (!block || rule.block === block)
        && (!severity || rule.severity === severity)
        && words.every((word) => rule.text.includes(word));
      rule.element.hidden = !fits;
      number += fits;
    }
    for (const section of sections) section.hidden = !section.querySelector("article:not([hidden])");
    shown.textContent = `${number} of ${rules.length} rules`;
    nothing.hidden = number > 0;
  };

  const write = () => {
    const { status, ...others } = chosen();
    const state = new URLSearchParams();
    if (status.length) state.set("status", status.join(","));
    for (const name of names) if (others[name]) state.set(name, others[name]);
    history.replaceState(null, "", `#${state.toString() || "rules"}`);
  };

  const read = () => {
    const fragment = location.hash.slice(1);
    const named = document.getElementById(fragment);
    if (named?.matches("article")) { // a link to one rule shows it, whatever the filters say
      if (named.hidden) form.reset();
      show();
      for (const each of named.querySelectorAll("details")) each.open = true;
      named.scrollIntoView();
      named.focus({ preventScroll: true });
      return;
    }
    const state = new URLSearchParams(fragment.includes("=") ? fragment : "");
    const status = (state.get("status") ?? "").split(",");
    for (const box of form.querySelectorAll("[name=status]")) box.checked = status.includes(box.value);
    for (const name of names) form.elements[name].value = state.get(name) ?? "";
    show();
  };

  form.addEventListener("input", () => { show(); write(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { show(); write(); }));
  addEventListener("hashchange", read);
  form.hidden = false;
  read();
}
