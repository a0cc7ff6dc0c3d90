"""``nmfsep report``: a page to listen to stems, judge them, and group them anew."""

from __future__ import annotations

import os
from typing import Any

import click

from ..errors import UsageError
from ..settings import OutputSettings
from . import console, options


@click.command("report", cls=options.Command, example="nmfsep report separated/song -o song.html", page="report")
@click.argument("path", metavar="DIR|MANIFEST|MODEL", type=click.Path())
@options.option(
    "-o", "--out", "target", section="Output", variable=False, type=click.Path(), metavar="HTML",
    help="The page; next to the manifest if not given.",
)  # fmt: skip
@options.option(
    "--references", section="Evaluation", type=click.Path(), metavar="DIR", help="Compare with these true stems, too."
)
@options.flag("--full", section="Output", help="All can be heard, not the loudest minute alone.")
@options.from_settings(OutputSettings, ("force",))
@options.max_memory
@options.reporting
def command(path: str, target: str | None, references: str | None, **values: Any) -> int:
    """Write one HTML file about a separation, in which one hears, sees and groups its stems.

    Given is the folder that split wrote to, the manifest in it, or its saved model. The page works from disk in any
    browser, asks for nothing from the network, and can be mailed. With a saved model it shows the model's templates
    and gives the command that renders other groups.
    """
    if target == "-":
        raise UsageError("a page is not written to standard output", "name an .html file with -o")
    options.one_thread_of_blas()
    from ..results.report import report

    with options.memory_hint("leave out --full", path):
        page = report(
            path, target, references=references, full=values["full"], force=values["force"], limit=values["limit"]
        )
    if values["as_json"]:
        console.print_document(path, {"page": os.fspath(page), "bytes": page.stat().st_size})
    elif not values["quiet"]:
        console.print_paths([page])
    return 0
