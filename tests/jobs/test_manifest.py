import builtins
import errno
import hashlib
import json
import os

import numpy as np
import pytest
import soundfile as sf

from nmfsep.errors import InputError, MismatchError, OutputError, UnreadableError, UsageError
from nmfsep.jobs.manifest import (
    SCHEMA,
    encode,
    file_sha256,
    find,
    listed_files,
    listed_model,
    load,
    load_if_any,
    mixture_of,
    verify,
    versions,
    written_by_us,
)
from nmfsep.jobs.plan import plan
from nmfsep.jobs.run_options import RunOptions, stem_names_in
from nmfsep.jobs.track import separate_file
from nmfsep.settings.commands import OutputSettings
from nmfsep.settings.separation import Settings

QUICK = Settings(components=2, n_fft=256, max_iter=2, threads=1)


def separate(folder, source="PCM_16", level=0.5, **output):
    """Separate noise of that level; return the path of the manifest."""
    samples = level * np.random.default_rng(0).uniform(-1, 1, (1000, 2))
    limited = np.clip(samples, -1, 1) if source.startswith("PCM") else samples
    sf.write(folder / "song.wav", limited, 8000, source)
    options = OutputSettings(out=str(folder / "out"), **output)
    job = plan([str(folder / "song.wav")], RunOptions(QUICK, options))[0]
    separate_file(job, RunOptions(QUICK, options)).result()
    return job.manifest


@pytest.fixture
def track(tmp_path):
    return separate(tmp_path)


def edit(path, change):
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_bytes(encode(manifest))


def rehash(path, index):
    """Let the manifest vouch for a stem as it is now."""
    manifest = json.loads(path.read_bytes())
    stem = path.parent / manifest["stems"][index]["file"]
    manifest["stems"][index] |= {"sha256": file_sha256(stem), "bytes": stem.stat().st_size}
    path.write_bytes(encode(manifest))


def test_what_was_written_is_verified(track):
    assert verify(track) == "hashes match; the stems add up to the input, error 0"


@pytest.mark.parametrize(
    ("source", "level", "output"),
    [
        ("PCM_U8", 0.5, {}),
        ("PCM_32", 1.0, {}),
        ("FLOAT", 4.0, {}),
        ("FLOAT", 1e-40, {}),
        ("DOUBLE", 1e300, {}),
        ("PCM_16", 1.0, {"subtype": "PCM_24"}),
        ("PCM_16", 1.0, {"subtype": "FLOAT"}),
        ("PCM_24", 1.0, {"format": "flac"}),
        ("PCM_16", 0.5, {"offset": 0.05, "duration": 0.05}),
        ("PCM_U8", 2.5, {"clip_mode": "rescale"}),
        ("PCM_16", 2.5, {"clip_mode": "rescale"}),
        ("PCM_24", 0.5, {"subtype": "PCM_16"}),
        ("FLOAT", 0.5, {"subtype": "PCM_16"}),
        ("FLOAT", 4.0, {"subtype": "PCM_16"}),
        ("DOUBLE", 0.5, {"format": "flac"}),
    ],
)
def test_what_was_written_in_another_format_or_at_another_level_is_verified(tmp_path, source, level, output):
    assert "add up to the input" in verify(separate(tmp_path, source, level, **output))


@pytest.mark.parametrize("output", [{"only": ("component-2",)}, {"format": "ogg"}])
def test_no_sum_is_claimed_where_there_cannot_be_one(tmp_path, output):
    assert "no sum was checked" in verify(separate(tmp_path, **output))


@pytest.mark.parametrize("place", [0, 20, 44, -1])
def test_a_flipped_bit_anywhere_is_found(track, place):
    stem = track.parent / "component-2.wav"
    data = bytearray(stem.read_bytes())
    data[place] ^= 1
    stem.write_bytes(data)
    with pytest.raises(MismatchError, match=r"'component-2\.wav' has changed since it was written") as caught:
        verify(track)
    assert caught.value.path == str(track)


def test_a_missing_stem_is_found(track):
    (track.parent / "component-1.wav").unlink()
    with pytest.raises(MismatchError, match=r"'component-1\.wav' is missing"):
        verify(track)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_stem_of_another_size_is_found_with_both_sizes(track, change):
    stem = track.parent / "component-1.wav"
    size = stem.stat().st_size
    os.truncate(stem, size + change)
    with pytest.raises(MismatchError, match=f"has {size + change} bytes, not {size}"):
        verify(track)


