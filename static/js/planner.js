// The planner beside the study form: sliders that move the form's own fields, and the line on its lid.
// <div class="knob" data-knob="FIELD" data-scale="log|whole" data-low data-high data-instead="FIELD">.
(() => {
  const STEPS = 1000;
  const form = () => document.getElementById("study-form");
  const field = (name) => form()?.querySelector(`[name="${name}"]`);
  const ends = (knob) => [Number(knob.dataset.low), Number(knob.dataset.high)];
  const valueAt = (knob, place) => {
    const [low, high] = ends(knob);
    const share = place / STEPS;
    if (knob.dataset.scale === "whole") return Math.round(low * (high / low) ** share);
    return Number((low * (high / low) ** share).toPrecision(3));
  };
  const placeOf = (knob, value) => {
    const [low, high] = ends(knob);
    const inside = Math.min(Math.max(value, low), high);
    return Math.round((STEPS * Math.log(inside / low)) / Math.log(high / low));
  };
  const show = (knob) => {
    const range = knob.querySelector("input");
    const text = field(knob.dataset.knob)?.value ?? "";
    const value = Number(text);
    const known = text !== "" && value > 0;
    knob.toggleAttribute("data-empty", !known);
    knob.querySelector("output").textContent = known ? text : "not given";
    range.setAttribute("aria-valuetext", known ? text : "not given");
    if (known && document.activeElement !== range) range.value = placeOf(knob, value);
  };
  const showAll = () => document.querySelectorAll(".knob").forEach(show);
  const move = (knob, range) => {
    const target = field(knob.dataset.knob);
    if (!target) return;
    const other = knob.dataset.instead && field(knob.dataset.instead);
    if (other) other.value = "";
    target.value = String(valueAt(knob, Number(range.value)));
    target.dispatchEvent(new Event("input", { bubbles: true }));
    showAll();
  };
  const narrow = window.matchMedia("(max-width: 74.99rem)");
  document.addEventListener("DOMContentLoaded", () => {
    const planner = document.getElementById("planner");
    if (!planner || !form()) return;
    if (narrow.matches) planner.querySelector("details").open = false;
    narrow.addEventListener("change", () => {
      planner.querySelector("details").open = !narrow.matches;
    });
    planner.addEventListener("input", (event) => {
      const knob = event.target.closest(".knob");
      if (knob) move(knob, event.target);
    });
    form().addEventListener("input", showAll);
    // Rows of the cohort come and go by a click, which is no input.
    form().addEventListener("click", (event) => {
      if (!event.target.closest("[data-rows-remove]")) return;
      setTimeout(() => form().dispatchEvent(new Event("input")));
    });
    // A closed lid hides the chart; one drawn without a width has to be drawn again.
    planner.querySelector("details").addEventListener("toggle", () => {
      document.dispatchEvent(new CustomEvent("theme"));
    });
    planner.addEventListener("htmx:afterSwap", () => {
      const line = planner.querySelector("[data-planner-line]");
      if (line) document.getElementById("planner-strip").textContent = line.textContent;
    });
    showAll();
  });
})();
