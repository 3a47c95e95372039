// On a narrow screen the places are wider than it: brings the present one into view.
document.addEventListener("DOMContentLoaded", () => {
  const here = document.querySelector(".masthead-nav [aria-current]");
  const row = here?.closest(".masthead-nav");
  if (!row || row.scrollWidth <= row.clientWidth) return;
  const middle = here.getBoundingClientRect().left - row.getBoundingClientRect().left;
  row.scrollLeft += middle - (row.clientWidth - here.offsetWidth) / 2;
});