def test_stems_that_do_not_add_up_are_found_even_if_vouched_for(track):
    stem = track.parent / "component-1.wav"
    samples, rate = sf.read(stem, dtype="int16")
    samples[500, 1] += 1
    sf.write(stem, samples, rate, "PCM_16")
    rehash(track, 0)
    with pytest.raises(MismatchError, match="differ from the input by"):
        verify(track)


def test_a_short_stem_is_found_even_if_vouched_for(track):
    stem = track.parent / "component-2.wav"
    samples, rate = sf.read(stem, dtype="int16")
    sf.write(stem, samples[:-1], rate, "PCM_16")
    rehash(track, 1)
    with pytest.raises(MismatchError, match="differ from the input by"):
        verify(track)


@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(b"other")])
def test_without_the_input_only_hashes_are_checked(track, tmp_path, change):
    change(tmp_path / "song.wav")
    assert verify(track) == "hashes match; the input is not at hand, so no sum was checked"


def test_a_folder_that_was_moved_with_its_input_is_verified(track, tmp_path):
    (tmp_path / "new").mkdir()
    os.rename(tmp_path / "out", tmp_path / "new" / "out")
    os.rename(tmp_path / "song.wav", tmp_path / "new" / "song.wav")
    assert "add up" in verify(tmp_path / "new" / "out" / "song" / "song.nmfsep.json")


def test_a_schema_of_the_future_is_refused(track):
    edit(track, lambda manifest: manifest.update(schema=SCHEMA + 1))
    with pytest.raises(InputError, match=f"has schema {SCHEMA + 1}; this version knows up to {SCHEMA}.*upgrade"):
        verify(track)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"null",
        b"3",
        b"[]",
        b'"schema"',
        b"{}",
        b'{"schema": 1}',
        b'{"schema": "1", "stems": []}',
        b'{"schema": 1, "stems": 3}',
        b'{"schema": 1, "stems": {"a": 1}}',
        b'{"schema": 1, "stems": [{}]}',
        b'{"schema": 1, "stems": [{"file": 3, "sha256": ""}]}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"schema": ' + b"9" * 5000 + b', "stems": []}',
    ],
)
def test_junk_is_no_manifest(tmp_path, data):
    (tmp_path / "a.nmfsep.json").write_bytes(data)
    with pytest.raises(InputError, match="is not a manifest of nmfsep"):
        verify(tmp_path / "a.nmfsep.json")


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [
        ((), "input", None),
        ((), "input", "text"),
        ((), "sum_tolerance", None),
        ((), "sum_tolerance", "text"),
        ((), "gain", None),
        ((), "gain", "text"),
        (("input",), "sha256", None),
        (("input",), "length", None),
        (("input",), "length", "text"),
        (("input",), "relative", 3),
        (("stems", 0), "bytes", None),
    ],
)
def test_a_manifest_that_lacks_what_a_check_needs_is_no_manifest(track, place, key, value):
    def change(manifest):
        for step in place:
            manifest = manifest[step]
        manifest[key] = value
        if value is None:
            del manifest[key]

    edit(track, change)
    with pytest.raises(InputError, match="is not a manifest of nmfsep"):
        verify(track)


def other_kind(folder, **changes):
    """Write a manifest of something else than a separation, and the file that it lists."""
    (folder / "W.npy").write_bytes(b"numbers")
    entry = {"name": "W", "file": "W.npy", "bytes": 7, "sha256": hashlib.sha256(b"numbers").hexdigest()}
    manifest = {"schema": SCHEMA, "kind": "factorization", "complete": True, "files": [entry]} | changes
    (folder / "x.nmfsep.json").write_bytes(encode(manifest))
    return folder / "x.nmfsep.json"


def test_a_manifest_of_another_kind_vouches_for_its_files(tmp_path):
    path = other_kind(tmp_path)
    assert verify(path) == "hashes match"
    assert written_by_us(path) == {tmp_path / "W.npy"}
    (tmp_path / "W.npy").write_bytes(b"changed")
    with pytest.raises(MismatchError, match=r"file 'W\.npy' has changed since it was written"):
        verify(path)


@pytest.mark.parametrize("changes", [{"files": 3}, {"files": [{}]}, {"complete": "yes"}, {"schema": "1"}])
def test_junk_of_another_kind_is_no_manifest(tmp_path, changes):
    with pytest.raises(InputError, match="is not a manifest of nmfsep"):
        verify(other_kind(tmp_path, **changes))


