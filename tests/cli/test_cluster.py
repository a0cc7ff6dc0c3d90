"""Work at the workers of a cluster."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from operator import add, attrgetter
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cli_harness import PATIENCE, RATE, ROOT, Cli, digests, files

from nmfsep.batch import cluster as nmfsep_cluster
from nmfsep.errors import UsageError
from nmfsep.guidance.learn import Here, Sound, sums_of
from nmfsep.kernels.divergence import as_divergence
from nmfsep.nmf.problem import Problem
from nmfsep.signal.stft import STFT

pytest.importorskip("distributed")

pytestmark = pytest.mark.cluster
QUICK = ("-k", "2", "--max-iter", "5", "--n-fft", "512")
Cluster = tuple[str, list[int]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Yield the address of a scheduler and the process numbers of its two workers, which run in another folder."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("cluster.py")], cwd=tmp_path_factory.mktemp("cluster"), env=env,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout
    address, pids = json.loads(process.stdout.readline())
    yield address, pids
    process.communicate(timeout=PATIENCE)


def test_stems_are_the_same_bytes_and_a_bad_file_fails_alone(cli: Cli, song: Path, broken: Path, cluster: Cluster):
    names = ["a.wav", "b.wav", "c.wav"]
    for name in names:
        shutil.copy(song, cli.folder / name)
    here = cli("split", *names, *QUICK, "-o", "here")
    there = cli("split", *names, "broken.wav", *QUICK, "-o", "there", "--scheduler", cluster[0])
    assert (here.code, there.code) == (0, 1)
    assert there.err.splitlines()[0].startswith(f"nmfsep: {cli.folder}/broken.wav: ")
    assert there.err.splitlines()[1:] == ["nmfsep: 3 of 4 inputs done, 1 failed"]
    assert sorted(there.paths) == sorted(str(cli.folder / path.replace("here", "there", 1)) for path in here.paths)
    sounds = [name for name in files(cli.folder / "here") if name.endswith(".wav")]
    assert digests(sounds, cli.folder / "here") == digests(sounds, cli.folder / "there")
    assert cli("check", "there").code == 0


@pytest.mark.smoke
def test_a_dictionary_is_the_same_bytes(cli: Cli, workshop: Path, cluster: Cluster):
    learn = ("learn", "kick=kick.wav", "snare=snares", "-k", "kick=3,snare=8", "-o")
    for options in (("there.npz", "--scheduler", cluster[0]), ("processes.npz", "-j", "2")):
        result = cli(*learn, *options)
        assert (result.code, result.err) == (0, "")
        assert (workshop / options[0]).read_bytes() == (workshop / "kit.npz").read_bytes()


def test_arrays_that_are_sent_lie_in_memory_as_they_do_here(cluster: Cluster):
    rng = np.random.default_rng(0)
    sounds = [rng.standard_normal(40000 + count).astype(np.float32) for count in range(8)]
    items = [(Sound(str(number), partial(np.asarray, sound)), None) for number, sound in enumerate(sounds)]
    stft, problem = STFT(512), Problem(as_divergence("kl"))
    with nmfsep_cluster.Cluster(cluster[0]) as there:
        places = [place["data"][0] for _, place in there.run(attrgetter("__array_interface__"), sounds)]
        assert [place % 16 for place in places] == [0] * 8
        for count in (3, 5, 7):
            common = rng.uniform(size=(count, 257)).astype(np.float32), stft, problem, 1, True
            sums, wanted = there.total(sums_of, items, common), Here().total(sums_of, items, common)
            assert (sums.negative.tobytes(), sums.loss) == (wanted.negative.tobytes(), wanted.loss)


def test_two_runs_at_one_scheduler_keep_their_functions_apart(cluster: Cluster):
    first, second = (partial(add, letter * 200_000) for letter in ("a", "b"))
    with nmfsep_cluster.Cluster(cluster[0]) as one, nmfsep_cluster.Cluster(cluster[0]) as other:
        runs = one.run(first, ["x"] * 8), other.run(second, ["x"] * 8)
        for (_, a), (_, b) in zip(*runs, strict=True):
            assert (a, b) == (first("x"), second("x"))


@pytest.mark.slow
def test_learning_outlives_a_worker_that_is_killed(cli: Cli, cluster: Cluster):
    rng = np.random.default_rng(0)
    t = np.arange(7 * RATE) / RATE
    (cli.folder / "in").mkdir()
    for number in range(200):  # more than is kept in memory, so that passes over all files follow
        sound = np.sin(2 * np.pi * rng.uniform(100, 900) * t) * np.exp(-4 * (t % 0.5))
        sound += 0.05 * rng.standard_normal(len(t))
        sf.write(cli.folder / f"in/{number:03}.wav", 0.3 * sound, RATE, "PCM_16")
    learn = ("learn", "all=in", "-k", "20", "-v", "-o")
    here = cli.start(*learn, "here.npz")
    here.communicate(timeout=10 * PATIENCE)
    assert here.returncode == 0
    process = cli.start(*learn, "there.npz", "--scheduler", cluster[0])
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(8)
    os.kill(cluster[1][0], signal.SIGKILL)
    out, err = process.communicate(timeout=10 * PATIENCE)
    assert (process.returncode, out) == (0, b"there.npz\n"), err
    assert b"of 200 files" in err
    assert (cli.folder / "there.npz").read_bytes() == (cli.folder / "here.npz").read_bytes()


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--scheduler", "gopher://x:1"), 2, "no scheduler answers at 'gopher://x:1'; give one like tcp://head:8786"),
        (("--scheduler", "tcp://no host:1"), 2, "no scheduler answers at 'tcp://no host:1'"),
        (("--scheduler", "tcp://127.0.0.1:1", "-j", "2"), 2, "leave out -j or --scheduler"),
        (("--scheduler", "tcp://127.0.0.1:1", "-o", "-"), 2, "leave out one"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(cli: Cli, song: Path, options: tuple[str, ...], code: int, says: str):
    result = cli("split", "song.wav", *QUICK, *options)
    assert (result.code, result.out) == (code, b"")
    assert result.err.count("\n") == 1
    assert says in result.err


def test_a_scheduler_that_does_not_answer_is_waited_for_and_not_for_ever():
    said: list[str] = []
    with (
        pytest.raises(UsageError, match="no scheduler answers"),
        nmfsep_cluster.Cluster("tcp://127.0.0.1:1", said.append, 0.3),
    ):
        pass
    assert said == ["waiting up to 0 s for the scheduler at 'tcp://127.0.0.1:1'"]


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"", b"short", None])
def test_what_is_no_scheduler_is_told_from_one(greeting: bytes | None):
    def answer() -> None:
        with contextlib.suppress(OSError):
            connection, _ = server.accept()
            with connection:
                if greeting is None:
                    connection.recv(1)  # waits to be asked
                else:
                    connection.sendall(greeting)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(UsageError, match=f"no scheduler answers at '{address}'"):
            nmfsep_cluster.Cluster(address, patience=0.5).__enter__()
        assert time.monotonic() - began < 10


def test_remote_files_are_read_wherever_the_work_is_done(cli: Cli, song: Path, cluster: Cluster):
    url = song.as_uri()
    there = cli("split", url, *QUICK, "-o", "there", "--scheduler", cluster[0])
    assert (there.code, there.err) == (0, "")
    assert cli("split", "song.wav", url, *QUICK, "-o", "here", "--filename", "{stem}-{parent}.{ext}").code == 2
    assert cli("split", "song.wav", *QUICK, "-o", "here").code == 0
    sounds = [name for name in files(cli.folder / "here") if name.endswith(".wav")]
    assert digests(sounds, cli.folder / "here") == digests(sounds, cli.folder / "there")
    missing = cli("split", url + "x", *QUICK)
    assert (missing.code, missing.out) == (1, b"")
    assert "cannot be fetched" in missing.err
    assert cli("split", "nowhere://a.wav", *QUICK).code == 1
