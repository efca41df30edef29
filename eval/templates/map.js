// The descriptor map: zoom, pan, labels where there is room, an example on hover.
(() => {
  const svg = document.getElementById("descriptor-map");
  if (!svg) return;
  const tooltip = document.getElementById("tooltip");
  const labels = new Map([...svg.querySelectorAll("text")].map((text) => [text.dataset.index, text]));
  const pen = document.createElement("canvas").getContext("2d");
  const bubbles = [...svg.querySelectorAll(".bubble")].map((link) => {
    link.querySelector("title").remove();
    return { link, circle: link.querySelector("circle"), label: labels.get(link.dataset.index), index: Number(link.dataset.index), x: Number(link.dataset.x), y: Number(link.dataset.y), radius: Number(link.dataset.radius) };
  });
  const byImportance = [...bubbles].sort((a, b) => a.index - b.index);
  const view = { scale: 1, x: 0, y: 0 };
  const size = { width: 0, height: 0, margin: 0 };

  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const overlap = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

  const placeLabels = () => {
    const fontSize = size.width < 600 ? 11 : 12.5;
    pen.font = `500 ${fontSize}px system-ui, sans-serif`;
    const height = fontSize + 4;
    const frame = { left: 2, top: 2, right: size.width - 2, bottom: size.height - 2 };
    const marks = bubbles.map((bubble) => {
      const half = bubble.drawn * 0.95;
      return { bubble, left: bubble.px - half, right: bubble.px + half, top: bubble.py - half, bottom: bubble.py + half };
    });
    const taken = [];
    for (const bubble of byImportance) {
      const width = pen.measureText(bubble.label.textContent).width + 4;
      const gap = bubble.drawn + 3;
      const places = [
        [bubble.px + gap, bubble.py - height / 2],
        [bubble.px - gap - width, bubble.py - height / 2],
        [bubble.px - width / 2, bubble.py + gap - 2],
        [bubble.px - width / 2, bubble.py - gap - height + 2],
      ].map(([left, top]) => ({ left, top, right: left + width, bottom: top + height }));
      const free = places.find((box) => box.left >= frame.left && box.top >= frame.top && box.right <= frame.right && box.bottom <= frame.bottom
        && !taken.some((other) => overlap(box, other)) && !marks.some((other) => other.bubble !== bubble && overlap(box, other)));
      bubble.label.setAttribute("visibility", free ? "visible" : "hidden");
      if (!free) continue;
      taken.push(free);
      bubble.label.style.fontSize = `${fontSize}px`;
      bubble.label.setAttribute("x", free.left + 2);
      bubble.label.setAttribute("y", free.bottom - 4);
    }
  };

  const draw = () => {
    size.width = svg.clientWidth || 1000;
    size.height = clamp(size.width * 0.62, 380, 620);
    size.margin = size.width < 600 ? 24 : 46;
    svg.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
    svg.classList.toggle("is-zoomed", view.scale > 1);
    const room = 1 - 1 / view.scale;
    view.x = clamp(view.x, 0, room);
    view.y = clamp(view.y, 0, room);
    const factor = clamp(size.width / 1000, 0.6, 1) * Math.pow(view.scale, 0.3);
    for (const bubble of bubbles) {
      bubble.px = size.margin + (bubble.x - view.x) * view.scale * (size.width - 2 * size.margin);
      bubble.py = size.margin + (bubble.y - view.y) * view.scale * (size.height - 2 * size.margin);
      bubble.drawn = bubble.radius * factor;
      bubble.circle.setAttribute("cx", bubble.px);
      bubble.circle.setAttribute("cy", bubble.py);
      bubble.circle.setAttribute("r", bubble.drawn);
    }
    placeLabels();
  };

  const zoom = (factor, horizontal = 0.5, vertical = 0.5) => {
    const scale = clamp(view.scale * factor, 1, 12);
    view.x += horizontal * (1 / view.scale - 1 / scale);
    view.y += vertical * (1 / view.scale - 1 / scale);
    view.scale = scale;
    hide();
    draw();
  };
  const move = (horizontal, vertical) => {
    view.x += horizontal / view.scale;
    view.y += vertical / view.scale;
    hide();
    draw();
  };

  let shown = null;
  const hide = () => {
    tooltip.hidden = true;
    if (shown) shown.classList.remove("is-shown");
    shown = null;
  };
  const line = (name, className, text) => {
    const element = document.createElement(name);
    element.className = className;
    element.textContent = text;
    return element;
  };
  const show = (link) => {
    hide();
    shown = link;
    link.classList.add("is-shown");
    tooltip.replaceChildren(line("strong", "", link.dataset.text), line("span", "quiet", link.dataset.counts));
    if (link.dataset.example) tooltip.append(line("span", "tooltip-example", link.dataset.example));
    tooltip.hidden = false;
    const mark = link.getBoundingClientRect();
    const left = clamp(mark.left + mark.width / 2 - tooltip.offsetWidth / 2, 8, innerWidth - tooltip.offsetWidth - 8);
    const above = mark.top - tooltip.offsetHeight - 8;
    tooltip.style.left = `${left}px`;
    tooltip.style.top = `${above > 8 ? above : mark.bottom + 8}px`;
  };

  let pointer = "mouse";
  let drag = null;
  let moved = false;
  svg.addEventListener("pointerover", (event) => {
    const link = event.target.closest(".bubble");
    if (link && !drag && event.pointerType === "mouse") show(link);
  });
  svg.addEventListener("pointerout", (event) => { if (event.pointerType === "mouse") hide(); });
  svg.addEventListener("pointerdown", (event) => {
    pointer = event.pointerType;
    moved = false;
    if (view.scale > 1) drag = { x: event.clientX, y: event.clientY };
  });
  addEventListener("pointermove", (event) => {
    if (!drag) return;
    const [across, down] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!moved && Math.hypot(across, down) < 4) return;
    moved = true;
    drag = { x: event.clientX, y: event.clientY };
    move(-across / size.width, -down / size.height);
  });
  addEventListener("pointerup", () => { drag = null; });
  addEventListener("pointercancel", () => { drag = null; });
  svg.addEventListener("dragstart", (event) => event.preventDefault());
  svg.addEventListener("click", (event) => {
    const link = event.target.closest(".bubble");
    if (moved) event.preventDefault();
    else if (!link) hide();
    else if (pointer === "touch" && shown !== link) { event.preventDefault(); show(link); }
  });
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const frame = svg.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 300), (event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height);
  }, { passive: false });

  const tools = document.querySelector(".map-tools");
  tools.hidden = false;
  const actions = { in: () => zoom(1.6), out: () => zoom(1 / 1.6), reset: () => zoom(1e-3) };
  for (const button of tools.querySelectorAll("button")) button.addEventListener("click", actions[button.dataset.zoom]);
  addEventListener("scroll", hide, { passive: true });
  addEventListener("beforeprint", draw);
  new ResizeObserver(() => { if (svg.clientWidth !== size.width) draw(); }).observe(svg);
  draw();
})();
