// Shows the parts that belong to a chosen value: <div data-shown-by="FIELD" data-shown-for="a b">.
// FIELD is the end of a field's name, looked up in the same row (or else in the same form).
(() => {
  const apply = (root) =>
    root.querySelectorAll("[data-shown-by]").forEach((part) => {
      const scope = part.closest("[data-row]") || part.closest("form");
      const field = scope?.querySelector(`[name$="${part.dataset.shownBy}"]`);
      if (!field) return;
      part.hidden = !part.dataset.shownFor.split(" ").includes(field.value);
    });
  document.addEventListener("DOMContentLoaded", () => apply(document));
  document.addEventListener("change", () => apply(document));
  document.addEventListener("click", () => setTimeout(() => apply(document)));
})();
