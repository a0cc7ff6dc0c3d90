"use strict";
// Colours: maps from grey to colour that grow evenly lighter (or darker, on white), mixed in Oklab
// (B. Ottosson, "A perceptual color space for image processing", 2020).

const HEAT = {
  dark: ["#0f1115", "#2b1c5c", "#7a2382", "#c8403f", "#f08c1d", "#fbe9a0"],
  light: ["#f8f9fb", "#d3dcf2", "#8fb0e6", "#5a76cf", "#4a3a9c", "#1d1246"],
};

function toOklab(hex) {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const c = parseInt(hex.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function fromOklab([L, a, b]) {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return linear.map((c) => 255 * (c <= 0.0031308 ? 12.92 * c : 1.055 * Math.max(c, 0) ** (1 / 2.4) - 0.055));
}

// 256 colours between some, as pixels
function colourMap(stops) {
  const points = stops.map(toOklab);
  const bytes = new Uint8ClampedArray(1024).fill(255);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (points.length - 1);
    const low = Math.min(Math.floor(place), points.length - 2);
    const mixed = points[low].map((value, axis) => value + (place - low) * (points[low + 1][axis] - value));
    bytes.set(fromOklab(mixed), 4 * i);
  }
  return new Uint32Array(bytes.buffer);
}

const isDark = () => document.documentElement.dataset.theme === "dark";
const cssColour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const stemColour = (index) => cssColour(`--c${index % 8}`);
const heatMap = () => colourMap(isDark() ? HEAT.dark : HEAT.light);

// from the ground through the colour of a stem to what stands out most
function stemMap(index) {
  return colourMap([cssColour("--well"), stemColour(index), isDark() ? "#ffffff" : "#10131a"]);
}

// a canvas of a grey picture, {data, width, height}, in the colours of a map
function coloured(grey, map) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [grey.width, grey.height];
  const context = canvas.getContext("2d");
  const image = context.createImageData(grey.width, grey.height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = map[grey.data[i]];
  context.putImageData(image, 0, 0);
  return canvas;
}

const bytesOf = (text) => {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
};

// the grey values of a PNG file in base64
async function greyOf(text) {
  const image = new Image();
  image.src = `data:image/png;base64,${text}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const rgba = context.getImageData(0, 0, image.width, image.height).data;
  const data = new Uint8Array(image.width * image.height);
  for (let i = 0; i < data.length; i++) data[i] = rgba[4 * i];
  return { data, width: image.width, height: image.height };
}
