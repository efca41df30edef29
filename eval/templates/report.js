"use strict";
// Tables: find and sort. Details: open what a link points at, and everything for print.
(() => {
  const openTarget = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const details = target.matches("details") ? target : target.querySelector("details");
    if (details) details.open = true;
    target.hidden = false;
    target.scrollIntoView({ block: "center" });
  };
  if (location.hash.startsWith("#neuron-") || location.hash.startsWith("#descriptor-")) openTarget();
  addEventListener("hashchange", () => {
    if (location.hash.startsWith("#neuron-") || location.hash.startsWith("#descriptor-")) openTarget();
  });

  for (const button of document.querySelectorAll("[data-toggle]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const all = [...document.querySelectorAll(`details.${button.dataset.toggle}`)];
      const open = all.some((details) => !details.open);
      for (const details of all) details.open = open;
      button.textContent = open ? "Close all" : "Open all";
    });
  }

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")].filter((details) => !details.closest("#descriptor-table"));
    for (const details of closed) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of closed) details.open = false;
  });

  const filter = document.getElementById("filter");
  if (filter) {
    const rows = [...document.querySelectorAll("#descriptor-table tbody tr")];
    const words = rows.map((row) => row.textContent.toLocaleLowerCase());
    const count = document.getElementById("filter-count");
    const show = () => {
      const wanted = filter.value.trim().toLocaleLowerCase();
      let shown = 0;
      rows.forEach((row, index) => {
        row.hidden = !words[index].includes(wanted);
        shown += row.hidden ? 0 : 1;
      });
      count.textContent = wanted ? `${shown} of ${rows.length} descriptors` : "";
    };
    filter.closest("label").hidden = false;
    filter.addEventListener("input", show);
    show();
  }

  for (const heading of document.querySelectorAll("th[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const byNumber = heading.dataset.sort === "number";
      const first = byNumber ? "descending" : "ascending";
      const second = byNumber ? "ascending" : "descending";
      const order = heading.getAttribute("aria-sort") === first ? second : first;
      const column = heading.cellIndex;
      const sign = order === "ascending" ? 1 : -1;
      const body = heading.closest("table").tBodies[0];
      const compare = byNumber
        ? (a, b) => a.cells[column].dataset.value - b.cells[column].dataset.value
        : (a, b) => a.cells[column].textContent.localeCompare(b.cells[column].textContent);
      for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", order);
      body.append(...[...body.rows].sort((a, b) => sign * compare(a, b)));
    });
  }

  const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-20% 0px -75% 0px" });
  for (const section of document.querySelectorAll("main > section")) observer.observe(section);
})();
