"""``nmfsep completion``: the script that lets a shell complete commands, options, and their values."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import (
    CompletionItem,
    ShellComplete,
    add_completion_class,
    get_completion_class,
    shell_complete,
    split_arg_string,
)

from ..errors import NmfsepError
from ..settings.fields import PRESET_STEMS
from . import console
from .params import Name

VARIABLE = "_NMFSEP_COMPLETE"
SHELLS = {"bash": "", "zsh": "", "fish": "", "powershell": "of Windows, and pwsh elsewhere"}
POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName %(prog_name)s -ScriptBlock {
    param($word, $ast, $cursor)
    $env:COMP_WORDS = $ast.ToString()
    $env:COMP_WORD = $word
    $env:%(complete_var)s = "powershell_complete"
    try {
        %(prog_name)s | ForEach-Object {
            $kind, $value, $help = $_ -split "`t", 3
            if ($kind -eq "plain") {
                if (-not $help) { $help = $value }
                [System.Management.Automation.CompletionResult]::new($value, $value, "ParameterValue", $help)
            } else {
                [System.Management.Automation.CompletionCompleters]::CompleteFilename($word)
            }
        }
    } finally {
        Remove-Item Env:COMP_WORDS, Env:COMP_WORD, Env:%(complete_var)s
    }
}
"""


@add_completion_class
class PowerShell(ShellComplete):
    """Completion in PowerShell, which click does not know."""

    name, source_template = "powershell", POWERSHELL

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one to complete, and that."""
        words, incomplete = split_arg_string(os.environ["COMP_WORDS"])[1:], os.environ["COMP_WORD"]
        return words[:-1] if incomplete and words and words[-1] == incomplete else words, incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """Return one line: what kind it is of, the word, and its meaning."""
        return f"{item.type}\t{item.value}\t{item.help or ''}"


@click.command("completion", epilog='Example: eval "$(nmfsep completion bash)"')
@click.argument("shell", type=Name(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print the script that lets a shell (bash, zsh, fish or powershell) complete commands, options and values."""
    script: Any = get_completion_class(shell)
    console.print_text(script(ctx.find_root().command, {}, "nmfsep", VARIABLE).source())
    return 0


def complete(group: click.Command, instruction: str) -> int:
    """Answer a shell that asks for completions, or for its script."""
    return shell_complete(group, {}, "nmfsep", VARIABLE, instruction)


def paths(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Have the shell complete a file or folder."""
    return [CompletionItem(incomplete, type="dir" if param.name == "out" and ctx.info_name != "mix" else "file")]


def stem_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the stems that there will be, or are, by what the command line says so far."""
    found: Iterable[str] = ()
    with contextlib.suppress(NmfsepError, OSError, LookupError, TypeError):
        found = _stems(ctx.params)
    return [CompletionItem(name) for name in found if name.startswith(incomplete)]


def _stems(given: dict[str, Any]) -> Iterable[str]:
    if given.get("folder"):  # of mix
        from ..jobs.manifest import find, load

        return [stem["name"] for path in find(Path(given["folder"])) for stem in load(path).get("stems", [])]
    if given.get("cue_dictionary"):
        from ..guidance.dictionary import read as read_dictionary

        return [label for path in given["cue_dictionary"] for label in read_dictionary(path).labels]
    if "mixture" in given:  # of render
        from ..separation.arrange import arrange
        from ..separation.saved import read

        saved = read(given["model"])
        return arrange(saved.settings_with({}), saved.labels).names
    if given.get("preset"):
        return PRESET_STEMS[given["preset"]]
    count = given.get("components")
    return [f"component-{index + 1}" for index in range(count)] if isinstance(count, int) else ()
