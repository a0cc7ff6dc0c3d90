"""Golden outputs: what some forty command lines print and write, kept as hashes before a change and compared after it.

    python tests/golden.py --save DIR      # before
    python tests/golden.py --check DIR     # after each step, on the same machine: others may give other bytes

Not part of the test suite. A change that should move no byte must check clean; one that moves some is a decision that
says which and why. Times are left out of JSON documents; all else counts: exit code, stdout, every file.
"""

# ruff: noqa: E501 - a command line stays in one line

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SAMPLES = Path(__file__).parents[1] / "sample_audio"
NMFSEP = Path(sys.executable).with_name("nmfsep")
TIMES = {"timings", "seconds", "time"}  # keys of JSON documents that differ from run to run

# Each line is one case: commands joined by && share a folder in which the samples lie as `s`.
CASES = """
split s/triad.wav -k 3
split s/triad.wav -k 3 --fast --save-model --export-midi --export-labels && render o/triad/triad.nmf.npz s/triad.wav --mask-power 2 -o r
split s/song.wav -k 4
split s/song.wav -k 4 --atoms 8 --grouping timbre --duration 8
split s/song.wav -k 4 --grouping foreground --duration 8
split s/song.wav -k 4 --fast --stem-names auto
split s/song.wav -k 8 --start semantic
split s/song.wav -k 4 --fast --restarts 3 --seed 5
split s/song.wav -k 6 --fast --save-model && render o/song/song.nmf.npz --group band=1,3-4 --group rest=rest -o r && render o/song/song.nmf.npz --group auto:2 -o three
split s/song.wav -k 4 --save-model && render o/song/song.nmf.npz --mask binary -o r && inspect o/song/song.nmf.npz --json
split s/song.wav -k 4 --max-memory 150M
split s/song.wav -k 4 --fast --max-memory 150M --save-model && render o/song/song.nmf.npz -o r
split s/song.wav -k 3 --channels independent --fast
split s/song.wav -k 3 --channels mid --fast --residual
split s/song.wav -k 3 --mask wiener --fast
split s/song.wav -k 3 --mask binary --fast
split s/song.wav -k 3 --mask mwf --fast
split s/song.wav -k 3 --two-stems component-2 --fast --flac
split s/voice.wav -k 2
split s/voice.wav --preset voice
split s/rain.wav --preset noise
split s/drums.wav --preset drums --export-midi
split s/drums.wav -k 3 --flac
split s/drums.wav -k 3 --format ogg --fast
split s/drums.wav -k 3 --format aiff --int24 --fast
split s/drums.wav -k 3 --format w64 --float32 --fast
split s/drums.wav -k 3 --format rf64 --subtype DOUBLE --fast
split s/drums.wav -k 3 --format mp3 --fast
split s/drums.wav -k 3 --fast --only component-1 -o -
split s/drums.wav -k 3 --model nmfd --template-frames 6
split s/drums.wav -k 3 --model kmeans
split s/drums.wav -k 3 --model orthogonal
split s/drums.wav -k 3 --model semi
split s/drums.wav --levels 8,3 --model deep
split s/drums.wav --levels 8,3 --model deep-semi
split s/drums.wav -k 3 --divergence is
split s/drums.wav -k 3 --solver hals --divergence frobenius
split s/drums.wav -k 3 --solver pinv --divergence frobenius
split s/drums.wav -k 3 --solver mu --max-iter 50 --smoothness 0.5
split s/drums.wav -k auto
learn kick=s/kit/kick.wav snare=s/kit/snare.wav hihat=s/kit/hihat.wav -o kit.npz && split s/drums.wav -m kit.npz && split s/drums.wav -m kit.npz --adapt 0.3 --background 4 -o a && inspect kit.npz --json
learn kick=s/kit/kick.wav --template-frames 4 -o kit.npz && split s/drums.wav -m kit.npz --background 6
learn organ=s/stems/voice/organ.flac -o organ.npz && split s/voice.wav -m organ.npz --background 20 --max-memory 150M
split s/rain.wav --learn rain=0:00-0:01.5 --export-labels --save-model && render o/rain/rain.nmf.npz -o r
split s/rain.wav --labels s/rain.txt
split s/triad.wav --midi s/triad.mid --midi-by pitch
split s/triad.wav --midi s/triad.mid
rank s/triad.wav --json
inspect s/triad.wav -k 3 --json
split s/drums.wav -k 3 --fast -q && evaluate s/stems/drums o/drums --mixture s/drums.wav --json && check o --json
factorize X.npy -k 4 -o f
factorize X.npy -k 4 --model kmeans -o f
factorize X.npy -k 4 --model semi -o f
factorize X.csv --model deep --levels 6,3 -o f
split -r s/stems/triad -k 2 --fast -j 2
""".strip().splitlines()