def test_a_manifest_that_is_missing_or_a_folder_is_told(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load(tmp_path / "none")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_manifests_are_found_below_a_folder_in_order(tmp_path):
    for name in ("b/x.nmfsep.json", "a/y.nmfsep.json", "a/other.json", "z.nmfsep.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find(tmp_path)]
    assert found == ["a/y.nmfsep.json", "b/x.nmfsep.json", "z.nmfsep.json"]
    assert list(find(tmp_path / "a" / "other.json")) == [tmp_path / "a" / "other.json"]


def test_files_as_they_were_written_are_ours_and_others_are_not(track):
    folder = track.parent
    assert written_by_us(track) == {folder / "component-1.wav", folder / "component-2.wav"}
    with open(folder / "component-1.wav", "ab") as file:
        file.write(b"x")
    assert written_by_us(track) == {folder / "component-2.wav"}
    os.rename(folder / "component-2.wav", folder / "kept.wav")
    (folder / "component-2.wav").symlink_to("kept.wav")
    assert written_by_us(track) == set()


def test_nothing_is_ours_where_the_manifest_is_none(tmp_path):
    (tmp_path / "a").write_bytes(b"junk")
    assert written_by_us(tmp_path / "a") == written_by_us(tmp_path / "none") == set()


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ENOMEM])
@pytest.mark.parametrize("call", ["os.lstat", "builtins.open"])
def test_a_stem_that_the_system_does_not_show_is_no_strangers(track, monkeypatch, call, number):
    module, name = call.split(".")
    real = getattr(os if module == "os" else builtins, name)

    def fail(path, *arguments, **options):
        if os.fsdecode(path).endswith(".wav"):
            raise OSError(number, os.strerror(number))
        return real(path, *arguments, **options)

    monkeypatch.setattr(call, fail)
    with pytest.raises(UnreadableError, match=os.strerror(number).lower()):
        written_by_us(track)


@pytest.mark.parametrize("absolute", [True, False])
def test_a_manifest_cannot_claim_files_outside_its_folder(track, tmp_path, absolute):
    victim = tmp_path / "precious.txt"
    victim.write_bytes(b"not a stem")
    name = str(victim) if absolute else "../../precious.txt"
    entry = {"file": name, "bytes": 10, "sha256": hashlib.sha256(b"not a stem").hexdigest()}
    edit(track, lambda manifest: manifest["stems"].append(entry))
    assert victim not in {path.resolve() for path in written_by_us(track)}


@pytest.mark.parametrize("name", ["ü\n.wav", os.fsdecode(b"\xff.wav")])
def test_any_file_name_comes_back_from_a_manifest(track, name):
    edit(track, lambda manifest: manifest["stems"][0].update(file=name))
    assert load(track)["stems"][0]["file"] == name


def test_a_saved_model_is_vouched_for_like_a_stem(tmp_path):
    track = separate(tmp_path, save_model=True)
    model = track.parent / "song.nmf.npz"
    assert listed_model(track) == model
    assert model in written_by_us(track)
    assert "add up" in verify(track)
    model.write_bytes(model.read_bytes() + b"x")
    assert model not in written_by_us(track)
    with pytest.raises(MismatchError, match=r"'song\.nmf\.npz' has .* bytes, not"):
        verify(track)
    model.unlink()
    with pytest.raises(MismatchError, match=r"'song\.nmf\.npz' is missing"):
        verify(track)


def test_the_mixture_of_a_model_is_found_by_the_manifest_beside_it(tmp_path):
    track = separate(tmp_path, save_model=True)
    assert mixture_of(str(track.parent / "song.nmf.npz")) == str(tmp_path / "song.wav")
    for other in ("other.nmf.npz", "song.npz", "component-1.wav"):
        assert mixture_of(str(track.parent / other)) is None
    edit(track, lambda manifest: manifest["input"].update(relative=None))
    assert mixture_of(str(track.parent / "song.nmf.npz")) is None
    track.unlink()
    assert mixture_of(str(track.parent / "song.nmf.npz")) is None


@pytest.mark.parametrize("model", [None, "../song.nmf.npz", "/elsewhere/song.nmf.npz"])
def test_no_model_is_vouched_for_outside_the_folder_or_without_an_entry(tmp_path, model):
    track = separate(tmp_path, save_model=True)
    edit(track, lambda manifest: manifest.update(model=model and manifest["model"] | {"file": model}))
    assert listed_model(track) is None


