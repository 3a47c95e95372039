// Buttons with data-preset='{"FIELD": "text", …}' fill the fields of these names in their form.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-preset]");
  if (!button) return;
  for (const [name, text] of Object.entries(JSON.parse(button.dataset.preset))) {
    const field = button.form.elements[name];
    field.value = text;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }
});
