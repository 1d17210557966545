"use strict";
(() => {
  const form = document.querySelector("form");
  const count = form.querySelector("output");
  const noMatch = document.querySelector(".no-match");
  const rows = [...document.querySelectorAll(".event")];
  const fields = ["q", "outcome", "trigger", "unexpected"].map((name) => form.elements[name]);
  const texts = new Map(); // filled by the first search, which most readers never make

  const textOf = (row) => {
    if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
    return texts.get(row);
  };

  function show() {
    const { q, outcome, trigger, unexpected } = form.elements;
    const words = q.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const matches =
        (!outcome.value || row.dataset.outcome === outcome.value) &&
        (!trigger.value || row.dataset.trigger === trigger.value) &&
        (!unexpected.checked || "unexpected" in row.dataset) &&
        words.every((word) => textOf(row).includes(word));
      if (row.hidden === matches) row.hidden = !matches;
      shown += matches;
    }
    const [some, all] = [shown, rows.length].map((number) => number.toLocaleString("en"));
    count.textContent = shown === rows.length ? `${all} events` : `${some} of ${all} events`;
    noMatch.hidden = shown > 0;
  }

  function toHash() {
    const state = new URLSearchParams();
    for (const field of fields) {
      const value = field.type === "checkbox" ? (field.checked ? "on" : "") : field.value;
      if (value) state.set(field.name, value);
    }
    history.replaceState(null, "", `#${state}`);
  }

  function fromHash() {
    const state = new URLSearchParams(location.hash.slice(1));
    for (const field of fields) {
      const value = state.get(field.name) ?? "";
      if (field.type === "checkbox") field.checked = value !== "";
      else field.value = value;
      if (field.type === "select-one" && field.selectedIndex < 0) field.selectedIndex = 0;
    }
    show();
  }

  let timer;
  const changed = () => {
    clearTimeout(timer);
    timer = setTimeout(() => { toHash(); show(); }, 80);
  };
  form.addEventListener("input", changed);
  form.addEventListener("reset", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", fromHash);
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, select")) return;
    event.preventDefault();
    form.elements.q.focus();
  });
  form.hidden = false;
  fromHash();
})();
