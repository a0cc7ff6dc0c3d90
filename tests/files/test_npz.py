"""Containers: what is written comes back; what was made to do harm does not get the chance."""

import io
import json
import os
import pickle
import time
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

from nmfsep.errors import UsageError
from nmfsep.files import npz as archive
from nmfsep.files.npz import Archive

ARRAYS = {"W": np.float32([[1, 2], [3, 4], [5, 6]]), "owners": np.int32([0, 1])}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.npz"


def put(path, schema="nmfsep.test", version=1, about=None, arrays=ARRAYS):
    archive.write(path, schema, version, about or {}, arrays)
    return path


def npy(array):
    """Bytes of a member, as numpy writes them."""
    body = io.BytesIO()
    np.lib.format.write_array(body, np.asarray(array), allow_pickle=True)
    return body.getvalue()


def lying(header, data=b"", magic=b"\x93NUMPY\x01\x00"):
    """Bytes of a member with any header."""
    return magic + len(header).to_bytes(2 if magic[6:7] == b"\x01" else 4, "little") + header.encode("latin-1") + data


def header(descr="<f8", order=False, shape="(3, 2)"):
    return f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


def pack(path, members, method=zipfile.ZIP_DEFLATED):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two members of one name
        with zipfile.ZipFile(path, "w", method) as file:
            for name, data in members if isinstance(members, list) else members.items():
                file.writestr(name, data)
    return path


def refused(path, member="W"):
    """Return the message with which a file is refused, by when one of its arrays is asked for."""
    with pytest.raises(UsageError) as caught, Archive(path) as file:
        file.array(member, 2)
    assert caught.value.path == str(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_written_is_read(path):
    with Archive(put(path, about={"labels": ["kick", "é"], "rate": 8000})) as file:
        assert file.about == {"schema": "nmfsep.test", "version": 1, "labels": ["kick", "é"], "rate": 8000}
        W = file.array("W", 2)
        assert (W.dtype, W.flags.c_contiguous) == (np.float32, True)
        np.testing.assert_array_equal(W, ARRAYS["W"])
        assert "owners" in file
        assert "other" not in file


def test_the_same_contents_are_the_same_bytes_at_any_time(path, tmp_path, monkeypatch):
    other = tmp_path / "other.npz"
    put(path)
    tomorrow = time.localtime(time.time() + 86400)
    monkeypatch.setattr(time, "localtime", lambda *_: tomorrow)
    put(other, arrays={name: np.asfortranarray(array.astype(array.dtype.newbyteorder(">"))) for name, array in
                       ARRAYS.items()})  # fmt: skip
    assert path.read_bytes() == other.read_bytes()


def test_numpy_reads_what_is_written(path):
    with np.load(put(path, about={"rate": 8000}), allow_pickle=False) as file:
        np.testing.assert_array_equal(file["W"], ARRAYS["W"])
        assert json.loads(str(file["meta"]))["rate"] == 8000


def test_a_file_in_place_is_replaced_and_no_other_left(path):
    path.write_text("old")
    put(path)
    assert os.listdir(path.parent) == ["file.npz"]
    with Archive(path) as file:
        assert file.schema == "nmfsep.test"


@pytest.mark.parametrize(
    "excess",
    [
        {"about": {"text": "x" * (archive.TEXT + 1)}},
        {"arrays": {f"W{i}": np.ones(1) for i in range(archive.MEMBERS)}},
        {"arrays": {"W": np.ones(3000)}},
    ],
)
def test_what_could_not_be_read_again_is_not_written(path, excess, monkeypatch):
    if "W" in excess.get("arrays", {}):
        monkeypatch.setattr(archive, "LARGEST", 20_000)
    with pytest.raises(UsageError, match="more than is read again"):
        put(path, **excess)
    assert not path.exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    "form",
    [
        np.float32,
        ">f8",
        "<f2",
        np.int16,
        np.uint64,
        lambda W: np.asfortranarray(W),
        lambda W: W[::-1][::-1],
        np.longdouble,
    ],
)
def test_real_numbers_of_any_kind_and_order_are_read(path, method, form):
    W = form(ARRAYS["W"]) if callable(form) and not isinstance(form, type) else ARRAYS["W"].astype(form)
    pack(path, {"W.npy": npy(W)}, method)
    with Archive(path) as file:
        assert file.about == {}
        np.testing.assert_array_equal(file.array("W", 2), ARRAYS["W"])


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_numpys_header_is_read(path, version):
    body = io.BytesIO()
    np.lib.format.write_array(body, ARRAYS["W"], version)
    with Archive(pack(path, {"W.npy": body.getvalue()})) as file:
        np.testing.assert_array_equal(file.array("W", 2), ARRAYS["W"])


