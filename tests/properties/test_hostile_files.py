"""Whatever bytes a file has, reading it gives a result or one clear line, never another exception.

A valid small file of each kind is changed where it hurts: fields of JSON get other types, huge numbers or go missing,
bytes are flipped, cut, doubled, members of archives packed otherwise.
"""

import contextlib
import io
import json
import struct
import zipfile

import numpy as np
import pytest
import soundfile as sf
from hypothesis import HealthCheck, given, settings, strategies as st

from nmfsep.errors import NmfsepError
from nmfsep.guidance import dictionary
from nmfsep.guidance.dictionary import Dictionary
from nmfsep.guidance.templates import Templates
from nmfsep.jobs import manifest
from nmfsep.jobs.inputs import gather, listed
from nmfsep.jobs.manifest import verify
from nmfsep.jobs.plan import plan
from nmfsep.jobs.run_options import RunOptions, expected_entries, is_up_to_date, stem_names_in
from nmfsep.jobs.track import separate_file
from nmfsep.matrices.load import read_images, read_matrix
from nmfsep.registry import CUES
from nmfsep.results.inspect import inspect_separated
from nmfsep.separation import saved as saved_file
from nmfsep.settings.commands import OutputSettings
from nmfsep.settings.separation import Settings
from nmfsep.signal.stft import STFT

