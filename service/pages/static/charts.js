"use strict";
// Draws the page's chart with plotly from the data in the page, in the page's colours.
(() => {
  // Plotly makes style elements of its own; they carry the nonce of the page, as its policy asks.
  const nonce = document.currentScript.nonce;
  const create = document.createElement.bind(document);
  document.createElement = (name, ...rest) => {
    const element = create(name, ...rest);
    if (String(name).toLowerCase() === "style") element.nonce = nonce;
    return element;
  };

  const target = document.getElementById("chart");
  const source = document.getElementById("chart-data");
  if (!target || !source) return;
  const data = JSON.parse(source.textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  // Data may hold anything; plotly reads some tags in labels.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const percent = (value) => value === null ? "–" : `${(100 * value).toFixed(value && value < 0.0995 ? 1 : 0)} %`;
  const settings = { displayModeBar: false, responsive: true, showTips: false };
  const look = (height) => ({
    height,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 13, color: colour("ink") },
    hoverlabel: { bgcolor: colour("surface"), bordercolor: colour("line"), font: { color: colour("ink") }, align: "left" },
    dragmode: false,
  });

  const measures = {
    described: { of: (cell) => cell.described, words: percent, low: 0 },
    score: { of: (cell) => cell.score, words: (value) => value === null ? "–" : value.toFixed(3), low: 0.5 },
    learned: { of: (cell) => cell.learned, words: percent, low: 0 },
  };
  let measure = "described";

  const layers = () => {
    const sites = [...new Set(data.cells.map((cell) => cell.site))];
    const numbers = [...new Set(data.cells.map((cell) => cell.layer))].sort((a, b) => a - b);
    const at = (site, layer) => data.cells.find((cell) => cell.site === site && cell.layer === layer);
    const { of, words, low } = measures[measure];
    const grid = (value) => sites.map((site) => numbers.map((layer) => { const cell = at(site, layer); return cell ? value(cell) : null; }));
    const values = grid(of);
    const largest = Math.max(low + 1e-6, ...values.flat().filter((value) => value !== null));
    const about = (cell) => `<b>L${cell.layer}.${cell.site}</b>, ${cell.neurons.toLocaleString("en")} neurons<br>described ${percent(cell.described)} · median AUROC ${measures.score.words(cell.score)} · learned ${percent(cell.learned)}<br>${cell.commonest.map(plain).join(", ")}`;
    const steps = [0, 1, 2, 3, 4, 5, 6].map((step) => [step / 6, colour(`step-${step}`)]);
    Plotly.react(target, [{
      type: "heatmap",
      x: numbers.map((layer) => `L${layer}`),
      y: sites,
      z: values,
      text: grid((cell) => words(of(cell))),
      texttemplate: "%{text}",
      hovertext: grid(about),
      hovertemplate: "%{hovertext}<extra></extra>",
      colorscale: steps,
      zmin: low,
      zmax: largest,
      xgap: 3,
      ygap: 3,
      showscale: false,
    }], {
      ...look(110 + 90 * sites.length),
      margin: { l: 70, r: 10, t: 10, b: 45 },
      xaxis: { title: { text: "layer" }, showgrid: false, zeroline: false, ticks: "", fixedrange: true },
      yaxis: { showgrid: false, zeroline: false, ticks: "", fixedrange: true, autorange: "reversed" },
    }, settings);
  };

  const figures = () => {
    const rows = [...data.figures].reverse();
    const places = rows.map((_, index) => index);
    const whole = rows.map((row) => `${row.protocol}: ${row.name}`);
    const room = target.clientWidth < 700 ? 26 : 72;
    const names = whole.map((name) => plain(name.length > room ? `${name.slice(0, room - 1)}…` : name));
    const told = (value) => value === null ? "–" : value.toFixed(3);
    const about = rows.map((row, index) => `<b>${plain(whole[index])}</b><br>${told(row.value)} [${told(row.low)}, ${told(row.high)}] · null ${told(row.null)} · baseline ${told(row.baseline)}<br>${row.clears ? "clears" : "does not clear"} its controls`);
    const marks = (name, of, marker) => ({
      type: "scatter", mode: "markers", name, marker,
      x: rows.map(of), y: places, hovertext: about, hovertemplate: "%{hovertext}<extra></extra>",
    });
    const drawn = (clears, name, symbol, tone) => ({
      ...marks(name, (row) => row.clears === clears ? row.value : null, { size: 10, color: colour(tone), symbol }),
      error_x: {
        type: "data", symmetric: false, color: colour(tone), thickness: 2, width: 0,
        array: rows.map((row) => row.high === null ? 0 : row.high - row.value),
        arrayminus: rows.map((row) => row.low === null ? 0 : row.value - row.low),
      },
    });
    Plotly.react(target, [
      marks("null", (row) => row.null, { size: 13, symbol: "line-ns-open", color: colour("null"), line: { width: 2.5 } }),
      marks("baseline", (row) => row.baseline, { size: 9, symbol: "x-thin-open", color: colour("baseline"), line: { width: 2.5 } }),
      drawn(true, "clears its controls", "circle", "step-4"),
      drawn(false, "does not clear them", "diamond-open", "bad"),
    ], {
      ...look(120 + 26 * rows.length),
      margin: { l: 10, r: 20, t: 10, b: 70 },
      xaxis: { gridcolor: colour("line"), zerolinecolor: colour("line"), fixedrange: true },
      yaxis: { tickvals: places, ticktext: names, automargin: true, showgrid: false, zeroline: false, fixedrange: true, range: [-0.7, rows.length - 0.3] },
      legend: { orientation: "h", y: 0, yref: "container", yanchor: "bottom", x: 0, xref: "paper" },
    }, settings);
  };

  const draw = () => (data.kind === "layers" ? layers : figures)();
  addEventListener("DOMContentLoaded", () => {
    draw();
    dark.addEventListener("change", draw);
    const tools = document.getElementById("chart-tools");
    if (!tools) return;
    tools.hidden = false;
    tools.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      measure = button.dataset.measure;
      for (const each of tools.querySelectorAll("button")) each.setAttribute("aria-pressed", String(each === button));
      draw();
    });
  });
})();