W = np.ones((3, 2))
BAD_NUMBERS = {
    "negative": (-W, "negative"),
    "NaN": (np.full_like(W, np.nan), "NaN or infinite"),
    "infinite": (np.full_like(W, np.inf), "NaN or infinite"),
    "beyond single precision": (W * 1e300, "single precision"),
    "no entry": (np.ones((3, 0)), r"shape (3, 0)"),
    "one dimension": (W[:, 0], "2 dimensions"),
    "three dimensions": (W[None], "2 dimensions"),
    "no dimension": (np.float64(3), "2 dimensions"),
    "complex": (W + 1j, "must be real numbers, not <c16"),
    "text": (np.array([["a", "b"]]), "must be real numbers, not <U1"),
    "bytes": (np.array([[b"a", b"b"]]), "must be real numbers, not |S1"),
    "logical": (W > 0, "must be real numbers, not |b1"),
    "dates": (np.array([["2020-01-01"]], "M8[D]"), "must be real numbers"),
    "structured": (np.zeros(3, dtype=[("a", "f8"), ("b", "i4", (2, 2))]), "must be real numbers"),
    "void": (np.zeros((3, 2), "V8"), "must be real numbers"),
}


@pytest.mark.parametrize("case", BAD_NUMBERS)
def test_arrays_that_cannot_be_templates_are_refused(path, case):
    array, says = BAD_NUMBERS[case]
    message = refused(pack(path, {"W.npy": npy(array)}))
    assert message.startswith("W ")
    assert says in message


HEADERS = {
    "more than there is": header(shape="(1025, 99999999999)"),
    "less than there is": header(shape="(1, 2)"),
    "a negative length": header(shape="(-3, -2)"),
    "a negative length and nothing": header(shape="(-1, 0)"),
    "no length and an endless one": header(shape=f"(0, {10**30})"),
    "too many dimensions": header(shape="(" + "1," * 100 + "3, 2)"),
    "a length that is no number": header(shape="('3', 2)"),
    "a shape that is none": header(shape="7"),
    "a fraction": header(shape="(3.0, 2)"),
    "no shape": "{'descr': '<f8', 'fortran_order': False}",
    "a list": "[1, 2]",
    "a call": "__import__('os').system('true')",
    "brackets": "(" * 3000,
    "minus signs": "-" * 3000 + "1",
    "nothing": "",
    "a cut string": "{'descr': '<f8",
    "a NUL": "\0",
    "bytes that are no text": "\xff\xfe",
    "an unknown type": header(descr="<q9"),
    "a type without size": header(descr="<U0"),
    "several types in one": header(descr="f8,f8"),
    "a type that is a number": "{'descr': 8, 'fortran_order': False, 'shape': (3, 2)}",
    "far too long": " " * 5000,
}