EXAMPLES = 30
few = settings(
    derandomize=True,
    deadline=None,
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
chances = st.randoms(use_true_random=False)
QUICK = Settings(components=2, n_fft=64, max_iter=1, threads=1)
MISSING, DEEP = object(), "deep"
ODD = [
    MISSING, None, True, -1, 0, 0.5, 10**30, 10**400, 1e308, float("nan"), float("inf"), "", "x" * 300, "\0", "\ud800",
    "../../x", [], {}, [None], {"": 0}, [[]], "1", 3, DEEP,
]  # fmt: skip
PACKINGS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


def shake(data, chance):
    """Return bytes that were flipped, cut, doubled or put in, in one to three places."""
    data = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        place, kind = chance.randrange(len(data) + 1), chance.randrange(5)
        if kind == 0:
            del data[place:]
        elif kind == 1:
            data[place:place] = data[place : place + chance.randint(1, 50)]
        elif kind == 2:
            data[place:place] = bytes(chance.choices(b"\0\xff(){}[]'\"\r\n,#-+9eE\x7f", k=chance.randint(1, 8)))
        elif kind == 3:
            del data[place : place + chance.randint(1, 20)]
        elif place < len(data):
            data[place] ^= 1 << chance.randrange(8)
    return bytes(data)


def places(document, so_far=()):
    """Yield the way to each value of JSON."""
    steps = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for step, value in steps:
        yield (*so_far, step)
        yield from places(value, (*so_far, step))


def distort(document, chance):
    """Return JSON in which one to three values are others, or missing."""
    document = json.loads(json.dumps(document))
    for _ in range(chance.randint(1, 3)):
        *way, last = chance.choice(list(places(document)) or [(None,)])
        inner, value = document, chance.choice(ODD)
        if last is None:
            break
        for step in way:
            inner = inner[step]
        if value is MISSING:
            del inner[last]
        else:
            inner[last] = value
    return document


def as_text(document):
    """Return JSON as text, where that was chosen for a value with one that is nested deeply."""
    return json.dumps(document).replace(json.dumps(DEEP), "[" * 10_000 + "]" * 10_000)


def repack(data, chance):
    """Return a zip archive with members that are packed otherwise, distorted, encrypted, missing or there twice."""
    whole = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(whole, "w") as new:
        names, victim = old.namelist(), chance.choice(old.namelist())
        for name in names:
            member = old.read(name)
            if name == victim:
                kind = chance.randrange(6)
                if kind == 0:
                    continue
                if kind == 1:
                    member = shake(member, chance)
                elif kind == 2:
                    member = shake(member[:128], chance) + member[128:]
                elif kind == 3:
                    array = np.load(io.BytesIO(old.read("W0.npy" if "W0.npy" in names else name)))
                    other = array.astype(chance.choice(["f8", "i2", "c8", "U5", "V3", "M8[s]", ">f4", "O"]), copy=False)
                    member = saved(other)
                elif kind == 4:
                    array = np.load(io.BytesIO(member))
                    if array.dtype.kind == "f":
                        array = array.copy()
                        array.flat[0] = chance.choice([np.nan, np.inf, -1, 1e38])
                    member = saved(array.reshape(-1) if chance.random() < 0.5 else array[None])
            if name == "meta.npy" and chance.random() < 0.7:
                about = json.loads(str(np.load(io.BytesIO(old.read(name)))))
                member = saved(np.array(as_text(distort(about, chance))))
            new.writestr(name, member, chance.choice(PACKINGS) if name == victim else zipfile.ZIP_STORED)
    packed = bytearray(whole.getvalue())
    if chance.random() < 0.2:  # the bit that says a member is encrypted, or a method that nobody knows
        for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            place = packed.find(mark)
            if chance.random() < 0.5:
                packed[place + offset] |= 1
            else:
                packed[place + offset + 2 : place + offset + 4] = struct.pack("<H", chance.choice([9, 93, 99]))
    return shake(packed, chance) if chance.random() < 0.2 else bytes(packed)


def saved(array):
    """Return an array as the bytes of an .npy file."""
    file = io.BytesIO()
    with contextlib.suppress(ValueError, TypeError):
        np.save(file, array, allow_pickle=array.dtype.hasobject)
    return file.getvalue()


def survives(function, *args):
    """Call a function, which may refuse what it is given, in one line."""
    with contextlib.suppress(NmfsepError):  # BugError is raised by tasks only
        return function(*args)
    return None


def allow(shape, size, *, entries=None, on_disk=False):
    """Let in what a test can hold."""
    if (np.prod(shape, dtype=float) if entries is None else entries) * size > 1e7:
        raise NmfsepError("too large")
    return True


@pytest.fixture(scope="module")
def stems(tmp_path_factory):
    """The manifest of a separation with a model, and its text."""
    folder = tmp_path_factory.mktemp("stems")
    sf.write(folder / "song.wav", np.random.default_rng(0).uniform(-0.5, 0.5, (400, 2)), 8000)
    output = OutputSettings(out=str(folder), save_model=True)
    options = RunOptions(QUICK, output)
    job = plan([str(folder / "song.wav")], options)[0]
    separate_file(job, options).result()
    return job


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    """The bytes of a dictionary."""
    path = tmp_path_factory.mktemp("kit") / "kit.npz"
    W = np.random.default_rng(0).uniform(0.1, 1, (33, 3)).astype(np.float32)
    about = tuple({"label": name, "files": 1, "seconds": 1.0, "first": [{"name": "a", "sha256": ""}]} for name in "ab")
    view = Templates(STFT(64), dictionary.unit(W), np.array([0, 0, 1]))
    strokes = ((np.ones(30, np.float32), -np.ones(20, np.float32)), (np.ones(40, np.float32),))
    dictionary.write(Dictionary((view,), ("a", "b"), 8000, provenance=about, strokes=strokes), path)
    return path.read_bytes()


@few
@given(chance=chances)
def test_arrays(tmp_path, chance):
    numbers = np.arange(12.0).reshape(3, 4)
    path = tmp_path / "x.npy"
    head, _, tail = saved(numbers).partition(b"}")
    path.write_bytes(shake(head, chance) + b"}" + tail if chance.random() < 0.7 else shake(saved(numbers), chance))
    survives(read_matrix, str(path), None, False, allow)
    file = io.BytesIO()
    np.savez_compressed(file, X=numbers)
    path.write_bytes(repack(file.getvalue(), chance))
    survives(read_matrix, str(path), None, chance.random() < 0.3, allow)


@few
@given(chance=chances)
def test_tables(tmp_path, chance):
    text = chance.choice([b"a,b,c\n1,2,3\n4,5,6\n", b'"a";"b"\n1;2\n', b"1 2\n3 4\n", "1\t2\n3\t4\n".encode("utf-16")])
    (tmp_path / "x.csv").write_bytes(shake(text, chance))
    survives(read_matrix, str(tmp_path / "x.csv"), None, False, allow)


@pytest.mark.parametrize("data", [b"(" * 10_000, b"1\r2\r", b"1," + b"9" * 200_000, b'"' * 7, b"1,\x002"])
def test_odd_tables(tmp_path, data):
    (tmp_path / "x.csv").write_bytes(data)
    survives(read_matrix, str(tmp_path / "x.csv"), None, False, allow)


@pytest.mark.parametrize(
    "header", [b"((((", b"(" * 5000, b"{" * 500, b"-" * 9000, b"{'descr': '<f8', 'shape': (" + b"9" * 5000]
)
def test_odd_headers(tmp_path, header):
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header)
    survives(read_matrix, str(tmp_path / "x.npy"), None, False, allow)


