"""What ``nmfsep inspect`` shows of a model that split kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import console

if TYPE_CHECKING:
    from ..separation.saved import Saved


class SavedModel:
    """A saved factorization."""

    warnings: tuple[str, ...] = ()  # those of its separation were told then, and are in the document

    def __init__(self, path: str, saved: Saved) -> None:
        self.path, self.saved = path, saved

    def document(self) -> dict[str, Any]:
        """Return what there is to say of it as JSON."""
        from dataclasses import asdict

        from ..separation.grouping import arrange

        saved = self.saved
        stems = arrange(saved.settings, saved.labels)
        owner = {member: name for name, members in zip(stems.names, stems.members, strict=False) for member in members}
        shares = saved.energy_shares()
        settings = saved.settings.values()
        del settings["threads"]
        return {
            "path": self.path,
            "kind": "model",
            "mixture": asdict(saved.mixture),
            "views": [
                {"n_fft": layer.stft.n_fft, "hop_length": layer.stft.hop_length, "window": layer.stft.window}
                for layer in saved.layers
            ],
            "settings": settings,
            "stems": list(stems.names),
            "components": [
                {
                    "number": index + 1,
                    "name": name,
                    "stem": owner[index],
                    "templates": [len(layer.model.groups[index]) for layer in saved.layers],
                    "energy_share": round(shares[index], 6),
                }
                for index, name in enumerate(saved.components)
            ],
            "guidance": list(saved.guidance),
            "fit": list(saved.fits),
            "warnings": list(saved.warnings),
            "versions": saved.versions,
        }

    def table(self) -> str:
        """Return a line for each component, below some about all."""
        about = self.document()
        mixture, settings = about["mixture"], about["settings"]
        rate, channels = mixture["sample_rate"], mixture["channels"]
        name = "standard input" if mixture["name"] == "-" else console.quote(mixture["name"])
        stretch = f"{mixture['length'] / rate:.3f} s from {mixture['offset'] / rate:.3f} s on"
        frames = " and ".join(
            f"{view['n_fft']} (hop {view['hop_length']}, {view['window']})" for view in about["views"]
        )
        power = f", power {settings['mask_power']:g}" if settings["mask"] == "ratio" else ""
        solvers = ", ".join(dict.fromkeys(fit["solver"] for fit in about["fit"]))
        lines = [
            f"model of {name}: {stretch}, {rate} Hz, {channels} channel{'s' if channels > 1 else ''}",
            f"frames of {frames} samples; channels {settings['channels']}",
            f"{_kind(settings)}, solver {solvers}, "
            f"{sum(fit['n_iter'] for fit in about['fit'])} iterations, seed {settings['seed']}; "
            f"made by nmfsep {about['versions'].get('nmfsep', '?')}",
            f"mask {settings['mask']}{power}; stems {', '.join(about['stems'])}",
            *(_cue(entry) for entry in about["guidance"]),
            "",
        ]
        rows = [("no.", "component", "stem", "templates", "energy")]
        rows += [
            (
                str(component["number"]),
                console.plain(component["name"]),
                console.plain(component["stem"]),
                " ".join(map(str, component["templates"])),
                f"{100 * component['energy_share']:.1f}%",
            )
            for component in about["components"]
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        for number, component, stem, templates, energy in rows:
            left = f"{number:>{widths[0]}}  {component:<{widths[1]}}  {stem:<{widths[2]}}"
            lines.append(f"{left}  {templates:>{widths[3]}}  {energy:>{widths[4]}}")
        return "\n".join(console.plain(line) for line in lines) + "\n"


def _cue(entry: dict[str, Any]) -> str:
    """Return a line about something that was told beforehand."""
    if "stretches" in entry:
        spans = " and ".join(f"{begin:g} s to {end:g} s" for begin, end in entry["stretches"])
        return f"{entry['labels'][0]} learned from {spans}"
    what = "templates of" if entry["kind"] == "dictionary" else f"{entry['kind']}:"
    return f"{what} {console.quote(entry['path'])}"


def _kind(settings: dict[str, Any]) -> str:
    """Return what was fitted; the divergence is for others than nmf not always a matter of choice."""
    if settings["model"] == "nmf":
        return f"divergence {settings['divergence']}"
    levels = f", level {settings['level']} of {','.join(map(str, settings['levels']))}" if settings["levels"] else ""
    return f"model {settings['model']}{levels}"
