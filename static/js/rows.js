// Rows of a Django formset: "add" clones the empty form, "remove" ticks DELETE and hides the row.
(() => {
  const announce = (set, text) => {
    set.querySelector("[data-rows-status]").textContent = text;
  };
  const add = (set) => {
    const total = set.querySelector("[name$=-TOTAL_FORMS]");
    const html = set.querySelector("template").innerHTML.replaceAll("__prefix__", total.value);
    const list = set.querySelector("[data-rows-list]");
    list.insertAdjacentHTML("beforeend", html);
    total.value = Number(total.value) + 1;
    list.lastElementChild.querySelector("input, select").focus();
    announce(set, "Row added");
  };
  const remove = (set, row) => {
    row.querySelector("[name$=-DELETE]").checked = true;
    row.hidden = true;
    announce(set, "Row removed");
    set.querySelector("[data-rows-add]").focus();
  };
  document.addEventListener("click", (event) => {
    const set = event.target.closest("[data-rows]");
    if (!set) return;
    if (event.target.closest("[data-rows-add]")) add(set);
    const button = event.target.closest("[data-rows-remove]");
    if (button) remove(set, button.closest("[data-row]"));
  });
})();
