// Buttons with data-copy="#id" put that element's text on the clipboard and say so.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent.trim());
  button.querySelector("[data-copied]").textContent = "Copied";
});
