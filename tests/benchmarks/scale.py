"""Print how nmfsep scales, as a table: python tests/benchmarks/scale.py [ROW...] [--hours LENGTH...].

A row is a function that yields lines of the table (what, figure, what is asked of it); all are run if none is named.
Inputs are synthetic and made in a temporary folder: an hour of stereo takes 4 GB of it, ten hours 40 GB. Other work on
the machine spoils the figures, so the load is told.
"""

import argparse
import functools
import os
import tempfile
from pathlib import Path

import long
import many

ROWS = {
    "hours": long.hours,
    "speed": long.speed,
    "loss": long.loss,
    "jobs": many.jobs,
    "cluster": many.cluster,
    "learning": many.learning,
}


def main():
    """Print the rows that are named."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--hours", nargs="+", type=float, default=[1], help="lengths for the row of that name")
    given = parser.parse_args()
    rows = ROWS | {"hours": functools.partial(long.hours, lengths=given.hours)}
    if unknown := set(given.rows) - set(rows):
        parser.error(f"no such rows: {', '.join(sorted(unknown))}")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| what | measured | must |\n|---|---|---|")
    for name in given.rows or rows:
        with tempfile.TemporaryDirectory() as folder:
            for line in rows[name](Path(folder)):
                print(f"| {' | '.join(line)} |", flush=True)


if __name__ == "__main__":
    main()
