"""Many files at a time, and learning from files, as Python users call them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from nmfsep.batch.corpus import learn_files
from nmfsep.batch.tracks import Batch
from nmfsep.errors import InputError, UsageError
from nmfsep.guidance import dictionary
from nmfsep.jobs.inputs import Input
from nmfsep.jobs.plan import forecast
from nmfsep.jobs.run_options import RunOptions
from nmfsep.results.inspect import dictionary_document, kind_of
from nmfsep.settings import LearnSettings, OutputSettings, Settings

RATE = 8000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two short sounds, and one file that is none."""
    rng = np.random.default_rng(0)
    for name in ("a.wav", "b.wav"):
        sf.write(tmp_path / name, 0.3 * rng.standard_normal(RATE).clip(-3, 3), RATE, "PCM_16")
    (tmp_path / "broken.wav").write_bytes(b"RIFF nothing")
    return tmp_path


def batch_of(folder: Path, *names: str, **options: object) -> Batch:
    settings = Settings(components=2, atoms=1, max_iter=3, threads=1)
    output = OutputSettings(out=str(folder / "out"))
    return Batch([Input(str(folder / name)) for name in names], RunOptions(settings, output), **options)  # type: ignore[arg-type]


def test_each_file_is_separated_though_one_is_broken(folder: Path) -> None:
    shares: list[float] = []
    with batch_of(folder, "a.wav", "broken.wav", "b.wav") as batch:
        batch.prepare(str(folder / "d.mk"))
        outcomes = dict(batch.run(lambda number, share: shares.append(share)))
    batch.write_dependencies()
    assert [outcomes[number].status for number in range(3)] == ["done", "failed", "done"]
    assert isinstance(outcomes[1].error, InputError)
    assert len(list((folder / "out").rglob("*.wav"))) == 4
    assert (folder / "d.mk").read_text().count(": ") == 2
    assert shares


def test_a_batch_ends_at_the_first_failure_if_that_is_wanted(folder: Path) -> None:
    with batch_of(folder, "broken.wav", "a.wav") as batch:
        assert [outcome.status for _, outcome in batch.run(fail_fast=True)] == ["failed"]


def test_a_forecast_names_the_files_that_are_written_then(folder: Path) -> None:
    with batch_of(folder, "a.wav", only_look=True) as batch:
        (job,) = batch.jobs
        found = forecast(job, batch.options)
    assert not (folder / "out").exists()
    with batch_of(folder, "a.wav") as batch:
        list(batch.run())
    assert all(path.exists() for path in found.results)
    assert found.budget.need > 0


def test_notes_are_reported_once_and_processes_and_a_scheduler_exclude_each_other(folder: Path) -> None:
    notes: list[tuple[str | None, str]] = []
    settings = Settings(components=2, solver="hals", divergence="frobenius")
    with Batch([Input(str(folder / "a.wav"))], RunOptions(settings), report=lambda *note: notes.append(note)):
        pass
    assert [path for path, _ in notes] == [None]
    with pytest.raises(UsageError, match="leave out -j or --scheduler"):
        batch_of(folder, "a.wav", processes=2, scheduler="tcp://localhost:1")


def test_a_dictionary_is_learned_from_files_and_added_to(folder: Path) -> None:
    target, settings = folder / "kit.npz", LearnSettings(components="2", max_iter=2, threads=1)
    learned = learn_files([f"a={folder / 'a.wav'}", str(folder / "broken.wav")], target, settings)
    assert (learned.files, learned.lost) == ({"a": 1}, ())
    assert [error.path for error in learned.left_out] == [str(folder / "broken.wav")]
    again = learn_files([f"b={folder / 'b.wav'}"], target, settings, append=True)
    assert again.new.labels == ("b",)
    assert dictionary.read(target).labels == ("a", "b")
    assert [row["label"] for row in dictionary_document("kit.npz", again.dictionary)["labels"]] == ["a", "b"]
    assert learn_files([f"c={folder / 'b.wav'}"], target, settings).lost == ("a", "b")


def test_a_setting_that_was_given_is_refused_where_the_dictionary_has_another(folder: Path) -> None:
    target, settings = folder / "kit.npz", LearnSettings(components="2", max_iter=2, threads=1, divergence="is")
    learn_files([f"a={folder / 'a.wav'}"], target, settings)
    default = LearnSettings(components="2", max_iter=2, threads=1)
    given = LearnSettings(components="2", max_iter=2, threads=1, divergence="kl", given=["divergence"])
    with pytest.raises(UsageError, match="the dictionary has is, not --divergence kl"):
        learn_files([f"b={folder / 'b.wav'}"], target, given, append=True)
    assert learn_files([f"b={folder / 'b.wav'}"], target, default, append=True).dictionary.divergence == "is"


def test_a_file_is_known_by_what_is_in_it(folder: Path) -> None:
    with batch_of(folder, "a.wav") as batch:
        list(batch.run())
    learn_files([f"a={folder / 'a.wav'}"], folder / "kit.npz", LearnSettings(components="2", max_iter=2, threads=1))
    manifest = next((folder / "out").rglob("*.nmfsep.json"))
    paths = {"sound": "a.wav", "dictionary": "kit.npz", "separation": "out"}
    assert {kind: kind_of(str(folder / name)) for kind, name in paths.items()} == {kind: kind for kind in paths}
    assert kind_of(str(manifest)) == "separation"
