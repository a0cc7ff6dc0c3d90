// Findings: how the separation went and what it was made with, as cards of text, tables and a curve.

const FIGURES = {
  si_sdr: "SI-SDR", si_sdr_gain: "gain", sdr: "SDR", sdr_gain: "gain", sir: "SIR", sar: "SAR", snr: "SNR", snr_gain: "gain",
};

function article(title, ...children) {
  return element("article", {}, element("h2", { textContent: title }), ...children);
}

function table(heads, rows) {
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col", textContent: text })));
  const body = rows.map(([name, ...cells]) =>
    element(
      "tr",
      {},
      element("th", { scope: "row", textContent: name }),
      ...cells.map((cell) => (cell instanceof Node ? cell : element("td", { textContent: cell }))),
    ),
  );
  const made = element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
  return element("div", { className: "scroll", tabIndex: 0 }, made);
}

const decibels = (value) => (typeof value === "number" ? value.toFixed(2) : "–");

function scoreCard(scores) {
  const names = Object.keys(FIGURES).filter((name) => scores.stems.some((row) => typeof row[name] === "number"));
  const rows = scores.stems.map((row) => [row.stem, row.estimate ?? "–", ...names.map((name) => decibels(row[name]))]);
  rows.push(["mean", "", ...names.map((name) => decibels(scores.mean[name]))]);
  const card = article("Against the true stems, in dB", table(["stem", "estimate", ...names.map((name) => FIGURES[name])], rows));
  card.classList.add("wide");
  for (const text of scores.warnings) card.append(element("p", { className: "hint", textContent: text }));
  return card;
}

function bleedCard(bleed, rows) {
  const cells = bleed.map((shares, row) => [
    rows[row]?.name ?? row + 1,
    ...shares.map((share) => {
      const cell = element("td", { textContent: `${Math.round(100 * share)}%` });
      cell.style.backgroundColor = `color-mix(in oklab, var(--accent) ${Math.round(45 * share)}%, transparent)`;
      return cell;
    }),
  ]);
  const text = "Of what the model has where a stem of the rows sounds, how much is whose. Outside the diagonal, expect bleed.";
  const heads = ["where sounds", ...bleed.map((_, row) => rows[row]?.name ?? row + 1)];
  const card = article("Bleed", element("p", { className: "facts", textContent: text }), table(heads, cells));
  card.classList.toggle("wide", bleed.length > 3);
  return card;
}

function lossCard(fits) {
  const curves = fits.map((fit) => Object.entries(fit.losses ?? {}).map(([step, loss]) => [Number(step), loss]));
  const canvas = element("canvas", { className: "plot" });
  canvas.setAttribute("role", "img");
  const texts = fits.map((fit, number) => {
    const losses = curves[number].map(([, loss]) => loss);
    const [first, last] = [losses[0], losses.at(-1)].map((loss) => Number(loss).toPrecision(5));
    return `${fit.solver}: ${fit.converged ? "converged" : "stopped"} after ${fit.n_iter} iterations, loss ${first} to ${last}`;
  });
  canvas.setAttribute("aria-label", `Loss over iterations. ${texts.join(". ")}`);
  canvas.draw = () => drawLoss(canvas, curves.filter((curve) => curve.length));
  return article("Loss", canvas, ...texts.map((text) => element("p", { className: "facts", textContent: text })));
}

function drawLoss(canvas, curves) {
  const [context, width, height] = fresh(canvas);
  const points = curves.flat().filter(([, loss]) => loss > 0);
  if (!points.length) return;
  const steps = Math.max(...points.map(([step]) => step), 1);
  const [low, high] = [Math.min, Math.max].map((extreme) => Math.log10(extreme(...points.map(([, loss]) => loss))));
  const x = (step) => 58 + (step / steps) * (width - 74);
  const y = (loss) => 10 + (1 - (Math.log10(loss) - low) / (high - low || 1)) * (height - 36);
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = cssColour("--soft");
  context.strokeStyle = cssColour("--line");
  context.strokeRect(58, 10, width - 74, height - 36);
  context.textAlign = "right";
  for (const value of [high, low]) context.fillText((10 ** value).toPrecision(3), 52, y(10 ** value) + 4);
  context.fillText(`${steps} iterations`, width - 16, height - 8);
  curves.forEach((curve, number) => {
    context.strokeStyle = context.fillStyle = stemColour(number);
    context.lineWidth = 2;
    context.beginPath();
    const seen = curve.filter(([, loss]) => loss > 0);
    seen.forEach(([step, loss]) => context.lineTo(x(step), y(loss)));
    context.stroke();
    for (const [step, loss] of seen.length < 40 ? seen : []) context.fillRect(x(step) - 2, y(loss) - 2, 4, 4);
  });
}

function choiceText(choice) {
  const texts = [];
  if (choice.grouping) texts.push(`${choice.atoms} atoms a stem, grouped by ${choice.grouping}.`);
  else texts.push(choice.atoms > 1 ? `${choice.atoms} atoms a stem.` : "One template a stem.");
  if (typeof choice.r === "number") {
    texts.push(`r is ${choice.r.toFixed(3)}: what more atoms would gain in a short fit; music lies above notes and drums.`);
  }
  if (typeof choice.novelty === "number") {
    texts.push(`Novelty is ${choice.novelty.toFixed(3)}: what a few templates leave; speech and noise lie above music.`);
  }
  if (typeof choice.entropy === "number") texts.push(`Entropy of the masks is ${choice.entropy.toFixed(3)}.`);
  if (choice.start) texts.push(`Start: ${choice.start}.`);
  if (choice.rounds) texts.push(`Templates were learned again ${choice.rounds} times from the stems.`);
  return texts;
}

function copyButton(source, say) {
  const button = element("button", { type: "button", textContent: "Copy" });
  button.addEventListener("click", () => copy(source, button, say));
  return button;
}

async function copy(source, button, say) {
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(source); // where it may not be copied, it is marked
    button.textContent = "Marked";
  }
  say(button.textContent);
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

function showFindings(data, say) {
  const place = document.getElementById("findings");
  if (data.scores) place.append(scoreCard(data.scores));
  if (data.bleed.length) place.append(bleedCard(data.bleed, data.rows));
  if (data.fit.length) place.append(lossCard(data.fit));
  if (data.choice) {
    place.append(article("Why this method", ...choiceText(data.choice).map((text) => element("p", { textContent: text }))));
  }
  const code = element("code", { textContent: data.command ?? "The manifest does not keep the command.", tabIndex: 0 });
  const list = element("dl");
  for (const [name, value] of Object.entries(data.settings)) {
    const text = value === null ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value);
    list.append(element("dt", { textContent: name }), element("dd", { textContent: text }));
  }
  const versions = Object.entries(data.versions).map(([name, version]) => `${name} ${version}`);
  const all = element("details", {}, element("summary", { textContent: "All settings" }), list);
  place.append(
    article(
      "Made by",
      element("div", { className: "command" }, code, copyButton(code, say)),
      element("p", { className: "facts", textContent: versions.join(", ") }),
      all,
    ),
  );
}
