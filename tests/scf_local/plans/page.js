(() => {
  if (!document.querySelector("form")) return; // no images
  const rows = [...document.querySelectorAll(".images tbody tr")];
  const groups = [...document.querySelectorAll(".group")].map((group) => [group, [...group.querySelectorAll("tbody tr")]]);
  const bodies = [...document.querySelectorAll(".images tbody")].map((body) => [body, [...body.rows]]);
  const heads = [...document.querySelectorAll("[data-sort]")];
  const { compare } = new Intl.Collator("en", { numeric: true });
  let sorted = "";
  let wasOpen = false;

  /* By a column, descending after "-"; equal rows, and all without a column, as in the plan. */
  function sort(order) {
    if (order === sorted) return;
    sorted = order;
    const [column, sign] = order.startsWith("-") ? [order.slice(1), -1] : [order, 1];
    const head = heads.find(({ dataset }) => dataset.sort === column);
    for (const each of heads) each.removeAttribute("aria-sort");
    head?.setAttribute("aria-sort", sign < 0 ? "descending" : "ascending");
    const textOf = (row) => row.querySelector(`.${column}`)?.textContent ?? "";
    for (const [body, original] of bodies) {
      const keyed = original.map((row) => [head ? textOf(row) : "", row]);
      keyed.sort(([a], [b]) => !a - !b || sign * compare(a, b)); // empty ones last
      body.append(...keyed.map(([, row]) => row));
    }
  }

  function onShow({ q, status, sort: order }) {
    for (const [group, members] of groups) group.hidden = members.every((row) => row.hidden);
    const isOpen = q.value.trim() !== "" || status.value !== "";
    if (isOpen !== wasOpen) for (const [group] of groups) if (group.localName === "details") group.open = isOpen;
    wasOpen = isOpen;
    sort(order.value);
  }

  for (const head of heads) {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    const { sort: column } = head.dataset;
    button.addEventListener("click", () => {
      const field = document.querySelector("[name=sort]");
      field.value = { "": column, [column]: `-${column}`, [`-${column}`]: "" }[field.value] ?? column;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    });
  }
  const folds = [...document.querySelectorAll(".fold")];
  const unfold = document.querySelector("[name=unfold]");
  unfold.hidden = folds.length === 0;
  unfold.addEventListener("click", () => {
    const isOpen = folds.some((fold) => !fold.open);
    for (const fold of folds) fold.open = isOpen;
    unfold.textContent = isOpen ? "Fold all" : "Unfold all";
  });
  addEventListener("hashchange", () => document.querySelector("form").scrollIntoView());
  searchable(rows, "image", {
    textOf: (row) => `${row.closest("details")?.querySelector("summary").textContent ?? ""} ${row.textContent}`,
    onShow,
  });
})();
