"""``nmfsep manual``: the pages of the manual, a Markdown file a topic; in a pager on a terminal, plain in a pipe."""

from __future__ import annotations

import sys
from importlib import resources

import click

from . import console
from .params import Name

TOPICS = {
    "start": "install, first commands, pipes, exit codes; why some sounds come apart and others do not",
    "tutorial-musician": "a walk: a song, its page, other groups, a remix",
    "tutorial-beats": "a walk: your own samples, a loop, stems, MIDI, one-shots",
    "tutorial-calls": "a walk: marked calls, a folder of nights, tables for Raven, clips",
    "split": "how split works, the choices it has, presets, and how many stems to ask for",
    "formats": "what is read and written; tags, covers and the markers of a DAW",
    "quality": "what is tried on a sound without cues, what each part gives, where it fails",
    "guidance": "cues: a quiet spot, a score or a label track tell split what to listen for",
    "dictionaries": "learn sounds from recordings of them, and find those sounds in mixtures",
    "detect": "find where sounds of a dictionary are heard, in recordings of any length",
    "render": "keep a factorization; group, mask and write it again in other ways",
    "report": "one HTML page to hear, see and judge stems, and to group them by ear",
    "batch": "folders, lists, several processes, resuming, JSON, make",
    "long-files": "hours of sound in constant memory",
    "cluster": "many machines, and what a large archive costs",
    "evaluate": "score stems against the true ones",
    "inspect": "pitches, onsets and levels of what is in a sound",
    "matrices": "factorize any matrix, or images into parts",
    "python": "the same from Python: separate, inspect, evaluate, plots, factorize, scikit-learn",
    "results": "what was measured: quality, speed, memory, and a lab notebook",
    "lecture": "a walk through NMF and its relatives, a command and a picture each",
}


@click.command("manual", epilog="Example: nmfsep manual guidance")
@click.argument("topic", type=Name(TOPICS), required=False)
def command(topic: str | None) -> int:
    """Show a page of the manual, or without TOPIC the list of pages."""
    if topic is None:
        text = "".join(f"{name:<19}{summary}\n" for name, summary in TOPICS.items())
    else:
        text = resources.files("nmfsep").joinpath("manual", f"{topic}.md").read_text(encoding="utf-8")
    if topic is not None and sys.stdout.isatty():
        click.echo_via_pager(text)
    else:
        console.print_text(text)
    return 0
