"""Tables: results of inspect, rank and evaluate in columns for people, and in CSV for other programs."""

from __future__ import annotations

import csv
import io
import math
import unicodedata
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from . import console
from .console import plain

if TYPE_CHECKING:
    from ..analysis.evaluate import Evaluation
    from ..analysis.inspect import Inspection, Ranking

ONSETS = 6  # in a table
FIGURES = {
    "si_sdr": "SI-SDR",
    "si_sdr_gain": "gain",
    "sdr": "SDR",
    "sdr_gain": "gain",
    "sir": "SIR",
    "sar": "SAR",
    "snr": "SNR",
    "oracle_si_sdr": "oracle SI-SDR",
    "oracle_sdr": "oracle SDR",
}


def aligned(rows: Sequence[Sequence[str]], left: Collection[int]) -> str:
    """Return rows as lines, the columns of these numbers to the left and the others to the right."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        gaps = [" " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        padded = [cell + gap if n in left else gap + cell for n, (cell, gap) in enumerate(zip(row, gaps, strict=True))]
        lines.append("  ".join(padded).rstrip() + "\n")
    return "".join(lines)


def _width(text: str) -> int:
    """Return the columns of a terminal that a text takes."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)


def components_table(found: Inspection, titled: bool) -> str:
    """Return a line for each component of a sound, below its name if `titled`."""
    rows = [["component", "pitch", "MIDI", "cents", "energy", "centroid", "onsets", "at"]]
    for component in found.components:
        pitch = component.pitch
        note = [pitch.name, str(pitch.note), f"{pitch.cents:+}"] if pitch else ["-", "-", "-"]
        level = f"{10 * math.log10(component.share):.1f} dB" if component.share > 0 else "-"
        times = " ".join(f"{onset:.2f}" for onset in component.onsets[:ONSETS])
        more = " …" if len(component.onsets) > ONSETS else ""
        centroid = f"{component.centroid:.0f} Hz" if component.centroid > 0 else "-"
        rows.append([component.name, *note, level, centroid, str(len(component.onsets)), times + more])
    head = f"{plain(found.track)}\n" if titled else ""
    return head + aligned(rows, left={0, 1, 7})


def dictionary_table(about: dict[str, Any]) -> str:
    """Return a line for each label of a dictionary, below two about all."""
    views, labels = about["views"], len(about["labels"])
    head = (
        f"dictionary of {labels} label{'s' if labels != 1 else ''}, {about['sample_rate']} Hz, divergence "
        f"{about['divergence']}\nframes of {_frames(views)} samples"
    )
    lasting = max(view["template_frames"] for view in views)
    if lasting > 1:
        head += f", templates of {lasting} frames"
    rows = [["label", "templates", "files", "seconds", "learned from"]]
    for entry in about["labels"]:
        source = entry["from"] or {}
        names = ", ".join(str(file.get("name")) for file in source.get("first", [])[:3])
        names += ", …" if source.get("files", 0) > 3 else ""
        counts = " ".join(map(str, entry["templates"]))
        files, seconds = str(source.get("files", "?")), str(source.get("seconds", "?"))
        rows.append([entry["label"], counts, files, seconds, names or "?"])
    return f"{head}\n\n{aligned(rows, left={0, 4})}"


def model_table(about: dict[str, Any]) -> str:
    """Return a line for each component of a saved model, below some about all."""
    mixture, settings = about["mixture"], about["settings"]
    rate, channels = mixture["sample_rate"], mixture["channels"]
    power = f", power {settings['mask_power']:g}" if settings["mask"] == "ratio" else ""
    solvers = ", ".join(dict.fromkeys(fit["solver"] for fit in about["fit"]))
    lines = [
        f"model of {console.name_of(mixture['name'])}: {mixture['length'] / rate:.3f} s from "
        f"{mixture['offset'] / rate:.3f} s on, {rate} Hz, {channels} channel{'s' if channels > 1 else ''}",
        f"frames of {_frames(about['views'])} samples; channels {settings['channels']}",
        f"{_model_line(settings)}, solver {solvers}, "
        f"{sum(fit['n_iter'] for fit in about['fit'])} iterations, seed {settings['seed']}; "
        f"made by nmfsep {about['versions'].get('nmfsep', '?')}",
        f"mask {settings['mask']}{power}; stems {', '.join(about['stems'])}",
        *map(_cue_line, about["guidance"]),
        "",
    ]
    rows = [["no.", "component", "stem", "templates", "energy"]]
    for component in about["components"]:
        templates, share = " ".join(map(str, component["templates"])), f"{100 * component['energy_share']:.1f}%"
        rows.append([str(component["number"]), component["name"], component["stem"], templates, share])
    return "".join(f"{plain(line)}\n" for line in lines) + aligned(rows, left={1, 2})


