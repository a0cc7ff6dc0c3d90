// View: what part of the track is seen, and how waveforms, pictures, levels and the ruler are drawn on one time axis.

const view = { begin: 0, end: 1, whole: 1 }; // seconds

function showTimes(begin, end) {
  const span = Math.min(Math.max(end - begin, 0.05), view.whole);
  view.begin = Math.min(Math.max(begin, 0), view.whole - span);
  view.end = view.begin + span;
}

function zoomAround(seconds, factor) {
  const share = (seconds - view.begin) / (view.end - view.begin);
  const span = Math.min((view.end - view.begin) * factor, view.whole);
  showTimes(seconds - share * span, seconds + (1 - share) * span);
}

const asTime = (seconds, digits = 1) => {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(digits).padStart(digits ? digits + 3 : 2, "0")}`;
};

// A canvas with as many pixels as it takes on the screen, cleared; [context, width, height] in CSS pixels.
function fresh(canvas) {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  return [context, width, height];
}

function drawRuler(canvas) {
  const [context, width, height] = fresh(canvas);
  const span = view.end - view.begin;
  const least = (70 / width) * span;
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600].find((s) => s >= least) ?? 7200;
  context.fillStyle = cssColour("--soft");
  context.font = "11px system-ui, sans-serif";
  for (let at = Math.ceil(view.begin / step) * step; at <= view.end; at += step) {
    const x = ((at - view.begin) / span) * width;
    context.fillRect(x, height - 6, 1, 6);
    if (x < width - 34) context.fillText(asTime(at, step < 0.1 ? 2 : step < 1 ? 1 : 0), x + 3, height - 9);
  }
}

// Waveform from [lowest, highest] of columns; where one zooms in further than these go, from the sound itself.
function drawWave(canvas, row, colour) {
  const [context, width, height] = fresh(canvas);
  const columns = row.low.length;
  const half = height / 2;
  const { buffer, preview, gain } = row.sound ?? {};
  const fine = buffer && ((view.end - view.begin) / view.whole) * columns < width;
  context.fillStyle = colour;
  const samples = fine && buffer.getChannelData(0);
  const other = fine && buffer.numberOfChannels > 1 ? buffer.getChannelData(1) : samples;
  for (let x = 0; x < width; x++) {
    const [from, to] = [x, x + 1].map((edge) => view.begin + (edge / width) * (view.end - view.begin));
    let [low, high] = [0, 0];
    if (fine && from >= preview.begin && to <= preview.begin + preview.seconds) {
      const first = Math.floor((from - preview.begin) * preview.rate);
      const last = Math.max(first + 1, Math.floor((to - preview.begin) * preview.rate));
      for (let i = first; i < last && i < samples.length; i++) {
        const value = (samples[i] + other[i]) / 2 / gain;
        if (value < low) low = value;
        if (value > high) high = value;
      }
    } else {
      const first = Math.floor((from / view.whole) * columns);
      const last = Math.max(first + 1, Math.floor((to / view.whole) * columns));
      for (let i = first; i < last && i < columns; i++) {
        low = Math.min(low, row.low[i]);
        high = Math.max(high, row.high[i]);
      }
    }
    const top = half - Math.min(1, high) * (half - 2);
    context.fillRect(x, top, 1, Math.max(1, half - Math.max(-1, low) * (half - 2) - top));
  }
}

// The part of a picture of the whole track that is seen.
function drawPicture(canvas, picture) {
  const [context, width, height] = fresh(canvas);
  const from = (view.begin / view.whole) * picture.width;
  const span = ((view.end - view.begin) / view.whole) * picture.width;
  context.imageSmoothingEnabled = span > 60;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, from, 0, span, picture.height, 0, 0, width, height);
  return [context, width, height];
}

function drawFrequencies(context, height, lowest, highest) {
  context.font = "10.5px system-ui, sans-serif";
  context.textBaseline = "middle";
  for (const [hertz, text] of [[100, "100 Hz"], [1000, "1 kHz"], [10000, "10 kHz"]]) {
    if (hertz < lowest || hertz > highest) continue;
    const y = Math.max(8, height * (1 - Math.log(hertz / lowest) / Math.log(highest / lowest)));
    context.fillStyle = cssColour("--card");
    context.globalAlpha = 0.75;
    context.fillRect(0, y - 7, context.measureText(text).width + 8, 14);
    context.globalAlpha = 1;
    context.fillStyle = cssColour("--ink");
    context.fillText(text, 4, y);
  }
}

// Where a row sounds: as dark as it is loud, against its loudest moment.
function drawStrip(canvas, levels, colour) {
  const [context, width, height] = fresh(canvas);
  context.fillStyle = colour;
  for (let x = 0; x < width; x++) {
    const [from, to] = [x, x + 1].map((edge) => (view.begin + (edge / width) * (view.end - view.begin)) / view.whole);
    const first = Math.floor(from * levels.length);
    let loudest = levels[Math.min(first, levels.length - 1)];
    for (let i = first; i < to * levels.length && i < levels.length; i++) loudest = Math.max(loudest, levels[i]);
    if (loudest < 13) continue; // a twentieth, from which a stem counts as sounding
    context.globalAlpha = 0.25 + (0.75 * loudest) / 255;
    context.fillRect(x, 1, 1, height - 1);
  }
}

// Each row's share of the sum of all, as grey; what is silent has none.
function masks(pictures, range) {
  const amplitude = Float32Array.from({ length: 256 }, (_, grey) => (grey ? 10 ** (((grey / 255 - 1) * range) / 20) : 0));
  const { width, height } = pictures[0];
  const sum = new Float32Array(width * height);
  for (const { data } of pictures) for (let i = 0; i < sum.length; i++) sum[i] += amplitude[data[i]];
  return pictures.map(({ data }) => {
    const share = new Uint8Array(sum.length);
    for (let i = 0; i < sum.length; i++) share[i] = sum[i] ? (255 * amplitude[data[i]]) / sum[i] : 0;
    return { data: share, width, height };
  });
}