@few
@given(chance=chances)
def test_images(tmp_path, chance):
    from PIL import Image

    file = io.BytesIO()
    picture = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8))
    kind = chance.choice(["PNG", "JPEG", "PPM", "BMP"])
    picture.save(file, kind)
    (tmp_path / "a.png").write_bytes(shake(file.getvalue(), chance))
    survives(read_images, [str(tmp_path / "a.png")], allow)


@few
@given(chance=chances)
def test_dictionaries(tmp_path, kit, chance):
    (tmp_path / "kit.npz").write_bytes(repack(kit, chance))
    found = survives(dictionary.read, tmp_path / "kit.npz")
    if found is not None:
        assert found.labels
    dictionary.is_dictionary(tmp_path / "kit.npz")


@few
@given(chance=chances)
def test_models(tmp_path, stems, chance):
    (tmp_path / "x.nmf.npz").write_bytes(repack(stems.model.read_bytes(), chance))
    found = survives(saved_file.read, tmp_path / "x.nmf.npz")
    if found is not None:
        survives(plan, [stems.path], RunOptions(found.settings, OutputSettings(out=str(tmp_path)), saved=found))


@few
@given(chance=chances)
def test_manifests(stems, chance):
    before = stems.manifest.read_bytes()
    try:
        text = as_text(distort(json.loads(before), chance)).encode()
        stems.manifest.write_bytes(shake(text, chance) if chance.random() < 0.1 else text)
        survives(verify, stems.manifest)
        for function in (manifest.written_by_us, manifest.listed_files, manifest.listed_model):
            function(stems.manifest)
        manifest.mixture_of(str(stems.model))
        manifest.Origin(stems.path).other(stems.manifest)
        manifest.Origin("other.wav").other(stems.manifest)
        stem_names_in(stems.manifest, stems.names, stems.selected)
        options = RunOptions(QUICK, OutputSettings(out=str(stems.manifest.parents[1]), save_model=True))
        if is_up_to_date(stems.manifest, stems.files, expected_entries(options)):
            stems.as_written(manifest.load(stems.manifest))
        survives(plan, [stems.path], options, True)
        survives(inspect_separated, str(stems.manifest))
        gather([str(stems.manifest.parents[1])], recursive=True)
    finally:
        stems.manifest.write_bytes(before)


TICKS = (
    b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\x1c\0\xff\x51\3\7\xa1\x20"
    b"\0\xff\x59\2\0\0\0\x90\x3c\x40\x60\x80\x3c\x40\0\xff\x2f\0"
)


@few
@given(chance=chances)
def test_scores(tmp_path, chance):
    (tmp_path / "x.mid").write_bytes(shake(TICKS, chance))
    survives(CUES.load("midi").read, [f"a={tmp_path / 'x.mid'}"], {})


@few
@given(chance=chances)
def test_label_tracks(tmp_path, chance):
    (tmp_path / "x.txt").write_bytes(shake(b"0.0\t1.5\tvoice\n\\\t100\t200\n2\t3\tdrums\n", chance))
    survives(CUES.load("labels").read, [str(tmp_path / "x.txt")], {})


@few
@given(chance=chances)
def test_lists_of_names(tmp_path, stems, chance):
    (tmp_path / "list").write_bytes(shake(f"{stems.path}\nnone.wav\n".encode(), chance))
    names = survives(listed, str(tmp_path / "list"), chance.random() < 0.5)
    if names:
        survives(plan, names, RunOptions(QUICK, OutputSettings(out=str(tmp_path))))
