// Rows of a Django formset: "add" clones the empty form, "remove" ticks DELETE and hides the row.
// In a new row <select data-rows-distinct> begins with the first choice that no other row has (and
// nothing is added once every choice is taken), <input data-rows-begins-as="FIELD"> with the text
// of that field.
(() => {
  const announce = (set, text) => {
    set.querySelector("[data-rows-status]").textContent = text;
  };
  const changed = (field) => field.dispatchEvent(new Event("input", { bubbles: true }));
  const taken = (set) =>
    [...set.querySelectorAll("[data-row]:not([hidden]) select[data-rows-distinct]")].map(
      (select) => select.value,
    );
  const begin = (set, row) => {
    const select = row.querySelector("select[data-rows-distinct]");
    if (select) {
      const others = taken(set);
      const free = [...select.options].find((choice) => choice.value && !others.includes(choice.value));
      select.value = free ? free.value : "";
    }
    row.querySelectorAll("[data-rows-begins-as]").forEach((field) => {
      field.value = field.form.elements[field.dataset.rowsBeginsAs].value;
      changed(field);
    });
  };
  const full = (set) => {
    const select = set.querySelector("template")?.content.querySelector("select[data-rows-distinct]");
    return Boolean(select) && taken(set).length >= select.options.length - 1;
  };
  const close = (set) => {
    set.querySelector("[data-rows-add]").disabled = full(set);
  };
  const add = (set) => {
    const total = set.querySelector("[name$=-TOTAL_FORMS]");
    const html = set.querySelector("template").innerHTML.replaceAll("__prefix__", total.value);
    const list = set.querySelector("[data-rows-list]");
    list.insertAdjacentHTML("beforeend", html);
    total.value = Number(total.value) + 1;
    begin(set, list.lastElementChild);
    list.lastElementChild.querySelector("input, select").focus();
    close(set);
    announce(set, "Row added");
  };
  const remove = (set, row) => {
    row.querySelector("[name$=-DELETE]").checked = true;
    row.hidden = true;
    close(set);
    announce(set, "Row removed");
    set.querySelector("[data-rows-add]").focus();
  };
  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-rows]").forEach(close);
  });
  document.addEventListener("click", (event) => {
    const set = event.target.closest("[data-rows]");
    if (!set) return;
    if (event.target.closest("[data-rows-add]")) add(set);
    const button = event.target.closest("[data-rows-remove]");
    if (button) remove(set, button.closest("[data-row]"));
  });
})();
