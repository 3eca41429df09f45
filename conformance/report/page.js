"use strict";
// Without this script the page still shows everything; the script filters, copies and opens the case that the address names.
document.documentElement.classList.add("scripted");
const cases = [...document.querySelectorAll(".case")];
const chips = [...document.querySelectorAll(".filters button[data-verdict]")];
const search = document.getElementById("search");
const expand = document.getElementById("expand");
const none = document.getElementById("none");
let verdict = "";

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const item of cases) {
    const text = item.dataset.text;
    const fits = (!verdict || item.dataset.verdict === verdict) && words.every((word) => text.includes(word));
    item.hidden = !fits;
    shown += fits;
  }
  none.hidden = shown > 0;
}

for (const chip of chips) {
  chip.addEventListener("click", () => {
    verdict = chip.dataset.verdict;
    for (const other of chips) other.setAttribute("aria-pressed", String(other === chip));
    filter();
  });
}
search.addEventListener("input", filter);
expand.addEventListener("click", () => {
  const open = cases.some((item) => !item.hidden && !item.open);
  for (const item of cases) if (!item.hidden) item.open = open;
});

function reveal() {
  const item = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!item || !item.classList.contains("case")) return;
  if (item.hidden) {
    search.value = "";
    chips[0].click();
  }
  item.open = true;
  item.scrollIntoView({ block: "start" });
}
window.addEventListener("hashchange", reveal);
reveal();

for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      // A page opened from a file may be refused the clipboard: select the text, so that one key copies it.
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    button.addEventListener("blur", () => { button.textContent = "Copy"; }, { once: true });
  });
}
