"""Runs nmfsep many times, each in a fork of one process that has everything loaded, since loading takes longest.

``python forks.py FOLDER`` reads a JSON list of argument lists from standard input. The run of each number leaves its
`NUMBER.out` and `NUMBER.err` in FOLDER; the exit codes are printed.
"""

from __future__ import annotations

import json
import os
import sys


def run(arguments: list[str], name: str) -> None:
    """Become nmfsep, and end without tidying up the interpreter, which takes longest of the rest."""
    for number, ending in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{name}.{ending}", os.O_WRONLY | os.O_CREAT), number)
    sys.argv[:] = ["nmfsep", *arguments]
    try:
        main()
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(end.code or 0))


if __name__ == "__main__":
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    import nmfsep.batch
    import nmfsep.cli.inspect
    import nmfsep.cli.learn
    import nmfsep.cli.split
    import nmfsep.training
    from nmfsep.cli.main import main

    nmfsep.separate(nmfsep.Audio([[0.0] * 4096], 8000), 2, threads=1)
    for turn, given in enumerate(json.load(sys.stdin)):
        child = os.fork()
        if child == 0:
            run(given, os.path.join(sys.argv[1], str(turn)))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
