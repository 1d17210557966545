"use strict";
function counted(shown, total, noun) {
  const [some, all] = [shown, total].map((number) => number.toLocaleString("en"));
  return `${shown === total ? "" : `${some} of `}${all} ${noun}${total === 1 ? "" : "s"}`;
}

/* Searches and filters rows by the page's form, whose state is in the URL.
   `q` has words that a row's text must contain. A list or a checkbox compares with the row's
   data attribute of its own name, which may have several values, one a line. */
function searchable(rows, noun, { textOf = (row) => row.textContent, onShow = () => {} } = {}) {
  const form = document.querySelector("form");
  const count = form.querySelector("output");
  const noMatch = document.querySelector(".no-match");
  const fields = [...form.elements].filter((field) => field.name);
  const filters = fields.filter((field) => /^(select-one|checkbox)$/.test(field.type));
  const texts = new Map(); // filled by the first search, which most readers never make

  const valueOf = (field) => (field.type === "checkbox" ? (field.checked ? "on" : "") : field.value);
  const lowerTextOf = (row) => {
    if (!texts.has(row)) texts.set(row, textOf(row).toLowerCase());
    return texts.get(row);
  };

  function show() {
    const words = form.elements.q.value.toLowerCase().split(/\s+/).filter(Boolean);
    const active = filters.map((field) => [field.name, valueOf(field), field.type === "checkbox"]).filter(([, value]) => value);
    let shown = 0;
    for (const row of rows) {
      const matches =
        active.every(([name, value, isSwitch]) => isSwitch ? name in row.dataset : row.dataset[name]?.split("\n").includes(value)) &&
        words.every((word) => lowerTextOf(row).includes(word));
      if (row.hidden === matches) row.hidden = !matches;
      shown += matches;
    }
    count.textContent = counted(shown, rows.length, noun);
    noMatch.hidden = shown > 0;
    onShow(form.elements, words);
  }

  function toHash() {
    const state = new URLSearchParams();
    for (const field of fields) if (valueOf(field)) state.set(field.name, valueOf(field));
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
}