def run(case: str) -> dict[str, object]:
    """Return exit codes, what was printed, and the hash of every file that a case made."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "s").symlink_to(SAMPLES)
        make_matrices(folder)
        before = {path for path in folder.rglob("*") if path.is_file()}
        printed = []
        for command in case.split(" && "):
            words = shlex.split(command)
            if words[0] in ("split", "render") and "-o" not in words:
                words += ["-o", "o"]
            environment = {**os.environ, "PYTHONHASHSEED": "0"}
            done = subprocess.run(
                [NMFSEP, *words], cwd=folder, capture_output=True, stdin=subprocess.DEVNULL, env=environment
            )
            out = done.stdout
            if "-j" in words:  # paths are printed as files are done
                out = b"\n".join(sorted(out.splitlines()))
            if out.startswith(b"{"):
                out = b"\n".join(canonical(line) for line in documents(out))
            printed.append([done.returncode, digest(out)])
            if done.returncode:
                print(f"{command}: exit {done.returncode}: {done.stderr.decode(errors='replace')}", file=sys.stderr)
        files = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path not in before and not str(path.relative_to(folder)).startswith("s/"):
                data = path.read_bytes()
                files[str(path.relative_to(folder))] = digest(canonical(data) if path.suffix == ".json" else data)
        return {"printed": printed, "files": files}


def make_matrices(folder: Path) -> None:
    """Write a small non-negative matrix, as .npy and as .csv."""
    import numpy as np

    X = np.random.default_rng(0).random((40, 30)) ** 2
    np.save(folder / "X.npy", X)
    np.savetxt(folder / "X.csv", X, delimiter=",", fmt="%.6f")


def documents(out: bytes) -> list[bytes]:
    """Return the JSON documents of an output: one a line, or one in all."""
    lines = out.splitlines()
    try:
        json.loads(lines[0])
    except ValueError:
        return [out]
    return lines


def canonical(document: bytes) -> bytes:
    """Return a JSON document without what differs from run to run."""
    return json.dumps(_without_times(json.loads(document)), sort_keys=True).encode()


def _without_times(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_times(item) for key, item in value.items() if key not in TIMES}
    return [_without_times(item) for item in value] if isinstance(value, list) else value


def digest(data: bytes) -> str:
    """Return a short hash."""
    return hashlib.sha256(data).hexdigest()[:20]


def compare(kept: dict, new: dict) -> list[str]:
    """Return a line for each difference between two sets of results."""
    lines = []
    for case in CASES:
        old, now = kept.get(case), new.get(case)
        if old is None or now is None or old == now:
            continue
        if old["printed"] != now["printed"]:
            lines.append(f"{case}: printed {old['printed']} -> {now['printed']}")
        for name in sorted(old["files"].keys() | now["files"].keys()):
            if old["files"].get(name) != now["files"].get(name):
                lines.append(f"{case}: {name}")
    return lines


def main() -> None:
    """Run all cases, and keep or compare the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", type=Path, metavar="DIR")
    parser.add_argument("--check", type=Path, metavar="DIR")
    parser.add_argument("--only", default="", help="cases that contain this")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    cases = [case for case in CASES if arguments.only in case]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        results = dict(zip(cases, pool.map(run, cases), strict=True))
    if arguments.save:
        arguments.save.mkdir(parents=True, exist_ok=True)
        (arguments.save / "golden.json").write_text(json.dumps(results, indent=1))
    if arguments.check:
        kept = json.loads((arguments.check / "golden.json").read_text())
        lines = compare(kept, results)
        known = len(kept.keys() & results.keys())
        print("\n".join(lines) or f"{known} cases, no difference; {len(results) - known} that were not saved")
        raise SystemExit(bool(lines))


if __name__ == "__main__":
    main()
