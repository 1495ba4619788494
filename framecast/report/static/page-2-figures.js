"use strict";
// The figures that stand still: scores, PSNR of every frame, training, KL of each dimension.
document.querySelectorAll("i.swatch[data-series]").forEach((dot) => { dot.style.background = colour(dot.dataset.series); });

function frames(line) { return line.psnr.map((v, k) => [k + 1, v]); }

// What leaves the scale (an exact copy scores 100 dB) is cut, so that the rest can be told apart.
function decibels(lines) {
  const values = lines.flatMap((line) => line.psnr).filter((v) => v < 99);
  return values.length ? limits(values, false) : [0, 100];
}

function whiskers(host, rows) {
  const draw = () => {
    const width = Math.max(260, host.clientWidth), narrow = width < 560, high = narrow ? 44 : 30, height = rows.length * high + 34;
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Mean PSNR with its interval" });
    const left = narrow ? 6 : Math.min(width * 0.42, 20 + 7.4 * Math.max(...rows.map((r) => r.label.length)));
    const values = rows.flatMap((r) => [r.mean, r.low ?? r.mean, r.high ?? r.mean]);
    const [x0, x1] = limits(values, false), X = (v) => left + 14 + ((v - x0) / (x1 - x0)) * (width - left - 70);
    for (const v of ticks(x0, x1, Math.max(2, width / 140))) {
      svg.append(make("line", { x1: X(v), x2: X(v), y1: 2, y2: height - 32, class: "rule" }));
      svg.append(make("text", { x: X(v), y: height - 19, "text-anchor": "middle" }, number(v)));
    }
    svg.append(make("text", { x: (left + width) / 2, y: height - 3, "text-anchor": "middle" }, "PSNR (dB), higher is better"));
    rows.forEach((row, k) => {
      const y = k * high + (narrow ? 30 : 16), group = make("g");
      group.style.color = colour(row.label);
      const most = Math.floor((narrow ? width : left) / 7.4), label = row.label.length > most ? `${row.label.slice(0, most - 1)}…` : row.label;
      svg.append(make("text", { x: narrow ? 0 : left, y: narrow ? y - 14 : y + 4, "text-anchor": narrow ? "start" : "end", class: "value" }, label));
      if (row.low !== null) group.append(make("line", { x1: X(row.low), x2: X(row.high), y1: y, y2: y, stroke: "currentColor", "stroke-width": 3, "stroke-linecap": "round", opacity: 0.45 }));
      group.append(make("circle", { cx: X(row.mean), cy: y, r: 5, fill: "currentColor" }));
      svg.append(group, make("text", { x: X(Math.max(row.mean, row.high ?? row.mean)) + 10, y: y + 4, class: "value" }, row.mean.toFixed(2)));
    });
    host.replaceChildren(svg);
  };
  let before = 0;
  new ResizeObserver(() => { if (host.clientWidth !== before) { before = host.clientWidth; draw(); } }).observe(host);
  draw();
}

document.querySelectorAll('[data-chart="whiskers"]').forEach((host) => whiskers(host, data.groups[host.dataset.group].whiskers));

document.querySelectorAll('[data-chart="frames"]').forEach((host) => {
  const group = data.groups[host.dataset.group], longest = Math.max(...group.lines.map((l) => l.psnr.length));
  const window = longest <= 150 ? 1 : 2 * Math.floor(longest / 60) + 1;
  const series = [];
  group.lines.forEach((line, k) => {
    const points = frames(line), order = line.copy ? 0 : 100 - k;
    if (window > 1 && !line.copy && group.lines.length <= 5) series.push({ label: line.label, points, kind: "faint", order: 1 });
    const soft = smooth(line.psnr, window);
    series.push({ label: line.label, points: points.map(([x], i) => [x, soft[i]]), exact: points, kind: line.copy ? "copy" : "", order });
  });
  const label = "predicted frame" + (window > 1 ? ` (lines: mean of ${window} frames)` : "");
  legend(document.querySelector(`[data-legend="${host.dataset.group}"]`), group.lines.map((l) => l.label));
  charts.push(chart(host, { series, x: { label, short: "frame", whole: true, from: 1 }, y: { label: "PSNR (dB)", limits: decibels(group.lines) }, height: 320, digits: 2 }));
});

const PANELS = [
  ["total", "Total loss", data.unit, true], ["reconstruction", "Reconstruction", data.unit, true],
  ["kl", "KL, raw", "nats per frame", true], ["kl_weighted", "KL, weighted (β · KL)", data.unit, true],
  ["beta", "β", "weight", false], ["tfr", "Teacher forcing ratio", "share", false],
  ["psnr", "PSNR in training", "dB", false], ["val", "PSNR of validation, free running", "dB", false],
];
document.querySelectorAll('[data-chart="training"]').forEach((host) => {
  const to = Math.max(...data.training.flatMap((run) => PANELS.flatMap(([key]) => run[key].map((p) => p[0]))));
  for (const [key, title, unit, log] of PANELS) {
    if (!data.training.some((run) => run[key].length)) continue;
    const place = html("div", "chart"), series = [];
    host.append(place);
    data.training.forEach((run, k) => {
      if (key !== "beta" && key !== "tfr") { series.push({ label: run.label, points: run[key] }); return; }
      const done = run[key].filter((p) => p[0] <= run.last), planned = run[key].slice(Math.max(0, done.length - 1));
      const width = 1.6 + Math.min(1.4, 6 / data.training.length) * (data.training.length - 1 - k);
      series.push({ label: run.label, points: done, width });
      if (planned.length > 1) series.push({ label: run.label, points: planned, kind: "planned" });
    });
    const y = { label: unit, log };
    if (key === "tfr") y.limits = [-0.06, 1.06];
    charts.push(chart(place, { series, title, x: { label: "training step", short: "step", from: 0, to }, y, height: 210, left: 72 }));
  }
  legend(document.querySelector('[data-legend="training"]'), data.training.map((run) => run.label));
});

document.querySelectorAll('[data-chart="latent"]').forEach((host) => {
  const seen = data.latents[host.dataset.latent], most = Math.max(...data.latents.flatMap((l) => l.kl), 1e-9);
  const draw = () => {
    const width = Math.max(240, host.clientWidth), height = 150, left = 62, inner = (width - left - 4) / seen.kl.length;
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "KL of each latent dimension" });
    for (const v of ticks(0, most, 3)) {
      const y = 112 - (v / most) * 104;
      svg.append(make("line", { x1: left, x2: width, y1: y, y2: y, class: "rule" }), make("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, number(v)));
    }
    seen.kl.forEach((v, k) => {
      const bar = make("rect", { x: left + inner * (k + 0.1), width: inner * 0.8, y: 112 - (v / most) * 104, height: Math.max(0.5, (v / most) * 104), fill: "currentColor" });
      bar.style.color = colour(seen.label);
      bar.append(make("title", {}, `dimension ${k}: ${number(v)} nats per frame`));
      svg.append(bar);
      if (seen.kl.length <= 16 || k % Math.ceil(seen.kl.length / 10) === 0) svg.append(make("text", { x: left + inner * (k + 0.5), y: 128, "text-anchor": "middle" }, String(k)));
    });
    svg.append(make("text", { x: (left + width) / 2, y: 146, "text-anchor": "middle" }, "latent dimension"));
    svg.append(make("text", { x: 10, y: 60, "text-anchor": "middle", transform: "rotate(-90 10 60)" }, "nats per frame"));
    host.replaceChildren(svg);
  };
  new ResizeObserver(draw).observe(host);
  draw();
});

window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
