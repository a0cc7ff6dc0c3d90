// The page: reads the data, builds a row for each stem, and ties the player, the pictures and the keys together.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const say = (text) => ($("said").textContent = text);
const sounds = [...data.rows.map((row) => row.audio), data.mixture.audio];
const player = new Player(data.mixture.audio ? sounds : sounds.slice(0, -1), data.preview);
const state = { solo: new Set(), muted: new Set(), gains: data.rows.map(() => 0), original: false, masks: false };
const pictures = {}; // {mixture, rows, W, Z} as grey values; then {..., drawn} in colours
const canvases = []; // {canvas, draw} of all that lies on the time axis

view.whole = data.seconds;
showTimes(0, view.whole);

// ----- rows

const number = (value, digits, unit) => (typeof value === "number" ? `${value.toFixed(digits)}${unit}` : null);

function factsOf(row) {
  const pan = typeof row.pan !== "number" ? null : Math.abs(row.pan) < 0.05 ? "centre" : `${row.pan < 0 ? "left" : "right"} ${Math.round(100 * Math.abs(row.pan))}%`;
  const facts = [
    ["Level", number(row.level, 1, " dB")],
    ["Pitch", row.pitch ? `${row.pitch.name} (${number(row.pitch.hertz, 0, " Hz")})` : "no pitch"],
    ["Half of the energy lies below", number(row.centre, 0, " Hz")],
    ["Percussiveness: share of the level right after onsets", number(100 * row.percussiveness, 0, "% percussive")],
    ["Pan", pan],
    ["Share of the time in which it sounds", number(100 * row.activity, 0, "% of the time")],
  ];
  return facts.filter(([, text]) => text && !text.startsWith("NaN")).map(([title, textContent]) => element("span", { title, textContent }));
}

function addCanvas(parent, className, label, draw) {
  const canvas = element("canvas", { className });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  parent.append(canvas);
  canvases.push({ canvas, draw });
  return canvas;
}

function toggle(name, className, text, change) {
  const button = element("button", { type: "button", className, textContent: text });
  button.setAttribute("aria-label", name);
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", change);
  return button;
}

function buildRow(row, index) {
  const panel = element("div", { className: "panel" });
  const link = element("a", { href: row.href, textContent: "file" });
  link.setAttribute("aria-label", `File of ${row.name}`);
  panel.append(
    element("div", { className: "title" }, element("span", { className: "swatch" }), element("h2", { textContent: row.name }), link),
  );
  const solo = toggle(`Solo ${row.name}`, "solo", "S", () => flip(state.solo, index, "solo"));
  const mute = toggle(`Mute ${row.name}`, "mute", "M", () => flip(state.muted, index, "muted"));
  if (index < 9) solo.title = `Solo (${index + 1})`;
  const slider = element("input", { type: "range", min: -30, max: 12, step: 0.5, value: 0 });
  slider.setAttribute("aria-label", `Gain of ${row.name} in dB`);
  const shown = element("span", { textContent: "0.0 dB" });
  slider.addEventListener("input", () => {
    state.gains[index] = Number(slider.value);
    shown.textContent = `${state.gains[index].toFixed(1)} dB`;
    applyLevels();
  });
  slider.addEventListener("dblclick", () => {
    slider.value = 0;
    slider.dispatchEvent(new Event("input"));
  });
  panel.append(element("div", { className: "controls" }, solo, mute, element("label", { className: "gain" }, slider, shown)));
  panel.append(element("p", { className: "facts" }, ...factsOf(row).flatMap((fact) => [fact, " "])));
  for (const hint of data.hints.filter((text) => mentions(text, row.name))) {
    panel.append(element("p", { className: "hint", textContent: hint }));
  }
  const place = element("div", { className: "pictures" });
  const colour = () => stemColour(index);
  addCanvas(place, "wave", `Waveform of ${row.name}`, (canvas) => drawWave(canvas, { ...row, sound: soundOf(index) }, colour()));
  addCanvas(place, "small", `Spectrogram of ${row.name}`, (canvas) => {
    if (pictures.drawnRows) drawPicture(canvas, pictures.drawnRows[index]);
  });
  addCanvas(place, "strip", `When ${row.name} sounds`, (canvas) => drawStrip(canvas, row.levels, colour()));
  const made = element("div", { className: "row stem" }, panel, place);
  made.setAttribute("role", "group");
  made.setAttribute("aria-label", String(row.name));
  made.style.setProperty("--own", `var(--c${index % 8})`);
  Object.assign(row, { made, solo, mute });
  return made;
}