@pytest.mark.parametrize("model", ["song.nmf.npz", [], 1, {"file": 1}])
def test_a_model_entry_that_makes_no_sense_makes_no_manifest(track, model):
    edit(track, lambda manifest: manifest.update(model=model))
    if model:
        with pytest.raises(InputError, match="is not a manifest of nmfsep"):
            load(track)


def test_versions_name_what_decides_the_bytes():
    assert {"nmfsep", "numpy", "libsndfile"} <= set(versions())
    assert versions()["libsndfile"] == sf.__libsndfile_version__


def test_an_input_that_is_gone_before_it_is_vouched_for_is_known_by_what_was_read(tmp_path):
    before = separate(tmp_path)
    known = json.loads(before.read_bytes())["input"]["sha256"]
    options = OutputSettings(out=str(tmp_path / "out"))
    job = plan([str(tmp_path / "song.wav")], RunOptions(QUICK, options))[0]
    separate_file(job, RunOptions(QUICK, options), lambda *_: (tmp_path / "song.wav").unlink(missing_ok=True)).result()
    source = json.loads(job.manifest.read_bytes())["input"]
    assert (source["relative"], source["sha256"]) == (None, known)
    assert verify(job.manifest) == "hashes match; the input is not at hand, so no sum was checked"


def test_an_input_that_changes_while_it_is_read_is_not_vouched_for(tmp_path):
    before = separate(tmp_path).read_bytes()
    options = OutputSettings(out=str(tmp_path / "out"))
    job = plan([str(tmp_path / "song.wav")], RunOptions(QUICK, options))[0]

    def spoil(*_):
        with open(tmp_path / "song.wav", "ab") as file:
            file.write(b"more")

    with pytest.raises(InputError, match="changed while it was read; run again when it is whole"):
        separate_file(job, RunOptions(QUICK, options), spoil).result()
    assert job.manifest.read_bytes() == before


@pytest.mark.parametrize("key", ["schema", "complete", "stems", "input", "gain", "sum_tolerance", "format"])
def test_a_manifest_without_a_field_vouches_for_nothing_and_breaks_nothing(track, tmp_path, key):
    edit(track, lambda manifest: manifest.pop(key))
    assert written_by_us(track) == set()
    options = OutputSettings(out=str(tmp_path / "out"))
    with pytest.raises(UsageError, match="exists and was not written by nmfsep"):
        plan([str(tmp_path / "song.wav")], RunOptions(QUICK, options), resume=True)
    with pytest.raises(InputError, match="is not a manifest of nmfsep"):
        verify(track)


@pytest.mark.parametrize(("key", "value"), [("gain", float("nan")), ("sum_tolerance", float("nan")), ("gain", 10**400)])
def test_stems_are_not_said_to_add_up_by_numbers_that_are_none(track, key, value):
    edit(track, lambda manifest: manifest.update({key: value}))
    with pytest.raises(InputError, match="is not a manifest of nmfsep"):
        verify(track)


@pytest.mark.parametrize(("key", "value"), [("length", 10**15), ("offset", 10**6), ("offset", -1)])
def test_a_stretch_that_the_input_does_not_have_is_found_at_once(track, key, value):
    edit(track, lambda manifest: manifest["input"].update({key: value}))
    with pytest.raises((InputError, MismatchError)):
        verify(track)


@pytest.mark.parametrize("code", [errno.EIO, errno.EMFILE])
def test_a_manifest_that_the_system_cannot_read_is_not_taken_for_none(tmp_path, monkeypatch, code):
    path = tmp_path / "song.nmfsep.json"
    path.write_text("{}")

    def refused(*args, **options):
        raise OSError(code, os.strerror(code))

    assert listed_files(path) == []
    monkeypatch.setattr(type(path), "read_bytes", refused)
    with pytest.raises(OutputError, match=os.strerror(code).lower()):
        listed_files(path)
    with pytest.raises(InputError, match=os.strerror(code)):
        load_if_any(path)


def test_a_manifest_of_another_kind_names_no_stems(tmp_path):
    path = tmp_path / "song.nmfsep.json"
    path.write_bytes(encode({"schema": SCHEMA, "kind": "x", "complete": True, "files": [], "stems": 5}))
    assert load(path)["stems"] == 5
    assert stem_names_in(path, ("component-1",), (0,)) == ["component-1"]
