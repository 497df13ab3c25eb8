// What the pages do beyond showing: filters of the scorecard, and ways in for a keyboard and for a screen reader.
// Without it every claim is shown.
"use strict";

function filterClaims(form) {
  const badges = [...document.querySelectorAll(".verdict[data-paper]")];
  const sections = new Map(badges.map((badge) => [badge.dataset.paper, badge.closest("section")]));
  const folded = new Set(badges.map((badge) => badge.closest("details")).filter(Boolean));
  const tables = new Set(badges.map((badge) => badge.closest("table")));
  const status = form.querySelector("output");

  const words = {
    paper: (key) => sections.get(key).querySelector("h2").firstChild.textContent,
    verdict: (key) => badges.find((badge) => badge.dataset.verdict === key).textContent,
  };
  for (const [name, word] of Object.entries(words)) {
    for (const key of new Set(badges.map((badge) => badge.dataset[name]))) {
      form.elements[name].add(new Option(word(key), key));
    }
  }

  function show() {
    const wanted = Object.keys(words).map((name) => [name, form.elements[name].value]);
    let shown = 0;
    for (const badge of badges) {
      const fits = wanted.every(([name, value]) => !value || badge.dataset[name] === value);
      badge.closest("tr").hidden = !fits;
      shown += fits;
    }
    for (const table of tables) {
      const empty = !table.querySelector("tbody tr:not([hidden])");
      const box = table.closest(".pst-scrollable-table-container") ?? table;
      box.hidden = empty;
      // the reason that all of its rows have
      if (box.previousElementSibling?.matches("p")) box.previousElementSibling.hidden = empty;
    }
    // what was asked for is to be seen where it stands folded, too
    const asked = wanted.some(([, value]) => value);
    for (const part of folded) {
      const some = part.querySelector("tbody tr:not([hidden])");
      part.hidden = !some;
      part.open = Boolean(asked && some);
    }
    for (const section of sections.values()) {
      section.hidden = !section.querySelector("tbody tr:not([hidden])");
    }
    status.value = `${shown} of ${badges.length} rows`;
    const query = new URLSearchParams(wanted.filter(([, value]) => value)).toString();
    history.replaceState(null, "", (query ? `?${query}` : location.pathname) + location.hash);
  }

  const asked = new URLSearchParams(location.search);
  for (const name of Object.keys(words)) {
    form.elements[name].value = asked.get(name) ?? "";
    if (form.elements[name].selectedIndex < 0) form.elements[name].value = "";
  }
  form.addEventListener("change", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  // the fields are empty only after the event
  form.addEventListener("reset", () => setTimeout(show));
  form.hidden = false;
  show();
}

function reachWhatScrolls() {
  const boxes = ".pst-scrollable-table-container, .cell_output .output, .formula-block, .highlight pre, .bd-article pre";
  for (const box of document.querySelectorAll(boxes)) {
    if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

// A button is called by the words that it shows, not by others that the theme has for it; what is titled only, by its title.
function nameByWords() {
  for (const button of document.querySelectorAll("summary[aria-label], button[aria-label]")) {
    if (button.innerText.trim()) button.removeAttribute("aria-label");
  }
  for (const toggle of document.querySelectorAll(".has-children > details > summary")) {
    toggle.setAttribute("aria-label", `Pages below ${toggle.closest("li").querySelector("a").innerText}`);
  }
  for (const icon of document.querySelectorAll(".theme-switch[title]")) {
    icon.setAttribute("aria-hidden", "true");
    icon.removeAttribute("title");
  }
  for (const entry of document.querySelectorAll(".citation-list > .citation")) entry.setAttribute("role", "listitem");
}

// What a link leads to is to be seen, also where it stands folded.
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target?.closest("details")) return;
  for (let part = target.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  target.scrollIntoView();
}

// Where the book is published, a version a folder, the same page of another version is one choice away.
async function chooseVersion() {
  const root = new URL(document.documentElement.dataset.content_root ?? ".", location.href);
  const here = root.pathname.split("/").at(-2);
  if (!location.protocol.startsWith("http") || !/^(main|v\d.*)$/.test(here)) return;
  const answer = await fetch(new URL("../versions.json", root));
  if (!answer.ok) return;
  const choice = Object.assign(document.createElement("select"), { name: "version" });
  for (const version of new Set([here, ...(await answer.json())])) choice.add(new Option(version, version));
  const label = Object.assign(document.createElement("label"), { className: "versions", textContent: "Version " });
  label.append(choice);
  document.querySelector(".sidebar-primary-items__start").prepend(label);
  choice.addEventListener("change", async () => {
    const there = new URL(`../${choice.value}/`, root);
    const page = new URL(location.href.slice(root.href.length), there);
    // a page that the other version does not have leads to its first one
    location.assign((await fetch(page, { method: "HEAD" })).ok ? page : there);
  });
}

document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("filters");
  if (form) filterClaims(form);
  reachWhatScrolls();
  nameByWords();
  openTarget();
  chooseVersion();
});
window.addEventListener("hashchange", openTarget);
window.addEventListener("resize", reachWhatScrolls);
