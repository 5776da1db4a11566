// Extras for the report: filter, sort, and opening the details that a link leads to. The page is whole without them.
"use strict";

const table = document.getElementById("table");
const search = document.getElementById("search");

function filter() {
  const wanted = search.value.trim().toLowerCase();
  for (const body of table.tBodies) {
    body.hidden = !body.rows[0].textContent.toLowerCase().includes(wanted);
  }
}

function keyOf(body, column) {
  const cell = body.rows[0].cells[column];
  return "sort" in cell.dataset ? Number(cell.dataset.sort) : cell.textContent;
}

function sortBy(column, head) {
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const order = (left, right) => {
    const [a, b] = [keyOf(left, column), keyOf(right, column)];
    const compared = typeof a === "number" ? a - b : a.localeCompare(b);
    return down ? -compared : compared;
  };
  table.append(...[...table.tBodies].sort(order));
}

function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const details = target && target.querySelector("details");
  if (details) details.open = true;
}

[...table.tHead.rows[0].cells].forEach((head, column) => {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = head.textContent;
  button.addEventListener("click", () => sortBy(column, head));
  head.replaceChildren(button);
});
document.getElementById("controls").hidden = false;
search.addEventListener("input", filter);
window.addEventListener("hashchange", openTarget);
openTarget();
