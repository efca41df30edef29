// What a page gets wrong for people who use a keyboard, a screen reader or little contrast.
() => {
  const wrong = [];
  const shown = (element) => element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
  const where = (element) => `${element.tagName.toLowerCase()}${element.id ? `#${element.id}` : ""}.${element.className?.baseVal ?? element.className}: ${element.textContent.trim().slice(0, 40)}`;

  if (!document.documentElement.lang) wrong.push("no language");
  if (!document.title.trim()) wrong.push("no title");
  for (const [selector, number] of [["h1", 1], ["main", 1], ["header", 1], ["footer", 1]]) {
    const found = document.querySelectorAll(selector).length;
    if (found !== number) wrong.push(`${found} ${selector}, expected ${number}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids.filter((id, place) => ids.indexOf(id) !== place))) wrong.push(`id ${id} twice`);
  for (const element of document.querySelectorAll("[aria-labelledby], [aria-describedby]")) {
    for (const id of `${element.getAttribute("aria-labelledby") ?? ""} ${element.getAttribute("aria-describedby") ?? ""}`.trim().split(/\s+/)) {
      if (!document.getElementById(id)) wrong.push(`nothing is called ${id}`);
    }
  }
  let level = 0;
  for (const heading of [...document.querySelectorAll("h1, h2, h3, h4")].filter(shown)) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) wrong.push(`from h${level} to ${where(heading)}`);
    level = own;
  }
  for (const control of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (!control.labels.length && !control.getAttribute("aria-label")) wrong.push(`no label: ${where(control)} ${control.name}`);
  }
  for (const element of document.querySelectorAll("a[href], button, summary")) {
    if (!(element.getAttribute("aria-label") ?? element.textContent).trim()) wrong.push(`no name: ${where(element)}`);
  }
  for (const element of document.querySelectorAll("progress, meter, svg[role=img], nav, [role=region]")) {
    if (!element.getAttribute("aria-label")) wrong.push(`no label: ${where(element)}`);
  }
  for (const heading of document.querySelectorAll(":is(h1, h2, h3, h4)[role]")) wrong.push(`no heading any more: ${where(heading)}`);
  const named = (element) => element.getAttribute("aria-label") ?? (element.getAttribute("aria-labelledby") ?? "").split(/\s+/).map((id) => document.getElementById(id)?.textContent.trim()).join(" ");
  const landmarks = [...document.querySelectorAll("section, nav, [role=region], [role=search]")].filter(shown).map(named);
  for (const name of new Set(landmarks.filter((each, place) => each && landmarks.indexOf(each) !== place))) wrong.push(`two landmarks are called ${name}`);
  for (const table of document.querySelectorAll("table")) {
    if (!table.caption) wrong.push(`no caption: ${where(table)}`);
    if ([...table.querySelectorAll("th")].some((cell) => !cell.scope)) wrong.push(`no scope: ${where(table)}`);
  }
  for (const element of document.querySelectorAll("*")) {
    for (const { name } of element.attributes) {
      if (name.startsWith("on")) wrong.push(`handler: ${where(element)}`);
      if (name === "style" && !element.closest("#chart, #tooltip, #js-plotly-tester")) wrong.push(`style: ${where(element)}`);
    }
  }

  const parsed = (text) => {
    const numbers = (text.match(/[\d.]+(e-?\d+)?/g) ?? []).map(Number);
    const scale = text.startsWith("color(") ? 255 : 1;
    const [red, green, blue] = numbers.slice(0, 3).map((value) => value * scale);
    return { red, green, blue, alpha: numbers[3] ?? 1 };
  };
  const over = (top, below) => {
    const mixed = (name) => top[name] * top.alpha + below[name] * (1 - top.alpha);
    return { red: mixed("red"), green: mixed("green"), blue: mixed("blue"), alpha: 1 };
  };
  const ground = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) layers.push(parsed(getComputedStyle(each).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), { red: 255, green: 255, blue: 255, alpha: 1 });
  };
  const luminance = ({ red, green, blue }) => {
    const [r, g, b] = [red, green, blue].map((value) => value / 255).map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const LANDMARKS = "header, nav, main, footer, [role=search], .skip, script, noscript, #tooltip, #js-plotly-tester";
  const low = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (walker.currentNode.data.trim() && shown(element) && !element.closest(LANDMARKS)) wrong.push(`outside of landmarks: ${where(element)}`);
    if (!walker.currentNode.data.trim() || !shown(element) || element.closest(".visually-hidden, .skip, svg, script, noscript, [disabled]")) continue;
    const style = getComputedStyle(element);
    const below = ground(element);
    const [one, other] = [luminance(over(parsed(style.color), below)), luminance(below)].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    if (ratio < needed) low.add(`contrast ${ratio.toFixed(2)}: ${where(element)}`);
  }
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) wrong.push("wider than its window");
  return [...wrong, ...low];
}
