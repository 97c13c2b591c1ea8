"use strict";
/* Reads values off the curves, and looks for a newer page without closing what is open. */
function nice(v) {
  const size = Math.abs(v);
  return size >= 100 ? Math.round(v).toLocaleString() : String(+v.toPrecision(3));
}
for (const svg of document.querySelectorAll("svg.chart")) {
  const lines = svg.querySelectorAll("polyline");
  const points = [...lines[lines.length - 1].points];
  const [left, top, right, bottom] = svg.dataset.box.split(" ").map(Number);
  const [lo, hi] = svg.dataset.y.split(" ").map(Number);
  const [xMin, xMax] = svg.dataset.x.split(" ").map(Number), isLog = svg.dataset.log === "1";
  const shown = svg.parentNode.querySelector("output"), last = shown ? shown.textContent : "";
  const here = document.createElementNS("http://www.w3.org/2000/svg", "path");
  here.setAttribute("class", "here");
  svg.append(here);
  svg.addEventListener("pointermove", (e) => {
    const box = svg.getBoundingClientRect();
    const x = (e.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
    let best = null;
    for (const p of points) if (!best || Math.abs(p.x - x) < Math.abs(best.x - x)) best = p;
    if (!best || !shown) return;
    const part = (bottom - best.y) / (bottom - top);
    const value = isLog ? Math.exp(Math.log(lo) + part * (Math.log(hi) - Math.log(lo)))
      : lo + part * (hi - lo);
    const step = Math.round(xMin + (best.x - left) / (right - left) * (xMax - xMin));
    shown.textContent = nice(value) + " at step " + step.toLocaleString();
    here.setAttribute("d", "M" + best.x + " " + top + "V" + bottom);
  });
  svg.addEventListener("pointerleave", () => {
    if (shown) shown.textContent = last;
    here.setAttribute("d", "");
  });
}
if (document.body.dataset.live === "1") {
  let key = "open:" + location.pathname, all = [...document.querySelectorAll("details")];
  try {
    const open = JSON.parse(sessionStorage.getItem(key) || "[]");
    for (const d of all) if (open.includes(d.id)) d.open = true;
  } catch (e) { /* a page from a file may have no storage: then they close */ }
  setInterval(() => {
    if (document.hidden || document.querySelector("svg.chart:hover")) return;
    try {
      sessionStorage.setItem(key, JSON.stringify(all.filter((d) => d.open).map((d) => d.id)));
    } catch (e) { /* as above */ }
    location.reload();
  }, 10000);
}
