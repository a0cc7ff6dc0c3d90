"""``nmfsep completion``: what a shell needs to complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from . import console
from .params import Name

SHELLS = {"bash": "", "zsh": "", "fish": ""}


@click.command("completion", epilog='Example: eval "$(nmfsep completion bash)"')
@click.argument("shell", type=Name(SHELLS))
def command(shell: str) -> int:
    """Print the script that lets a shell (bash, zsh or fish) complete commands and options."""
    from .main import cli

    script = get_completion_class(shell)
    assert script is not None
    console.print_bytes(script(cli, {}, "nmfsep", "_NMFSEP_COMPLETE").source().encode())
    return 0
