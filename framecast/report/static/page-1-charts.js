"use strict";
// Line charts in SVG, drawn at the width they have, with values under the pointer. No library.
const NS = "http://www.w3.org/2000/svg";
const data = JSON.parse(document.getElementById("data").textContent);
const hidden = new Set();

function make(name, attributes = {}, text = "") {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== "") node.textContent = text;
  return node;
}

function html(name, className = "", text = "") {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== "") node.textContent = text;
  return node;
}

function colour(label) {
  return label in data.series ? `var(--c${data.series[label] % 7})` : "var(--copy)";
}

// From the second round of colours on, lines are broken, so that no two look alike.
function dash(label) {
  return ["", "7 4", "2 3", "9 3 2 3"][Math.min(3, Math.floor((data.series[label] || 0) / 7))];
}

function swatch(label) {
  const dot = html("i", "swatch");
  dot.style.background = colour(label);
  return dot;
}

function number(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-4) return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e").replace("-", "−").replace("e-", "e−");
  return String(+value.toPrecision(4)).replace("-", "−");
}

function ticks(low, high, count, whole = false) {
  const raw = (high - low) / Math.max(1, count), power = 10 ** Math.floor(Math.log10(raw || 1));
  let step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw) || power;
  if (whole) step = Math.max(1, Math.round(step));
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-6; k++) found.push(+(k * step).toPrecision(10));
  return found.length < 3 && count < 12 ? ticks(low, high, count * 2, whole) : found;
}

function logTicks(low, high) {
  const wide = high / low > 300, found = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++)
    for (const m of wide ? [1] : [1, 2, 5]) if (m * 10 ** e >= low * 0.999 && m * 10 ** e <= high * 1.001) found.push(m * 10 ** e);
  if (found.length <= 6) return found;
  const every = Math.ceil(found.length / 6);
  return found.filter((_, k) => k % every === 0);
}

function limits(values, log) {
  let low = Infinity, high = -Infinity;
  for (const v of values) { if (v < low) low = v; if (v > high) high = v; }
  if (log) return [Math.max(low, high / 1e5) / 1.15, high * 1.15];
  const margin = 0.06 * (high - low || Math.abs(high) || 1);
  return [low - margin, high + margin];
}

/* spec: series [{label, points [[x, y]], kind, order}], x {label, whole}, y {label, log, limits}, height, title,
   left, digits, pick(x), cursor. A `width` shows a line under those that run over it. `kind`: "", "faint", "behind", "copy", "planned". */
