// What panels do when their fetch does not end in a panel.
(() => {
  // Logged out meanwhile: the answer is the log-in page, which belongs in the window.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!event.detail.xhr.responseURL.includes("/login/")) return;
    event.detail.shouldSwap = false;
    location.reload();
  });
  const complain = (event) => {
    const waiting = event.target.querySelector?.(":scope > .loading");
    if (waiting) waiting.textContent = "This part could not be loaded. Please reload the page.";
  };
  document.addEventListener("htmx:responseError", complain);
  document.addEventListener("htmx:sendError", complain);
  // A menu closes when the person goes elsewhere.
  document.addEventListener("click", (event) => {
    document.querySelectorAll("details.menu[open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
})();
