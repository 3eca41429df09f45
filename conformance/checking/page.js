"use strict";
// Without this script the page still shows everything; the script shows one state of the diagram at a time and copies.
document.documentElement.classList.add("scripted");
const diagram = document.querySelector(".diagram");
const states = [...document.querySelectorAll(".state")];

function choose(state) {
  for (const other of states) other.open = other === state;
  if (!diagram) return;
  diagram.classList.add("choosing");
  for (const node of diagram.querySelectorAll(".node")) node.classList.toggle("chosen", node.id === `node-${state.id}`);
  for (const edge of diagram.querySelectorAll(".edge")) {
    edge.classList.toggle("near", edge.classList.contains(`from-${state.id}`) || edge.classList.contains(`to-${state.id}`));
  }
}

for (const link of document.querySelectorAll(".diagram a, .state a.state-link")) {
  link.addEventListener("click", (event) => {
    event.preventDefault(); // the state is beside the diagram already: no jump
    const id = link.getAttribute("href").slice(1);
    history.replaceState(null, "", `#${id}`);
    choose(document.getElementById(id));
  });
}

function reveal() {
  const item = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!item) return;
  if (item.classList.contains("state")) {
    choose(item);
  } else {
    for (let around = item; around; around = around.parentElement) if (around.tagName === "DETAILS") around.open = true;
  }
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
