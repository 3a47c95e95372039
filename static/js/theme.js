// Light or dark: the person's choice if there is one, else the system's. Loaded in <head> so that
// the first paint is already right.
(() => {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => localStorage.getItem("cloister-theme");
  const apply = () => {
    const theme = chosen() || (system.matches ? "dark" : "light");
    document.documentElement.dataset.bsTheme = theme;
    document.dispatchEvent(new CustomEvent("theme", { detail: theme }));
    const button = document.getElementById("theme-toggle");
    if (button) button.setAttribute("aria-pressed", String(theme === "dark"));
  };
  apply();
  document.documentElement.classList.add("scripted");
  system.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme-toggle")?.addEventListener("click", () => {
      const dark = document.documentElement.dataset.bsTheme === "dark";
      localStorage.setItem("cloister-theme", dark ? "light" : "dark");
      apply();
    });
  });
})();
