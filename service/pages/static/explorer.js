"use strict";
// Enriches pages that work without it: live text, progress of jobs, values of tokens.
(() => {
  // What fires on a text, a moment after one stops typing.
  const live = document.getElementById("live");
  if (live) {
    const box = document.getElementById("live-text");
    const answer = document.getElementById("live-answer");
    const state = document.getElementById("live-state");
    let timer = 0;
    let asked = 0;
    let shown = box.value.trim();
    const ask = async () => {
      const text = box.value.trim();
      if (text === shown) return;
      shown = text;
      if (!text) { answer.replaceChildren(); state.textContent = ""; return; }
      const number = ++asked;
      state.textContent = "Reading…";
      try {
        const reply = await fetch(live.dataset.live, { method: "POST", headers: { Accept: "text/html" }, body: new URLSearchParams({ text }) });
        const part = await reply.text();
        if (number !== asked) return;
        answer.replaceChildren(...new DOMParser().parseFromString(part, "text/html").body.childNodes);
        const heading = answer.querySelector("h2");
        state.textContent = heading ? heading.textContent : "";
      } catch {
        if (number === asked) state.textContent = "The service does not answer. Is it still running?";
      }
    };
    box.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 350); });
    live.addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(timer); shown = null; ask(); });
  }

  // A job's progress; changes of state are spoken, every tick is not.
  const announcer = document.getElementById("announcer");
  const look = async () => {
    const panel = document.getElementById("job");
    if (!panel || panel.hasAttribute("data-over")) return;
    try {
      const reply = await fetch(panel.dataset.panel, { headers: { Accept: "text/html" } });
      if (reply.ok) {
        const found = new DOMParser().parseFromString(await reply.text(), "text/html").getElementById("job");
        if (found) show(panel, found);
      }
    } catch { /* The service restarts; the next look finds it again. */ }
    setTimeout(look, 1000);
  };
  const spoken = (panel) => {
    const now = panel.querySelector("[aria-current=step]");
    return `${panel.querySelector(".status").textContent}${now ? `: ${now.firstChild.textContent.trim()}` : ""}`;
  };
  const show = (before, after) => {
    const log = before.querySelector(".log");
    const atEnd = !log || log.scrollTop + log.clientHeight > log.scrollHeight - 8;
    const place = log ? log.scrollTop : 0;
    const hadFocus = log && document.activeElement === log;
    if (spoken(before) !== spoken(after)) announcer.textContent = spoken(after);
    before.replaceWith(after);
    const shownLog = after.querySelector(".log");
    if (shownLog) {
      shownLog.scrollTop = atEnd ? shownLog.scrollHeight : place;
      if (hadFocus) shownLog.focus();
    }
    if (after.hasAttribute("data-over")) document.getElementById("cancel")?.remove();
  };
  const log = document.querySelector("#job .log");
  if (log) log.scrollTop = log.scrollHeight;
  setTimeout(look, 700);

  // The value of the token one points at.
  const tooltip = document.getElementById("tooltip");
  let pointed = null;
  const hide = () => {
    if (pointed) pointed.title = pointed.dataset.value;
    pointed = null;
    tooltip.hidden = true;
  };
  document.addEventListener("pointerover", (event) => {
    const token = event.target.closest?.(".token[title]");
    if (!token || event.pointerType === "touch") return;
    hide();
    pointed = token;
    token.dataset.value = token.title;
    token.removeAttribute("title");
    const word = document.createElement("strong");
    word.textContent = token.textContent;
    const value = document.createElement("span");
    value.textContent = `activation ${token.dataset.value}`;
    tooltip.replaceChildren(word, value);
    tooltip.hidden = false;
    const mark = token.getBoundingClientRect();
    const left = Math.max(8, Math.min(mark.left + mark.width / 2 - tooltip.offsetWidth / 2, innerWidth - tooltip.offsetWidth - 8));
    const above = mark.top - tooltip.offsetHeight - 8;
    tooltip.style.left = `${left}px`;
    tooltip.style.top = `${above > 8 ? above : mark.bottom + 8}px`;
  });
  document.addEventListener("pointerout", (event) => { if (event.target === pointed) hide(); });
  addEventListener("scroll", hide, { passive: true });

  // A link that is copied where the browser lets it be.
  const copy = document.querySelector("[data-copy]");
  if (copy && navigator.clipboard) {
    copy.addEventListener("click", async (event) => {
      event.preventDefault();
      await navigator.clipboard.writeText(copy.href);
      copy.textContent = "Copied";
      setTimeout(() => { copy.textContent = "Permalink"; }, 1500);
    });
  }

  // A form that is sent is not sent again by a second click.
  for (const form of document.querySelectorAll('form[method="post"]:not(#live)')) {
    form.addEventListener("submit", () => {
      for (const button of form.querySelectorAll("button")) setTimeout(() => { button.disabled = true; });
    });
  }
  addEventListener("pageshow", () => {
    for (const button of document.querySelectorAll("form button[disabled]")) button.disabled = false;
  });
})();