function mentions(text, name) {
  const at = String(text).indexOf(name);
  return at >= 0 && !/\d/.test(text[at + name.length] ?? "");
}

function flip(set, index, what) {
  if (!set.delete(index)) set.add(index);
  if (state.original) setOriginal(false);
  say(`${data.rows[index].name}: ${what} ${set.has(index) ? "on" : "off"}`);
  applyLevels();
}

// ----- what is heard

const isHeard = (index) => (state.solo.size ? state.solo.has(index) : !state.muted.has(index));

function applyLevels() {
  const levels = data.rows.map((_, index) => (isHeard(index) && !state.original ? 10 ** (state.gains[index] / 20) : 0));
  if (data.mixture.audio) levels.push(state.original ? 1 : 0);
  player.setLevels(levels, Number($("volume").value) ** 2);
  data.rows.forEach((row, index) => {
    row.solo.setAttribute("aria-pressed", state.solo.has(index));
    row.mute.setAttribute("aria-pressed", state.muted.has(index));
    row.made.classList.toggle("off", !isHeard(index));
  });
}

function setOriginal(on) {
  state.original = on && Boolean(data.mixture.audio);
  $("original").setAttribute("aria-pressed", state.original);
  $("stems").setAttribute("aria-pressed", !state.original);
  applyLevels();
}

function soundOf(index) {
  const buffer = player.buffers[index];
  const row = data.rows[index] ?? data.mixture;
  return buffer && { buffer, preview: data.preview, gain: row.waveScale * data.preview.gain };
}

async function playOrPause() {
  if (player.playing) player.pause();
  else {
    $("play").textContent = "…";
    await player.play();
  }
  showPlaying();
}

function showPlaying() {
  $("play").textContent = player.playing ? "Pause" : "Play";
  $("play").setAttribute("aria-pressed", player.playing);
  if (player.playing) requestAnimationFrame(follow);
  movePlayhead();
}

function follow() {
  if (!player.playing) return;
  const at = player.position();
  if (at > view.end || at < view.begin) {
    showTimes(at, at + view.end - view.begin);
    redraw();
  }
  movePlayhead();
  requestAnimationFrame(follow);
}

async function seek(seconds) {
  await player.seek(seconds);
  movePlayhead();
}

async function setLoop(on, region = player.region) {
  $("loop").setAttribute("aria-pressed", on);
  await player.repeat(on, region);
  say(on ? `Loop ${player.stretch().map((at) => asTime(at)).join(" to ")}` : "Loop off");
  movePlayhead();
}

// ----- pictures

function place(seconds) {
  const { left, width } = $("wave").getBoundingClientRect();
  return left - $("tracks").getBoundingClientRect().left - 1 + ((seconds - view.begin) / (view.end - view.begin)) * width;
}

const isSeen = (seconds) => seconds >= view.begin && seconds <= view.end;

function movePlayhead() {
  const at = player.position();
  $("playhead").hidden = !isSeen(at);
  $("playhead").style.left = `${place(at)}px`;
  $("clock").textContent = `${asTime(at)} / ${asTime(data.seconds)}`;
  const ruler = $("ruler");
  ruler.setAttribute("aria-valuemin", player.preview.begin.toFixed(1));
  ruler.setAttribute("aria-valuemax", player.end.toFixed(1));
  ruler.setAttribute("aria-valuenow", at.toFixed(1));
  ruler.setAttribute("aria-valuetext", asTime(at));
  showSpan($("region"), player.region, Boolean(player.region));
}

