"""Entry point of the command line: the group of commands, and the one place where errors become exit codes."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

# A run that was interrupted before it has anything to tidy up just dies of the signal, without a traceback.
for _signal in ("SIGINT", "SIGTERM", "SIGPIPE"):
    # a shell starts background jobs with SIGINT ignored, and that stays; SIGPIPE is ignored by Python itself
    if hasattr(signal, _signal) and (
        _signal == "SIGPIPE" or signal.getsignal(getattr(signal, _signal)) != signal.SIG_IGN
    ):
        signal.signal(getattr(signal, _signal), signal.SIG_DFL)

import click  # noqa: E402

from .. import __version__  # noqa: E402
from ..errors import NmfsepError  # noqa: E402
from ..registry import suggestion  # noqa: E402
from ..system import BROKEN_PIPE, STOP_SIGNALS, end_by, expanded  # noqa: E402
from .console import describe, log, plain, print_text, quote, say  # noqa: E402

COMMANDS = {
    "split": "Separate files into stems that add up to them.",
    "render": "Group, mask and write stems again, without factorizing.",
    "mix": "Mix stems to one file, at levels of your own.",
    "learn": "Learn templates from isolated sounds, for split -m.",
    "detect": "Find the sounds of a dictionary in recordings: a table of events.",
    "check": "Verify stems against the manifest written with them.",
    "report": "Make one HTML page to hear, see and regroup stems.",
    "rerun": "Separate again what a manifest is of, and compare the bytes.",
    "evaluate": "Score estimates against true stems: SI-SDR, SDR, SIR, SAR, bleed.",
    "inspect": "Describe a sound, stems, a saved model or a dictionary: pitches, onsets, levels.",
    "rank": "Count the components of a sound, with the evidence.",
    "factorize": "Factorize any matrix, or images into parts, by any model.",
    "doctor": "Show versions, codecs, extras, cores, memory, and what is missing.",
    "manual": "Show the manual, a page a topic.",
    "completion": "Print the completion script of a shell.",
}
BUG = 70


class Interrupted(BaseException):
    """A signal asked the program to end."""

    def __init__(self, number: int) -> None:
        self.number = number


class Group(click.Group):
    """A group whose commands are imported when they are used, each from the file of its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import one."""
        if name in self.commands or name not in COMMANDS:
            return super().get_command(ctx, name)
        command: click.Command = importlib.import_module(f".{name}", __package__).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Answer a mistyped name with the nearest right one."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"there is no command {args[0]!r}; {suggestion(args[0], list(COMMANDS))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Example: nmfsep split song.wav -k 4",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Take recordings apart by nonnegative matrix factorization, without training.

    Options can also be given as variables: NMFSEP_COMPONENTS=4 is -k 4.
    """


def main() -> NoReturn:
    """Run the command line and exit."""
    code = BUG
    _occupy()
    if sys.stdout is None:
        say("standard output: bad file descriptor")
        sys.exit(3)
    try:
        code = _run()
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()
            os.close(os.dup(sys.stdout.fileno()))  # some systems say only on closing that a file could not be written
    except Interrupted as interrupted:
        log(f"stopped by signal {interrupted.number}")
        _die(interrupted.number)
    except BrokenPipeError:
        _die(BROKEN_PIPE)
    except OSError as error:
        say(f"standard output: {(error.strerror or str(error)).lower()}")
        code = 3
        _forget_stdout()
    log(f"exit code {code}")
    sys.exit(code)


def _run() -> int:
    for number in STOP_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)
    # SIGPIPE is ignored from here on, so that a closed pipe is noticed where files can still be tidied up
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    debug = "--debug" in sys.argv
    try:
        # not cli.main(), which makes exit 1 of a closed pipe
        if instruction := os.environ.get("_NMFSEP_COMPLETE"):
            from .completion import complete

            return complete(cli, instruction)
        with cli.make_context("nmfsep", expanded(sys.argv[1:])) as context:
            result: Any = cli.invoke(context)
        return result if isinstance(result, int) else 0
    except NmfsepError as error:
        say(describe(error))
        return error.exit_code
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        print_text(f"{error.format_message()}\n")
        return 0
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "nmfsep"
        message = " ".join(plain(error.format_message()).split()).rstrip(".")
        say(f"{message}; try '{command} --help'" if ";" not in message else message)
        return 2
    except click.ClickException as error:
        say(plain(error.format_message()))
        return error.exit_code
    except OSError as error:
        if error.filename is None or debug:  # what has no name is standard output
            raise
        say(f"{quote(error.filename)}: {(error.strerror or str(error)).lower()}")
        return 1
    except MemoryError:
        say("memory does not suffice; use --max-memory, or a shorter input")
        return 1
    except Exception as error:
        if debug:
            raise
        say(f"this is a bug: {type(error).__name__}: {plain(str(error))[:200]}; run again with --debug and report it")
        return BUG


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    for each in STOP_SIGNALS:  # one is enough; a second would interrupt the tidying up
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted(number)


def _die(number: int) -> NoReturn:
    """End by the signal itself: a shell loop stops only if the program dies of it."""
    _forget_stdout()
    end_by(number)


def _occupy() -> None:
    """Give closed standard streams a place, so that no file of ours gets their numbers."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for the life of the process


def _forget_stdout() -> None:
    """Point stdout elsewhere, so that the interpreter's last flush has nothing to fail on."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