def _frames(views: Sequence[dict[str, Any]]) -> str:
    return " and ".join(f"{view['n_fft']} (hop {view['hop_length']}, {view['window']})" for view in views)


def _cue_line(entry: dict[str, Any]) -> str:
    """Return a line about a cue."""
    if "stretches" in entry:
        spans = " and ".join(f"{begin:g} s to {end:g} s" for begin, end in entry["stretches"])
        return f"{entry['labels'][0]} learned from {spans}"
    what = "templates of" if entry["kind"] == "dictionary" else f"{entry['kind']}:"
    return f"{what} {console.quote(entry['path'])}"


def _model_line(settings: dict[str, Any]) -> str:
    """Return what was fitted; only of nmf is the divergence always a matter of choice."""
    if settings["model"] == "nmf":
        return f"divergence {settings['divergence']}"
    levels = f", level {settings['level']} of {','.join(map(str, settings['levels']))}" if settings["levels"] else ""
    return f"model {settings['model']}{levels}"


def ranking_table(found: Ranking) -> str:
    """Return the evidence for each number of components, and the recommended one in the last line."""
    rows = [["components", "loosest", "mean", "unexplained", "stable"]]
    for row in found.evidence:
        figures = [f"{value:.2f}" for value in (row.loosest, row.mean, row.unexplained)]
        rows.append([str(row.components), *figures, "yes" if row.stable else "no"])
    return f"{aligned(rows, ())}{found.recommended}\n"


def evaluation_table(found: Evaluation) -> str:
    """Return the figures of each true stem, and how much of each is in each estimate."""
    always = ("si_sdr", "sdr", "sar", "snr")
    columns = [n for n in FIGURES if n in found.columns and (n in always or not math.isnan(found.mean[n]))]
    rows = [["stem", "estimate", *(FIGURES[name] for name in columns)]]
    for row in found.rows:
        rows.append([row.stem, row.estimate or "-", *(_decibels(row.figures[name]) for name in columns)])
    if len(found.rows) > 1:
        rows.append(["mean", "", *(_decibels(found.mean[name]) for name in columns)])
    bleed = [["bleed", *found.stems]]
    for name, levels in zip(found.estimates, found.bleed.tolist(), strict=True):
        bleed.append([name, *map(_decibels, levels)])
    return f"{aligned(rows, {0, 1})}\n{aligned(bleed, {0})}"


def evaluation_csv(found: Evaluation) -> str:
    """Return the same as CSV: one row for each true stem, then one for each estimate left over."""
    from ..analysis.evaluate import rounded

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    stems = [f"bleed of {_cell(stem)}" for stem in found.stems]
    writer.writerow(["stem", "estimate", *found.columns, *stems])
    bleed = dict(zip(found.estimates, found.bleed.tolist(), strict=True))
    none = [math.nan] * len(stems)
    rows = [(row.stem, row.estimate, list(row.figures.values())) for row in found.rows]
    rows += [("", name, [math.nan] * len(found.columns)) for name in found.left_over]
    for stem, estimate, figures in rows:
        numbers = [*figures, *(none if estimate is None else bleed[estimate])]
        writer.writerow([_cell(stem), _cell(estimate or ""), *map(rounded, numbers)])  # None is an empty cell
    return text.getvalue()


def _cell(name: str) -> str:
    """Return a name that no spreadsheet takes for a formula."""
    text = plain(name)
    return "'" + text if text.startswith(("=", "+", "-", "@")) else text


def _decibels(value: float) -> str:
    return "-" if math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"