function showSpan(box, span, shown) {
  const [begin, end] = span ?? [0, 0];
  box.hidden = !shown || end < view.begin || begin > view.end;
  if (box.hidden) return;
  const [left, right] = [Math.max(begin, view.begin), Math.min(end, view.end)].map(place);
  box.style.left = `${left}px`;
  box.style.width = `${right - left}px`;
}

let pending = false;

function redraw() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    for (const { canvas, draw } of canvases) draw(canvas);
    showSpan($("shade"), [data.preview.begin + data.preview.seconds, data.seconds], player.end < data.seconds - 0.01);
    showSpan($("before"), [0, data.preview.begin], data.preview.begin > 0.01);
    movePlayhead();
  });
}

function recolour() {
  const heat = heatMap();
  if (pictures.rows) {
    pictures.drawnMixture = coloured(pictures.mixture, heat);
    if (state.masks) pictures.masks ??= masks(pictures.rows, data.range);
    const shown = state.masks ? pictures.masks : pictures.rows;
    pictures.drawnRows = shown.map((grey, index) => coloured(grey, stemMap(index)));
    pictures.drawnW = coloured(pictures.W, heat);
    pictures.drawnZ = coloured(pictures.Z, heat);
  }
  redraw();
}

async function loadPictures() {
  pictures.mixture = await greyOf(data.mixture.picture);
  pictures.rows = await Promise.all(data.rows.map((row) => greyOf(row.picture)));
  pictures.W = await greyOf(data.factors.W);
  pictures.Z = await greyOf(data.factors.Z);
  recolour();
}

function readWave(row) {
  const values = new Int8Array(bytesOf(row.wave).buffer);
  const columns = values.length / 2;
  row.low = Float32Array.from(values.subarray(0, columns), (value) => value / 127);
  row.high = Float32Array.from(values.subarray(columns), (value) => value / 127);
  row.levels = bytesOf(row.sounding);
}

// ----- pointers: a click goes there, a drag marks a stretch and repeats it

function timeAt(event) {
  const { left, width } = $("wave").getBoundingClientRect();
  return view.begin + ((event.clientX - left) / width) * (view.end - view.begin);
}

function listenToPointer(area) {
  let from = null;
  area.addEventListener("pointerdown", (event) => {
    if (event.target.tagName !== "CANVAS" || event.button) return;
    from = { x: event.clientX, at: timeAt(event) };
    area.setPointerCapture(event.pointerId);
  });
  area.addEventListener("pointermove", (event) => {
    if (from && Math.abs(event.clientX - from.x) > 6) showSpan($("region"), stretchTo(event), true);
  });
  area.addEventListener("pointerup", (event) => {
    if (!from) return;
    const dragged = Math.abs(event.clientX - from.x) > 6;
    const stretch = stretchTo(event);
    from = null;
    if (dragged && stretch[1] - stretch[0] > 0.02) setLoop(true, stretch);
    else seek(timeAt(event));
  });
  area.addEventListener("pointercancel", () => {
    from = null;
    movePlayhead();
  });
  area.addEventListener(
    "wheel",
    (event) => {
      if (event.ctrlKey || event.metaKey) zoomAround(timeAt(event), event.deltaY > 0 ? 1.25 : 0.8);
      else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        const step = ((event.deltaX || event.deltaY) / area.clientWidth) * (view.end - view.begin);
        showTimes(view.begin + step, view.end + step);
      } else return;
      event.preventDefault();
      redraw();
    },
    { passive: false },
  );
  const stretchTo = (event) =>
    [from.at, timeAt(event)].sort((a, b) => a - b).map((at) => Math.min(Math.max(at, data.preview.begin), player.end));
}

// ----- keys

function zoom(factor) {
  zoomAround(isSeen(player.position()) ? player.position() : (view.begin + view.end) / 2, factor);
  redraw();
}

