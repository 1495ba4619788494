"use strict";
// Truth, prediction and error of any frame, and the PSNR curve that the frame runs along. A film is one picture (a sheet).
const pictures = new Map();

function picture(key) {
  if (!pictures.has(key)) {
    const image = new Image();
    pictures.set(key, new Promise((done, failed) => { image.onload = () => done(image); image.onerror = failed; image.src = data.sheets[key]; }));
  }
  return pictures.get(key);
}

function canvasOf(film) {
  const canvas = document.createElement("canvas");
  [canvas.height, canvas.width] = film.size;
  return canvas;
}

function paint(canvas, image, film, frame) {
  const [h, w] = film.size;
  canvas.getContext("2d", { willReadFrequently: true }).drawImage(image, w * (frame % film.columns), h * Math.floor(frame / film.columns), w, h, 0, 0, w, h);
}

const inferno = Uint8Array.from(data.inferno.match(/../g) || [], (pair) => parseInt(pair, 16));

function paintError(canvas, one, two) {
  const [w, h] = [canvas.width, canvas.height], options = { willReadFrequently: true };
  const a = one.getContext("2d", options).getImageData(0, 0, w, h).data, b = two.getContext("2d", options).getImageData(0, 0, w, h).data;
  const out = new ImageData(w, h);
  for (let k = 0; k < a.length; k += 4) {
    const mean = (Math.abs(a[k] - b[k]) + Math.abs(a[k + 1] - b[k + 1]) + Math.abs(a[k + 2] - b[k + 2])) / 3;
    const index = 3 * Math.min(255, Math.round(mean * data.gain));
    for (let c = 0; c < 3; c++) out.data[k + c] = inferno[index + c];
    out.data[k + 3] = 255;
  }
  canvas.getContext("2d").putImageData(out, 0, 0);
}

function pane(host, canvas, name, label) {
  const box = html("figure", "pane"), caption = html("figcaption"), title = html("span"), value = html("b");
  if (label) title.append(swatch(label));
  title.append(name);
  caption.append(title, value);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", name);
  box.append(canvas, caption);
  host.append(box);
  return value;
}