@pytest.mark.parametrize("magic", [b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00"])
@pytest.mark.parametrize("case", HEADERS)
def test_a_header_that_lies_or_is_none_is_refused(path, case, magic):
    data = b"" if "nothing" in case or "endless" in case else bytes(48)
    says = refused(pack(path, {"W.npy": lying(HEADERS[case], data, magic)}))
    assert says.startswith(("has a damaged W", "W claims shape", "W must be real numbers", "W has shape"))


@pytest.mark.parametrize("data", [b"", b"\x93NUM", b"no array", b"\x93NUMPY\x09\x00\x10\x00" + b" " * 16, npy(W)[:-1]])
def test_a_member_that_is_no_array_is_refused(path, data):
    assert "W" in refused(pack(path, {"W.npy": data}))


def test_a_pickle_is_refused_and_never_run(path, tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    bomb = np.empty((1, 1), dtype=object)
    bomb[0, 0] = Bomb()
    assert "must be real numbers, not |O" in refused(pack(path, {"W.npy": npy(bomb)}))
    path.write_bytes(pickle.dumps(Bomb()))
    assert "is not a container" in refused(path)
    pack(path, {"W.npy": pickle.dumps(Bomb()), "meta.npy": pickle.dumps(Bomb())})
    refused(path)
    assert not (tmp_path / "ran").exists()


def memory_of(function):
    """Return the bytes that a call takes at its peak."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_zip_bomb_is_refused_before_it_takes_memory(path):
    rows = 1 << 21  # 32 MiB of zeros in some 32 KiB
    pack(path, {"W.npy": lying(header(shape=f"({rows}, 2)"), bytes(16 * rows))})
    assert os.path.getsize(path) < 100_000
    messages = []
    assert memory_of(lambda: messages.append(refused(path))) < 1 << 20
    assert "out of proportion; it may be a zip bomb" in messages[0]


def test_members_that_are_together_too_large_are_refused(path, monkeypatch):
    monkeypatch.setattr(archive, "LARGEST", 10_000)
    pack(path, {f"{i}.npy": npy(np.ones(300)) for i in range(5)}, zipfile.ZIP_STORED)
    assert "would unpack to" in refused(path)


def test_shapes_and_headers_that_claim_much_take_no_memory(path):
    pack(path, {"W.npy": lying(HEADERS["more than there is"])})
    assert memory_of(lambda: refused(path)) < 1 << 20
    pack(path, {"W.npy": b"\x93NUMPY\x02\x00" + (2**32 - 1).to_bytes(4, "little")})
    assert memory_of(lambda: refused(path)) < 1 << 20


def test_a_member_that_gives_more_than_it_declared_is_cut_there(path):
    # the directory says 1 byte; what is packed are the zeros of a bomb
    pack(path, {"W.npy": lying(header(shape="(1048576, 2)"), bytes(1 << 24))})
    raw = bytearray(path.read_bytes())
    entry = raw.rindex(b"PK\x01\x02")
    raw[entry + 24 : entry + 28] = (1).to_bytes(4, "little")
    path.write_bytes(raw)
    assert memory_of(lambda: refused(path)) < 1 << 20


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_that_numpy_does_not_write_are_refused(path, method):
    assert "packed in a way that is not read" in refused(pack(path, {"W.npy": npy(W)}, method))


def test_an_encrypted_member_is_refused(path):
    pack(path, {"W.npy": npy(W)})
    raw = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(mark) + offset] |= 1
    path.write_bytes(raw)
    assert "damaged W" in refused(path)


def test_unknown_members_are_never_unpacked(path, tmp_path):
    pack(path, {"W.npy": npy(W), "note.txt": b"hello", "../../evil.npy": npy(W), "/etc/evil": b"x", "x.npy": b"junk"})
    with Archive(path) as file:
        np.testing.assert_array_equal(file.array("W", 2), W)
    assert os.listdir(tmp_path) == ["file.npz"]
    assert not (tmp_path.parents[1] / "evil.npy").exists()


@pytest.mark.parametrize("second", ["W.npy", "W"])
def test_two_members_of_one_name_are_refused(path, second):
    assert "two members named 'W'" in refused(pack(path, [("W.npy", npy(W)), (second, npy(W))]))


def test_too_many_members_are_refused(path):
    pack(path, {f"{i}.npy": b"" for i in range(archive.MEMBERS + 1)}, zipfile.ZIP_STORED)
    assert "1001 members" in refused(path)


def test_a_missing_member_is_named(path):
    assert refused(pack(path, {"Z.npy": npy(W)})) == "has no W"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damage_anywhere_is_refused_or_harmless(path, method):
    rng = np.random.default_rng(0)
    good = pack(path, {"W.npy": npy(rng.random((9, 4))), "meta.npy": npy('{"schema": "s"}')}, method).read_bytes()
    survived = 0
    for turn in range(300):
        raw = bytearray(good)
        for _ in range(1 + turn % 3):
            raw[rng.integers(len(raw))] = rng.integers(256)
        path.write_bytes(raw[: rng.integers(len(raw))] if turn % 5 == 0 else raw)
        try:
            with Archive(path) as file:
                assert np.isfinite(file.array("W", 2)).all()
            survived += 1
        except UsageError:
            pass  # whatever else comes out fails the test
    assert survived < 150


@pytest.mark.parametrize("content", [b"", b"RIFF\x24\0\0\0WAVEfmt ", b"PK\x05\x06", b"PK\x03\x04" + bytes(100)])
def test_a_file_of_another_kind_is_refused(path, content):
    path.write_bytes(content)
    assert refused(path) == "is not a container of arrays (.npz), or is damaged"


def test_a_cut_file_is_refused(path):
    whole = put(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refused(path)


def test_what_cannot_be_opened_is_told(tmp_path):
    assert refused(tmp_path / "missing.npz") == "no such file or directory; check the name"
    assert refused(tmp_path) == "is not a file"
    (tmp_path / "loop").symlink_to("loop")
    assert "symbolic links" in refused(tmp_path / "loop")
    with pytest.raises(UsageError, match="no file can have"):
        Archive("a\0b")


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "pipe") == "is not a file"


@pytest.mark.parametrize(
    ("schema", "version", "says"),
    [
        ("nmfsep.other", 1, "holds 'nmfsep.other', not 'nmfsep.test'"),
        ("nmfsep.test", 3, "has version 3 of 'nmfsep.test'; this nmfsep knows up to 2; upgrade nmfsep"),
        ("nmfsep.test", 0, "no version that makes sense"),
        ("nmfsep.test", True, "no version that makes sense"),
        ("nmfsep.test", "1", "no version that makes sense"),
        ("nmfsep.test", None, "no version that makes sense"),
        (7, 1, "does not say that it holds 'nmfsep.test'"),
    ],
)
def test_another_schema_or_a_version_from_the_future_is_refused(path, schema, version, says):
    with Archive(put(path, schema, version)) as file, pytest.raises(UsageError) as caught:
        file.require("nmfsep.test", 2)
    assert says in str(caught.value)


@pytest.mark.parametrize("version", [1, 2])
def test_this_version_and_older_ones_are_taken(path, version):
    with Archive(put(path, version=version)) as file:
        file.require("nmfsep.test", 2)


DESCRIPTIONS = {
    "no text": (npy(np.ones(3)), "no text"),
    "several texts": (npy(np.array(["a", "b"])), "no text"),
    "no JSON": (npy("{"), "no JSON"),
    "a list": (npy("[]"), "no JSON object"),
    "brackets": (npy("[" * 100_000), "no JSON"),
    "NaN": (npy('{"x": NaN}'), "no JSON"),
    "an infinite number": (npy('{"x": [1e999]}'), "no JSON"),
    "a huge number": (npy("1" * 5000), "no JSON"),
    "no characters": (lying(header(descr="<U2", shape="()"), b"\xff" * 8), "no JSON"),
    "too long": (npy("x" * (archive.TEXT + 1)), "no text"),
}


@pytest.mark.parametrize("case", DESCRIPTIONS)
def test_a_description_that_is_none_is_refused(path, case):
    data, says = DESCRIPTIONS[case]
    assert says in refused(pack(path, {"meta.npy": data}, zipfile.ZIP_STORED))


@pytest.mark.parametrize(("value", "fits"), [(2, True), (np.uint8([9]), True), (10, False), (1, False), (2.0, False),
                                             ([2, 3], False), ("2", False), (True, False), (2**63, False)])  # fmt: skip
def test_a_whole_number_is_of_its_kind_and_range(path, value, fits):
    with Archive(pack(path, {"n.npy": npy(value)})) as file:
        if fits:
            assert file.integer("n", 2, 9) == int(np.ravel(value)[0])
        else:
            with pytest.raises(UsageError, match="n "):
                file.integer("n", 2, 9)