const end = (at) => [player.stretch()[0], Math.max(at, player.stretch()[0] + 0.05)];
const begin = (at) => [Math.min(at, player.end - 0.05), Math.max(player.stretch()[1], at + 0.05)];
const KEYS = [
  ["Space", "play or pause", " ", playOrPause],
  ["← →", "5 seconds back or on; with shift 1 second", "ArrowLeft", (event) => seek(player.position() - (event.shiftKey ? 1 : 5))],
  [null, null, "ArrowRight", (event) => seek(player.position() + (event.shiftKey ? 1 : 5))],
  ["Home", "to the beginning", "Home", () => seek(player.stretch()[0])],
  ["L", "repeat the marked stretch, or all", "l", () => setLoop(!player.looping)],
  ["[ ]", "mark where the stretch begins and ends", "[", () => setLoop(true, begin(player.position()))],
  [null, null, "]", () => setLoop(true, end(player.position()))],
  ["Esc", "mark nothing", "Escape", () => setLoop(false, null)],
  ["1 … 9", "solo a stem; with shift mute it", null, null],
  ["O", "the original, or the stems", "o", () => setOriginal(!state.original)],
  ["+ − 0", "zoom in and out, show all; also ctrl and wheel", "+", () => zoom(0.5)],
  [null, null, "=", () => zoom(0.5)],
  [null, null, "-", () => zoom(2)],
  [null, null, "0", () => zoom(Infinity)],
];

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const kind = event.target.tagName;
  if (kind === "SELECT" || (kind === "INPUT" && event.target.type === "text")) return;
  if (kind === "INPUT" && /^(Arrow|Home)/.test(event.key)) return;
  if (["BUTTON", "SUMMARY", "A"].includes(kind) && event.key === " ") return;
  const digit = /^Digit([1-9])$/.exec(event.code);
  if (digit && data.rows[digit[1] - 1]) {
    flip(event.shiftKey ? state.muted : state.solo, digit[1] - 1, event.shiftKey ? "muted" : "solo");
    return;
  }
  const found = KEYS.find(([, , key]) => key === event.key || key === event.key.toLowerCase());
  if (!found) return;
  event.preventDefault();
  found[3](event);
}

// ----- templates

function audition(index) {
  const row = data.factors.rows[index];
  say(`Template ${index + 1}${data.rows[row] ? ` of ${data.rows[row].name}` : ""}`);
  player.strike(data.factors.partials[index]);
}

function buildTemplates() {
  const { rows, count, of } = data.factors;
  rows.forEach((row, index) => {
    const button = element("button", { type: "button", textContent: index + 1 });
    const name = data.rows[row]?.name ?? "no stem shown";
    button.setAttribute("aria-label", `Hear template ${index + 1}, ${name}`);
    button.title = String(name);
    button.style.setProperty("--own", row < 0 ? "var(--line)" : `var(--c${row % 8})`);
    button.addEventListener("click", () => audition(index));
    $("auditions").append(button);
  });
  const shown = rows.length < count ? `, the ${rows.length} strongest of ${count}` : `, ${count}`;
  $("templates").setAttribute("aria-label", `Templates of the ${of}${shown}: a spectrum in each column`);
  $("activations").setAttribute("aria-label", `Activations of the ${of}${shown}: a template in each line`);
  canvases.push({
    canvas: $("templates"),
    draw: (canvas) => {
      const [context, width, height] = fresh(canvas);
      if (!pictures.drawnW) return;
      context.imageSmoothingEnabled = false;
      context.drawImage(pictures.drawnW, 0, 0, width, height - 5);
      drawOwners(context, (index) => [(index / rows.length) * width, height - 4, width / rows.length, 4]);
    },
  });
  canvases.push({
    canvas: $("activations"),
    draw: (canvas) => {
      if (!pictures.drawnZ) return;
      const [context, , height] = drawPicture(canvas, pictures.drawnZ);
      drawOwners(context, (index) => [0, (index / rows.length) * height, 4, height / rows.length]);
    },
  });
  $("templates").addEventListener("click", (event) => audition(Math.min(rows.length - 1, Math.floor((event.offsetX / event.target.clientWidth) * rows.length))));
  $("activations").addEventListener("click", (event) => audition(Math.min(rows.length - 1, Math.floor((event.offsetY / event.target.clientHeight) * rows.length))));
}

function drawOwners(context, box) {
  data.factors.rows.forEach((row, index) => {
    context.fillStyle = row < 0 ? cssColour("--line") : stemColour(row);
    context.fillRect(...box(index));
  });
}

