(() => {
  const events = [...document.querySelector("ol").children];
  let words = [];

  /* Of an open event, shows the images that the search is about: those with all of its words
     that any image has, or else with one of them. */
  function search(event) {
    const bodies = [...event.querySelectorAll(".images tbody")];
    if (!bodies.length) return;
    const texts = words.length ? bodies.map((body) => body.textContent.toLowerCase()) : [];
    const known = words.filter((word) => texts.some((text) => text.includes(word)));
    let shown = texts.map((text) => known.every((word) => text.includes(word)));
    if (!shown.includes(true)) shown = texts.map((text) => known.some((word) => text.includes(word)));
    bodies.forEach((body, index) => { body.hidden = shown[index] === false; });
    for (const part of event.querySelectorAll(".part")) part.hidden = !part.querySelector("tbody:not([hidden])");
    const hidden = shown.filter((isShown) => !isShown).length;
    event.querySelector(".shown").textContent = counted(bodies.length - hidden, bodies.length, "image");
  }

  document.querySelector("ol").addEventListener("toggle", ({ target }) => {
    if (target.parentElement.matches(".event")) search(target.parentElement);
  }, true); // it does not bubble
  searchable(events, "event", {
    onShow(fields, searched) {
      words = searched;
      for (const event of events) if (!event.hidden && event.firstElementChild.open) search(event);
    },
  });
})();