function chart(host, spec) {
  const state = { cursor: null, x: null };
  const tip = html("div", "tip");
  tip.hidden = true;
  let picture = null, scale = null, line = null, hover = null;

  function draw() {
    const width = Math.max(260, host.clientWidth || 640), height = spec.height || 240;
    const shown = spec.series.filter((s) => s.points.length && !hidden.has(s.label));
    const box = { left: 52, right: 10, top: spec.title ? 26 : 10, bottom: 40 };
    const all = shown.flatMap((s) => s.points);
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${spec.title || spec.y.label} over ${spec.x.label}` });
    if (spec.title) svg.append(make("text", { x: 0, y: 13, class: "title" }, spec.title));
    const ys = all.map((p) => p[1]).filter(Number.isFinite);
    if (!ys.length) {
      svg.append(make("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "nothing to draw"));
      host.replaceChildren(svg, tip);
      scale = null;
      return;
    }
    const positive = ys.filter((v) => v > 0);
    const log = spec.y.log && positive.length && Math.min(...ys) >= 0 && Math.max(...positive) > 10 * Math.min(...positive);
    const [y0, y1] = spec.y.limits || limits(log ? positive : ys, log);
    const xs = all.map((p) => p[0]), x0 = spec.x.from ?? Math.min(...xs), x1 = Math.max(spec.x.to ?? Math.max(...xs), x0 + 1e-9);
    const marks = (log ? logTicks(y0, y1) : ticks(y0, y1, height < 180 ? 3 : 5));
    box.left = Math.max(34, 12 + 7 * Math.max(...marks.map((v) => number(v).length)));
    if (spec.y.label) box.left += 16;
    box.left = spec.left || box.left;  // panels below each other begin at one place
    const X = (x) => box.left + ((x - x0) / (x1 - x0)) * (width - box.left - box.right);
    const part = log ? (y) => Math.log(Math.max(y, y0) / y0) / Math.log(y1 / y0) : (y) => (y - y0) / (y1 - y0 || 1);
    const Y = (y) => height - box.bottom - part(y) * (height - box.top - box.bottom);
    for (const v of marks) {
      svg.append(make("line", { x1: box.left, x2: width - box.right, y1: Y(v), y2: Y(v), class: "rule" }));
      svg.append(make("text", { x: box.left - 7, y: Y(v) + 4, "text-anchor": "end" }, number(v)));
    }
    svg.append(make("line", { x1: box.left, x2: width - box.right, y1: height - box.bottom, y2: height - box.bottom, class: "axis" }));
    for (const v of ticks(x0, x1, Math.max(2, (width - box.left) / 70), spec.x.whole))
      svg.append(make("text", { x: X(v), y: height - box.bottom + 17, "text-anchor": X(v) > width - 30 ? "end" : "middle" }, number(v)));
    svg.append(make("text", { x: (box.left + width) / 2, y: height - 5, "text-anchor": "middle" }, spec.x.label));
    if (spec.y.label) svg.append(make("text", { x: 11, y: (height + box.top - box.bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 11 ${(height + box.top - box.bottom) / 2})` }, spec.y.label));
    for (const s of [...shown].sort((a, b) => (a.order || 0) - (b.order || 0))) {
      let path = "", pen = "M";
      for (const [x, y] of s.points) {
        if (!Number.isFinite(y)) { pen = "M"; continue; }
        path += `${pen}${X(x).toFixed(1)} ${Y(y).toFixed(1)}`;
        pen = "L";
      }
      const style = { d: path, class: `plot ${s.kind || ""}`, stroke: "currentColor" };
      if (dash(s.label) && s.kind !== "copy") style["stroke-dasharray"] = dash(s.label);
      const drawn = make("path", style);
      drawn.style.color = colour(s.label);
      if (s.width) drawn.style.strokeWidth = s.width;
      svg.append(drawn);
      if (s.points.length === 1) { const dot = make("circle", { cx: X(s.points[0][0]), cy: Y(s.points[0][1]), r: 3.5, fill: "currentColor" }); dot.style.color = colour(s.label); svg.append(dot); }
    }
    hover = make("line", { y1: box.top, y2: height - box.bottom, class: "hover", visibility: "hidden" });
    line = make("line", { y1: box.top, y2: height - box.bottom, class: "cursor", visibility: "hidden" });
    svg.append(hover, line);
    picture = svg;
    scale = { X, x0, x1, left: box.left, inner: width - box.left - box.right, width, shown };
    host.replaceChildren(svg, tip);
    if (state.cursor !== null) api.cursor(state.cursor);
  }

  function at(event) {
    const place = picture.getBoundingClientRect(), zoom = scale.width / place.width;
    const x = scale.x0 + (((event.clientX - place.left) * zoom - scale.left) / scale.inner) * (scale.x1 - scale.x0);
    return Math.min(scale.x1, Math.max(scale.x0, x));
  }

  function nearest(points, x) {
    let low = 0, high = points.length - 1;
    while (high - low > 1) { const middle = (low + high) >> 1; if (points[middle][0] > x) high = middle; else low = middle; }
    return Math.abs(points[low][0] - x) <= Math.abs(points[high][0] - x) ? points[low] : points[high];
  }

  function show(event) {
    if (!scale) return;
    const x = at(event);
    const lines = scale.shown.filter((s) => s.kind !== "faint" && s.kind !== "planned");
    if (!lines.length) return;
    const shownAt = spec.x.whole && lines[0].points.length > 1 ? nearest(lines[0].points, x)[0] : x;
    hover.setAttribute("x1", scale.X(shownAt));
    hover.setAttribute("x2", scale.X(shownAt));
    hover.setAttribute("visibility", "visible");
    tip.replaceChildren(html("div", "", `${spec.x.short || spec.x.label} ${number(Math.round(shownAt))}`));
    for (const s of lines) {
      const row = html("div"), found = (s.exact || s.points), [px, py] = nearest(found, x);
      if (px > x && px > found[0][0] * 1.02 + 1 && x > found[found.length - 1][0]) continue;
      row.append(swatch(s.label), html("span", "", s.label), html("b", "", spec.digits === undefined ? number(py) : py.toFixed(spec.digits)));
      tip.append(row);
    }
    tip.hidden = false;
    const right = scale.X(shownAt) < scale.width / 2;
    tip.style.left = right ? "auto" : `${scale.left}px`;
    tip.style.right = right ? "0" : "auto";
  }

  function leave() { tip.hidden = true; if (hover) hover.setAttribute("visibility", "hidden"); }

  host.addEventListener("pointermove", (event) => {
    if (spec.pick) { if (event.buttons && scale) spec.pick(at(event)); }
    else show(event);
  });
  host.addEventListener("pointerdown", (event) => {
    if (spec.pick && scale) { host.setPointerCapture(event.pointerId); spec.pick(at(event)); } else show(event);
  });
  host.addEventListener("pointerleave", leave);
  const api = {
    draw,
    set(next) { Object.assign(spec, next); draw(); },
    cursor(x) {
      state.cursor = x;
      if (!scale) return;
      line.setAttribute("x1", scale.X(x));
      line.setAttribute("x2", scale.X(x));
      line.setAttribute("visibility", "visible");
    },
  };
  let before = 0;
  new ResizeObserver(() => { if (host.clientWidth !== before) { before = host.clientWidth; draw(); } }).observe(host);
  draw();
  return api;
}

// Running mean of an odd window, narrower at the ends, so that it starts and stops with the series.
function smooth(values, window) {
  const half = window >> 1, sums = [0];
  for (const v of values) sums.push(sums[sums.length - 1] + v);
  return values.map((_, k) => {
    const h = Math.min(half, k, values.length - 1 - k);
    return (sums[k + h + 1] - sums[k - h]) / (2 * h + 1);
  });
}

function legend(host, labels, redraw) {
  for (const label of labels) {
    const button = html("button");
    button.type = "button";
    button.setAttribute("aria-pressed", String(!hidden.has(label)));
    button.append(swatch(label), label);
    button.addEventListener("click", () => {
      if (hidden.has(label)) hidden.delete(label); else hidden.add(label);
      document.querySelectorAll(".legend button").forEach((other) => {
        if (other.textContent === label) other.setAttribute("aria-pressed", String(!hidden.has(label)));
      });
      charts.forEach((c) => c.draw());
    });
    host.append(button);
  }
}
const charts = [];
