// Buttons with data-preset='{"FIELD": "text", …}' fill the fields of these names in their form, and
// say so in the [data-preset-status] beside them.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-preset]");
  if (!button) return;
  for (const [name, text] of Object.entries(JSON.parse(button.dataset.preset))) {
    const field = button.form.elements[name];
    if (field.type === "checkbox") field.checked = text === "True";
    else field.value = text;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }
  const status = button.parentElement.querySelector("[data-preset-status]");
  if (status) status.textContent = `Filled in: ${button.textContent}.`;
});
