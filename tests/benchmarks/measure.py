"""What a command takes, run as a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
# in a small process between: what the parent of a process had in memory counts towards the peak of the child
MEASURE = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
wall, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


class Taken(NamedTuple):
    """Seconds by the clock and of the processors, and the peak of the resident set in megabytes."""

    wall: float
    cpu: float
    memory: float


def nmfsep(*arguments):
    """Return what one run of nmfsep takes; of several processes the memory is that of the largest."""
    command = [sys.executable, "-c", MEASURE, sys.executable, "-m", "nmfsep", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return Taken(*json.loads(done.stdout))
