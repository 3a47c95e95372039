// Draws the figures that Python built: <div class="chart" data-figure="ID"> beside json_script ID.
(() => {
  const CONFIG = { displayModeBar: false, responsive: true };
  const colour = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // light-dark() is only resolved on a real property, so ask an element for its colour.
  const resolved = (name) => {
    const probe = document.createElement("span");
    probe.hidden = true;
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value || colour(name);
  };
  const themed = (layout) => {
    const ink = resolved("--cl-ink");
    const line = resolved("--cl-line");
    const quiet = resolved("--cl-quiet");
    const axis = (given) => ({ ...given, gridcolor: line, linecolor: line, zerolinecolor: line, tickfont: { color: quiet } });
    const axes = Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key));
    return {
      ...layout,
      ...Object.fromEntries(axes.map((key) => [key, axis(layout[key])])),
      font: { ...layout.font, family: "Inter, system-ui, sans-serif", color: ink },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
    };
  };
  const draw = (element) => {
    const source = document.getElementById(element.dataset.figure);
    if (!source || !window.Plotly) return;
    const figure = JSON.parse(source.textContent);
    window.Plotly.react(element, figure.data, themed(figure.layout || {}), CONFIG);
  };
  const drawAll = (root) => root.querySelectorAll(".chart[data-figure]").forEach(draw);
  document.addEventListener("DOMContentLoaded", () => {
    drawAll(document);
    // `load` also comes for content swapped out of band; the charts are drawn anew with it.
    document.body.addEventListener("htmx:load", (event) => drawAll(event.target));
  });
  document.addEventListener("theme", () => document.body && drawAll(document));
})();
