// Keys for a queue (j, k, Enter on the focused account, / for the search), and what is read out
// while a part of the page is being fetched. Everything works without this file.
"use strict";

function typing(target) {
  return target.closest("input, select, textarea, [contenteditable]") !== null;
}

function move(step) {
  const links = [...document.querySelectorAll("#results .row-link")];
  if (links.length === 0) return false;
  const now = links.indexOf(document.activeElement);
  const next = now < 0 ? (step > 0 ? 0 : links.length - 1) : now + step;
  const link = links[Math.min(Math.max(next, 0), links.length - 1)];
  link.focus();
  link.closest("tr").scrollIntoView({ block: "nearest" });
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const search = document.getElementById("q");
  if (event.key === "Escape" && event.target === search) search.blur();
  if (typing(event.target)) return;
  let used = false;
  if (event.key === "j") used = move(1);
  if (event.key === "k") used = move(-1);
  if (event.key === "/" && search) {
    search.focus();
    search.select();
    used = true;
  }
  if (used) event.preventDefault();
});

// The way back from an account leads to the part of the queue that was left.
addEventListener("pagehide", () => {
  if (document.getElementById("filters")) sessionStorage.setItem(location.pathname, location.search);
});
document.addEventListener("DOMContentLoaded", () => {
  for (const back of document.querySelectorAll(".crumb a")) {
    back.search = sessionStorage.getItem(back.pathname) ?? back.search;
  }
});

// A slider says where it stands while the model is being asked.
document.addEventListener("input", (event) => {
  if (event.target.type !== "range") return;
  const told = event.target.parentElement.querySelector("output");
  const share = told.textContent.includes("%");
  const value = Number(event.target.value) * (share ? 100 : 1);
  told.textContent = `${value.toLocaleString("en", { maximumFractionDigits: 1 })}${share ? " %" : ""}`;
});

document.addEventListener("htmx:beforeRequest", () => {
  document.getElementById("results")?.setAttribute("aria-busy", "true");
});

// The pages of a queue leave empty fields out of the address, as the links do.
document.addEventListener("htmx:configRequest", (event) => {
  for (const [name, value] of [...event.detail.formData.entries()]) {
    if (value === "") event.detail.formData.delete(name);
  }
});

for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(failure, () => {
    const results = document.getElementById("results");
    if (!results) return;
    results.removeAttribute("aria-busy");
    const told = results.querySelector("[role=status]");
    told.textContent = "The service did not answer. What is shown is from before; try again.";
    told.classList.add("refused");
  });
}
