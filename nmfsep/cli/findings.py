"""What ``nmfsep inspect`` found, as a table, as JSON, as a picture and as sound."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from . import console
from .table import aligned

if TYPE_CHECKING:
    from ..inspection.report import Inspection
    from ..separation.dictionary import Dictionary

SHOWN = 6  # onsets in the table


class Finding(Protocol):
    """One thing that was inspected."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know."""

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""

    def table(self) -> str:
        """Return it as lines."""


class SoundFinding:
    """The components of a sound."""

    def __init__(self, inspection: Inspection, titled: bool = False) -> None:
        self.inspection, self.titled = inspection, titled
        self.warnings = inspection.warnings

    def document(self) -> dict[str, Any]:
        """Return the components as JSON."""
        return self.inspection.document()

    def table(self) -> str:
        """Return a line for each component."""
        rows = [["component", "pitch", "MIDI", "cents", "energy", "centroid", "onsets", "at"]]
        for component in self.inspection.components:
            pitch = component.pitch
            note = [pitch.name, str(pitch.note), f"{pitch.cents:+}"] if pitch else ["-", "-", "-"]
            level = f"{10 * math.log10(component.share):.1f} dB" if component.share > 0 else "-"
            times = " ".join(f"{onset:.2f}" for onset in component.onsets[:SHOWN])
            more = " …" if len(component.onsets) > SHOWN else ""
            centroid = f"{component.centroid:.0f} Hz" if component.centroid > 0 else "-"
            rows.append([component.name, *note, level, centroid, str(len(component.onsets)), times + more])
        head = f"{console.plain(self.inspection.track)}\n" if self.titled else ""
        return head + aligned(rows, left={0, 1, 7})

    def draw(self, target: Path) -> None:
        """Write spectrogram, W, Z and masks."""
        from ..inspection.picture import picture
        from ..signal.publish import Output, publish_one

        with Output(target) as output:
            output.write(picture(self.inspection))
            publish_one(output)

    def sound(self, folder: Path, force: bool) -> None:
        """Write the sound of each template."""
        from ..inspection.audition import write_auditions

        write_auditions(self.inspection, folder, force)


class KnownTemplates:
    """The labels of a dictionary."""

    warnings: tuple[str, ...] = ()

    def __init__(self, path: str, dictionary: Dictionary) -> None:
        self.path, self.dictionary = path, dictionary

    def document(self) -> dict[str, Any]:
        """Return what there is to say of a dictionary as JSON."""
        dictionary = self.dictionary
        return {
            "path": self.path,
            "kind": "dictionary",
            "sample_rate": dictionary.sample_rate,
            "channels": dictionary.channels,
            "divergence": dictionary.divergence,
            "views": [
                {
                    "n_fft": view.stft.n_fft,
                    "hop_length": view.stft.hop_length,
                    "window": view.stft.window,
                    "templates": view.W.shape[1] // view.delays,
                    "template_frames": view.delays,
                }
                for view in dictionary.views
            ],
            "labels": [
                {"label": label, "templates": list(dictionary.components(index)), "from": self._source(label)}
                for index, label in enumerate(dictionary.labels)
            ],
        }

    def _source(self, label: str) -> dict[str, Any] | None:
        return next((entry for entry in self.dictionary.provenance if entry.get("label") == label), None)

    def table(self) -> str:
        """Return a line for each label, below two about all."""
        about = self.document()
        views = about["views"]
        frames = " and ".join(f"{view['n_fft']} (hop {view['hop_length']}, {view['window']})" for view in views)
        head = (
            f"dictionary of {_count(len(about['labels']))}, {about['sample_rate']} Hz, divergence "
            f"{about['divergence']}\nframes of {frames} samples\n\n"
        )
        lasting = max(view["template_frames"] for view in views)
        if lasting > 1:
            head = head.rstrip("\n") + f", templates of {lasting} frames\n\n"
        rows = [["label", "templates", "files", "seconds", "learned from"]]
        for entry in about["labels"]:
            source = entry["from"] or {}
            names = ", ".join(str(file.get("name")) for file in source.get("first", [])[:3])
            names += ", …" if source.get("files", 0) > 3 else ""
            counts = " ".join(map(str, entry["templates"]))
            files, seconds = str(source.get("files", "?")), str(source.get("seconds", "?"))
            rows.append([entry["label"], counts, files, seconds, names or "?"])
        return head + aligned(rows, left={0, 4})


def _count(labels: int) -> str:
    return "1 label" if labels == 1 else f"{labels} labels"
