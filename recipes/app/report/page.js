// Search fields, links into closed parts, and areas that scroll by keyboard. The page reads without any of it.
"use strict";
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// A search field of `data-search="ID"` hides what does not hold its words, and opens the parts that do.
for (const field of all("[data-search]")) {
  const area = document.getElementById(field.dataset.search);
  const entries = all("[data-entry]", area).map((entry) => [entry, entry.textContent.toLowerCase()]);
  const parts = all("details[data-part]", area);
  const said = document.getElementById(field.dataset.search + "-found");
  const wasOpen = new Map(parts.map((part) => [part, part.open]));
  let waiting = 0;
  const search = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const [entry, text] of entries) {
      entry.hidden = !words.every((word) => text.includes(word));
      found += !entry.hidden;
    }
    for (const part of parts) {
      const holds = all("[data-entry]:not([hidden])", part).length > 0;
      part.hidden = !holds;
      part.open = words.length ? holds : wasOpen.get(part);
    }
    said.textContent = words.length ? `${found.toLocaleString("en")} of ${entries.length.toLocaleString("en")}` : "";
  };
  field.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(search, 120); });
  field.closest(".search").hidden = false;
}

// A link to a closed part opens it.
const openTarget = () => {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  if (target) target.scrollIntoView();
};
addEventListener("hashchange", openTarget);
openTarget();

// What is wider than its place scrolls, and is reached by the keyboard.
const scrolling = () => {
  for (const area of all(".scroll, .wide, figure, nav")) {
    if (area.scrollWidth > area.clientWidth + 1) area.tabIndex = 0;
    else area.removeAttribute("tabindex");
  }
};
addEventListener("resize", scrolling);
addEventListener("toggle", scrolling, true);
scrolling();