const player = document.getElementById("player");
if (player && data.films.length) {
  const find = (id) => document.getElementById(id);
  const [setting, sequence, panes, play, scrub, where] = ["setting", "sequence", "panes", "play", "scrub", "where"].map(find);
  const ALL = "\u0000all";
  let film = null, drawFrame = () => {}, frame = 0, timer = 0, load = 0;
  const id = (f) => `${f.group}/${f.name}`;
  const mean = (f) => f.psnr.reduce((a, b) => a + b, 0) / f.psnr.length;
  const labels = [...new Set(data.films.map((f) => f.label))];

  function option(select, value, text) {
    const item = html("option", "", text);
    item.value = value;
    select.append(item);
  }
  for (const label of labels) option(setting, label, label);
  if (labels.length > 1) option(setting, ALL, "all side by side");

  function offered() {
    const own = data.films.filter((f) => setting.value === ALL || f.label === setting.value);
    const order = own.map((f) => Number(f.name)).every(Number.isFinite) ? (a, b) => Number(a.name) - Number(b.name) : () => 0;
    return [...new Map(own.map((f) => [id(f), f])).values()].sort(order);
  }
  function fill() {
    const before = sequence.value, films = offered();
    sequence.replaceChildren();
    for (const f of films) option(sequence, id(f), setting.value === ALL ? f.name : `${f.name} · ${mean(f).toFixed(2)} dB${f.tag && f.tag !== "only" ? ` · ${f.tag}` : ""}`);
    sequence.value = films.some((f) => id(f) === before) ? before : id(films.find((f) => f.tag === "best") || films[0]);
  }

  const curve = chart(find("curve"), { series: [], x: { label: "predicted frame", short: "frame", whole: true, from: 1 }, y: { label: "PSNR (dB)" }, height: 170, digits: 2, pick: (x) => go(Math.round(x) - 1) });
  charts.push(curve);

  async function open() {
    const token = ++load, shown = data.films.filter((f) => id(f) === sequence.value), many = setting.value === ALL;
    const chosen = many ? shown : shown.filter((f) => f.label === setting.value);
    film = chosen[0];
    const images = await Promise.all([film.truth, ...chosen.map((f) => f.prediction)].map(picture));
    if (token !== load) return;
    panes.replaceChildren();
    panes.className = `panes${many ? " many" : ""}${film.size[1] >= 1.5 * film.size[0] ? " wide" : ""}`;
    const rows = Math.ceil((chosen.length + 1) / 4);
    panes.style.setProperty("--columns", Math.ceil((chosen.length + 1) / rows));
    const truth = canvasOf(film), drawn = chosen.map(canvasOf);
    pane(panes, truth, "truth");
    const values = chosen.map((f, k) => pane(panes, drawn[k], many ? f.label : "prediction", f.label));
    const error = many ? null : canvasOf(film);
    if (error) pane(panes, error, `error × ${data.gain}`);
    drawFrame = () => {
      paint(truth, images[0], film, frame);
      chosen.forEach((f, k) => {
        paint(drawn[k], images[k + 1], f, Math.min(frame, f.frames - 1));
        values[k].textContent = `${f.psnr[Math.min(frame, f.frames - 1)].toFixed(2)} dB`;
      });
      if (error) paintError(error, truth, drawn[0]);
    };
    scrub.max = film.frames - 1;
    const top = chosen.map((f) => f.label);
    const series = shown.map((f) => ({ label: f.label, points: frames(f), kind: top.includes(f.label) ? "" : "behind", order: top.includes(f.label) ? 1 : 0 }));
    curve.set({ series, y: { label: "PSNR (dB)", limits: decibels(shown) } });
    go(Math.min(frame, film.frames - 1));
  }

  function go(to) {
    frame = Math.max(0, Math.min(film.frames - 1, to));
    scrub.value = frame;
    const fps = data.groups[film.group].fps, time = fps ? ` · ${((frame + 1) / fps).toFixed(1)} s` : "";
    where.textContent = `${frame + 1} of ${film.frames}${time}`;
    scrub.setAttribute("aria-valuetext", `frame ${where.textContent}`);
    curve.cursor(frame + 1);
    drawFrame();
  }

  function run(on) {
    cancelAnimationFrame(timer);
    timer = 0;
    play.textContent = on ? "❚❚" : "▶";
    play.setAttribute("aria-label", on ? "Pause" : "Play");
    if (!on) return;
    if (frame >= film.frames - 1) go(0);
    const fps = data.groups[film.group].fps || 25, begun = performance.now(), from = frame;
    const step = (now) => {
      const next = from + Math.floor(((now - begun) / 1000) * fps);
      if (next !== frame) go(next);
      if (next >= film.frames - 1) run(false); else timer = requestAnimationFrame(step);
    };
    timer = requestAnimationFrame(step);
  }

  play.addEventListener("click", () => run(!timer));
  scrub.addEventListener("input", () => { run(false); go(Number(scrub.value)); });
  setting.addEventListener("change", () => { run(false); fill(); open(); });
  sequence.addEventListener("change", () => { run(false); open(); });
  const keys = { ArrowLeft: () => go(frame - 1), ArrowRight: () => go(frame + 1), Home: () => go(0), End: () => go(film.frames - 1) };
  document.addEventListener("keydown", (event) => {
    const inside = player.contains(event.target) || event.target === document.body;
    if (!inside || event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    if (event.key === " " && event.target !== play) { event.preventDefault(); run(!timer); }
    else if (event.key in keys && event.target !== scrub) { event.preventDefault(); run(false); keys[event.key](); }
  });

  window.openFilm = (f) => { setting.value = f.label; fill(); sequence.value = id(f); run(false); open(); player.scrollIntoView({ behavior: "smooth", block: "start" }); player.focus({ preventScroll: true }); };
  fill();
  open().then(() => { document.body.dataset.player = "ready"; });
}

async function strip(host, film) {
  const [truth, prediction] = await Promise.all([picture(film.truth), picture(film.prediction)]);
  const narrow = host.clientWidth < 560, wide = film.size[1] / film.size[0] >= 1.5;
  const count = Math.min(film.frames, narrow ? (wide ? 4 : 5) : 8);
  const times = Array.from({ length: count }, (_, k) => Math.round((k * (film.frames - 1)) / Math.max(1, count - 1)));
  const box = html("div", "strip"), title = html("h3"), cells = html("div", "cells"), open = html("button", "", "play");
  const average = film.psnr.reduce((a, b) => a + b, 0) / film.psnr.length;
  open.type = "button";
  open.addEventListener("click", () => window.openFilm(film));
  const name = html("span");
  name.append(swatch(film.label), film.label);
  title.append(name, html("small", "quiet", `${film.tag ? `${film.tag} ` : ""}sequence ${film.name}, ${average.toFixed(2)} dB`), open);
  cells.style.gridTemplateColumns = `repeat(${count}, 1fr)`;
  const columns = times.map((t) => {
    const one = canvasOf(film), two = canvasOf(film), error = canvasOf(film);
    paint(one, truth, film, t);
    paint(two, prediction, film, t);
    paintError(error, one, two);
    return [one, two, error];
  });
  times.forEach((t, k) => cells.append(html("span", "", k ? String(t + 1) : `frame ${t + 1}`)));
  for (const row of [0, 1, 2]) for (const column of columns) cells.append(column[row]);
  box.append(title, cells);
  host.append(box);
}

const strips = document.getElementById("strips");
if (strips) {
  (async () => {
    const labels = Object.keys(data.series);
    const chosen = data.films.filter((f) => f.tag).sort((a, b) => labels.indexOf(a.label) - labels.indexOf(b.label) || (a.tag < b.tag ? -1 : 1));
    for (const film of chosen) await strip(strips, film);
    document.body.dataset.strips = "ready";
  })();
}
