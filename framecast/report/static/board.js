"use strict";
const table = document.querySelector("table");
const body = table.tBodies[0];
const heads = [...table.tHead.rows[0].cells];

for (const head of heads.filter(h => h.querySelector("button"))) {
  head.querySelector("button").addEventListener("click", () => {
    const at = head.cellIndex, words = head.dataset.words === "1";
    const before = head.getAttribute("aria-sort") || head.dataset.second;  // the first tap shows the best first
    const up = before === "descending";
    const key = row => row.cells[at].dataset.value;
    const compare = (a, b) => words ? key(a).localeCompare(key(b)) : key(a) - key(b);
    body.append(...[...body.rows].sort((a, b) => up ? compare(a, b) : compare(b, a)));
    heads.forEach(h => h.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
  });
}

const lines = document.getElementById("lines");
for (const row of [...body.rows].filter(r => r.querySelector(".curve button"))) {
  row.querySelector(".curve button").addEventListener("click", () => {
    lines.querySelectorAll(".on").forEach(path => path.classList.remove("on"));
    const path = document.getElementById(row.dataset.curve);
    path.classList.add("on");
    lines.append(path);  // over the others
    document.getElementById("shown").textContent = row.dataset.shown;
    document.querySelector("figure").scrollIntoView({block: "nearest"});
  });
}
