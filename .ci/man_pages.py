"""Build hook of hatchling: the man pages, made from the help of the commands, into share/man of the wheel."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import click

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # in tests, which build no wheel
    BuildHookInterface = object

ROOT = Path(__file__).parents[1]


class CustomBuildHook(BuildHookInterface):
    """Writes the pages before the wheel is packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the pages to what the wheel shares."""
        if version != "standard":  # an editable installation shares nothing
            return
        folder = Path(tempfile.mkdtemp(prefix="nmfsep-man-"))
        for name, page in pages().items():
            (folder / name).write_text(page, encoding="utf-8")
            build_data["shared_data"][str(folder / name)] = f"share/man/man1/{name}"


def pages() -> dict[str, str]:
    """Return the text of each man page by its file name: one of nmfsep, and one of each command."""
    sys.path.insert(0, str(ROOT))
    try:
        from nmfsep import __version__
        from nmfsep.cli.main import COMMANDS, cli
    finally:
        sys.path.remove(str(ROOT))
    root = click.Context(cli, info_name="nmfsep")
    head = f'"{__version__}" "nmfsep {__version__}" "nmfsep"'
    listed = "".join(f".TP\n.BR nmfsep-{name} (1)\n{roff(text)}\n" for name, text in COMMANDS.items())
    found = {"nmfsep.1": page(cli, root, head, "take recordings apart", f".SH COMMANDS\n{listed}")}
    for name, summary in COMMANDS.items():
        command = cli.get_command(root, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=root)
        found[f"nmfsep-{name}.1"] = page(command, context, head, summary, options(command, context))
    return found


def page(command: click.Command, context: click.Context, head: str, summary: str, body: str) -> str:
    """Return the man page of a command whose options or commands are given."""
    name = context.command_path.replace(" ", "-")
    usage = " ".join(command.collect_usage_pieces(context))
    text = "\n.PP\n".join(roff(" ".join(part.split())) for part in (command.help or "").split("\n\n"))
    notes = "\n.PP\n".join(roff(" ".join(part.split())) for part in (command.epilog or "").split("\n\n"))
    return (
        f'.TH "{roff(name.upper())}" 1 {head}\n.SH NAME\n{roff(name)} \\- {roff(summary.rstrip("."))}\n'
        f".SH SYNOPSIS\n.B {roff(context.command_path)}\n{roff(usage)}\n.SH DESCRIPTION\n{text}\n{body}"
        f".SH NOTES\n{notes}\n"
    )


def options(command: click.Command, context: click.Context) -> str:
    """Return the options of a command, each with what it means and the variable that sets it."""
    lines = [".SH OPTIONS"]
    for param in command.get_params(context):
        record = param.get_help_record(context)
        if record is None:
            continue
        variables = [param.envvar] if isinstance(param.envvar, str) else list(param.envvar or ())
        named = f" Variable: {', '.join(variables)}." if variables else ""
        lines += [".TP", f".B {roff(record[0])}", roff(" ".join(record[1].split()) + named)]
    return "\n".join(lines) + "\n"


def roff(text: str) -> str:
    """Return text as roff shows it: no character of it is a command."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text
