// SPDX-License-Identifier: MIT
//
// What makes the flame graph move: style and script, placed into the file by flamegraph.cpp.
//
// Shared with it: every box is <g class="box" data-l="samples left of it" data-n="its samples"
// data-d="level"> with a <title> ("function", newline, the rest), a <rect> and a <text>; box 0 is
// everything; the page's data-unit says what samples are, and is empty if they are shares; the
// elements #command #subtitle #detail #matched #tools; margin 12, 6.9 per
// character (9.7 in the heading, whose whole text is its data-full), 330 for #tools.
#include <nmi/output/flamegraph.hpp>

namespace nmircu::command {

const char* const flamegraph_style = R"css(
svg { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 11.5px; }
svg { background: #fbfaf7; }
#page { fill: #fbfaf7; }
text { fill: #23262d; }
#command { font-size: 16px; font-weight: 600; }
#subtitle { fill: #5d6370; }
#detail { fill: #9a3412; }
#matched { fill: #7c2fa3; }
.note { fill: #5d6370; font-size: 10.5px; }
#legend text { fill: #5d6370; }
.box { cursor: pointer; }
.box text { pointer-events: none; }
.box rect { rx: 2px; }
.box:hover rect { stroke: #23262d; stroke-width: 1.2; }
.aside { opacity: 0.45; }
.match rect { fill: #d76df0; }
form { display: flex; gap: 6px; justify-content: flex-end; margin: 0; }
button, input { font: inherit; border: 1px solid #c6c9d1; border-radius: 4px; padding: 3px 7px;
  background: #fff; color: #23262d; }
button { visibility: hidden; cursor: pointer; }
button.on { visibility: visible; }
)css";

const char* const flamegraph_script = R"js(
"use strict";
(() => {
  const margin = 12, characterWidth = 6.9, headingCharacterWidth = 9.7, toolsWidth = 330;
  const page = document.querySelector("svg");
  const find = (id) => document.getElementById(id);
  const button = document.querySelector("button"), input = document.querySelector("input");

  const boxes = [...document.querySelectorAll(".box")].map((group) => {
    const [name, figures] = group.querySelector("title").textContent.split("\n");
    return {
      group, name, figures,
      rect: group.querySelector("rect"), text: group.querySelector("text"),
      left: +group.dataset.l, samples: +group.dataset.n, level: +group.dataset.d,
    };
  });
  const all = boxes[0];
  let focus = all;

  const holds = (outer, inner) => outer.level <= inner.level && outer.left <= inner.left &&
      inner.left + inner.samples <= outer.left + outer.samples;

  const label = (name, width, character = characterWidth) => {
    const room = Math.floor((width - 6) / character);
    if (room < 3) return "";
    const letters = [...name];
    return letters.length <= room ? name : letters.slice(0, room - 1).join("") + "…";
  };

  // The focused box takes the whole width, and so does what it stands on; the rest of its own tower
  // keeps its proportions; everything else goes.
  const lay = () => {
    const width = Math.max(480, page.parentNode.clientWidth || window.innerWidth || 1200);
    page.setAttribute("width", width);
    const room = width - 2 * margin, scale = room / Math.max(focus.samples, 1);
    for (const box of boxes) {
      const below = box !== focus && box.level < focus.level && holds(box, focus);
      const shown = below || holds(focus, box);
      box.group.style.display = shown ? "" : "none";
      box.group.classList.toggle("aside", below);
      if (!shown) continue;
      const x = below ? margin : margin + (box.left - focus.left) * scale;
      const wide = below ? room : box.samples * scale;
      box.rect.setAttribute("x", x.toFixed(2));
      box.rect.setAttribute("width", Math.max(wide - 0.4, 0.2).toFixed(2));
      box.text.setAttribute("x", (x + 3).toFixed(2));
      box.text.textContent = label(box.name, wide);
    }
    const command = find("command");
    command.textContent = label(command.dataset.full, room - toolsWidth, headingCharacterWidth);
    find("tools").setAttribute("x", width - margin - toolsWidth);
    find("matched").setAttribute("x", width - margin);
    button.classList.toggle("on", focus !== all);
  };

  const zoom = (box) => { focus = box; lay(); };

  // Samples under at least one match: matches inside a match are not counted again.
  const search = (wanted) => {
    const needle = wanted.trim().toLowerCase();
    let samples = 0;
    let inside = null;
    for (const box of boxes) {
      const hit = needle !== "" && box !== all && box.name.toLowerCase().includes(needle);
      box.group.classList.toggle("match", hit);
      if (!hit || (inside && holds(inside, box))) continue;
      inside = box;
      samples += box.samples;
    }
    const unit = page.dataset.unit;
    const count = unit === "" ? "" : `${samples.toLocaleString("en")} ${unit} · `;
    find("matched").textContent = needle === "" ? " " :
        `matched: ${count}${(100 * samples / Math.max(all.samples, 1)).toFixed(2)}%`;
  };

  for (const box of boxes) {
    box.group.addEventListener("click", () => zoom(box));
    box.group.addEventListener("mouseenter", () => {
      find("detail").textContent = `${box.name} · ${box.figures}`;
    });
    box.group.addEventListener("mouseleave", () => { find("detail").textContent = " "; });
  }
  button.addEventListener("click", () => zoom(all));
  input.addEventListener("input", () => search(input.value));
  input.form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("resize", lay);
  window.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      input.value = "";
      search("");
      zoom(all);
    } else if (event.key === "/" && document.activeElement !== input) {
      event.preventDefault();
      input.focus();
    }
  });
  lay();
})();
)js";

}  // namespace nmircu::command