// ----- all together

function build() {
  $("track").textContent = data.track;
  const { begin: from, seconds } = data.preview;
  const channels = data.channels === 1 ? "mono" : data.channels === 2 ? "stereo" : `${data.channels} channels`;
  $("about").textContent = `${asTime(data.seconds)}, ${data.sampleRate} Hz, ${channels}, ${data.rows.length} stems; nmfsep ${data.versions.nmfsep ?? ""}`;
  $("window").textContent = seconds < data.seconds - 0.01 ? `Heard: ${asTime(from, 0)} to ${asTime(from + seconds, 0)}, the loudest stretch` : "All of it can be heard. Drag to mark a stretch and repeat it.";
  const general = data.hints.filter((text) => !data.rows.some((row) => mentions(text, row.name)));
  for (const text of [...data.notes, ...general]) $("notices").append(element("p", { textContent: text }));
  [data.mixture, ...data.rows].forEach(readWave);
  canvases.push({ canvas: $("ruler"), draw: drawRuler });
  const mixture = { ...data.mixture };
  canvases.push({ canvas: $("wave"), draw: (canvas) => drawWave(canvas, { ...mixture, sound: soundOf(data.rows.length) }, cssColour("--soft")) });
  $("wave").setAttribute("aria-label", "Waveform of the mixture");
  $("spectrogram").setAttribute("aria-label", "Spectrogram of the mixture, low below, high above");
  canvases.push({
    canvas: $("spectrogram"),
    draw: (canvas) => {
      if (!pictures.drawnMixture) return;
      const [context, , height] = drawPicture(canvas, pictures.drawnMixture);
      drawFrequencies(context, height, data.lowest, data.sampleRate / 2);
    },
  });
  $("rows").append(...data.rows.map(buildRow));
  $("original").disabled = !data.mixture.audio;
  buildTemplates();
  const regroup = new Regroup(data.rows, data.regroup, soloGroup, say);
  regroup.show();
  $("copy").addEventListener("click", () => copy($("command"), $("copy"), say));
  $("after").textContent = data.regroup.model
    ? "Run it in the folder of this page. Add -o DIR to keep these stems, too."
    : "No model was saved, so this separates again; with split --save-model, render would do it at once.";
  showFindings(data, say);
  for (const canvas of document.querySelectorAll("canvas.plot")) canvases.push({ canvas, draw: canvas.draw });
  for (const [keys, meaning] of KEYS) {
    if (keys) $("keys").append(element("dt", { textContent: keys }), element("dd", { textContent: meaning }));
  }
}

function soloGroup(members) {
  const same = members.length === state.solo.size && members.every((index) => state.solo.has(index));
  state.solo = new Set(same ? [] : members);
  if (state.original) setOriginal(false);
  applyLevels();
  if (!player.playing) playOrPause();
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  $("theme").textContent = name === "dark" ? "Light" : "Dark";
  recolour();
}

function showMasks(on) {
  state.masks = on;
  $("mask").setAttribute("aria-pressed", on);
  $("sound").setAttribute("aria-pressed", !on);
  recolour();
}

build();
applyLevels();
setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => setTheme(event.matches ? "dark" : "light"));
const clicks = {
  home: () => seek(player.stretch()[0]), play: playOrPause, loop: () => setLoop(!player.looping),
  stems: () => setOriginal(false), original: () => setOriginal(true), sound: () => showMasks(false), mask: () => showMasks(true),
  out: () => zoom(2), in: () => zoom(0.5), fit: () => zoom(Infinity), theme: () => setTheme(isDark() ? "light" : "dark"),
};
for (const [id, action] of Object.entries(clicks)) $(id).addEventListener("click", action);
$("volume").addEventListener("input", applyLevels);
for (const area of document.querySelectorAll(".pictures:not(.factors .pictures)")) listenToPointer(area);
document.addEventListener("keydown", onKey);
new ResizeObserver(redraw).observe($("tracks"));
player.onend = showPlaying;
player.ready.then(redraw);
window.report = { player, state, view, pictures, loaded: loadPictures() };
