"""Numpy's files: what can be read is read exactly, and a header is not believed."""

import contextlib
import io
import pickle
import zipfile

import numpy as np
import pytest
import scipy.sparse
from numpy.lib import format as npy

from nmfsep.errors import InputError, UsageError
from nmfsep.matrices.load import read_matrix

X = np.random.default_rng(0).random((5, 7))


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "<f2", "<i4", ">i2", "u1", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_real_array_is_read_exactly(tmp_path, read, dtype, order):
    given = np.asarray(9 * X, dtype, order=order)
    np.save(tmp_path / "x.npy", given)
    found = read(tmp_path / "x.npy").X
    np.testing.assert_array_equal(found, given)
    assert found.dtype.isnative


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_the_only_array_of_an_archive_needs_no_name(tmp_path, read, save):
    save(tmp_path / "x.npz", X)
    np.testing.assert_array_equal(read(tmp_path / "x.npz").X, X)


def test_one_of_several_arrays_is_chosen_by_name(tmp_path, read):
    np.savez(tmp_path / "x.npz", first=X, second=2 * X)
    np.testing.assert_array_equal(read(tmp_path / "x.npz", "second").X, 2 * X)
    with pytest.raises(UsageError, match=r"holds 2 arrays; choose one with --array: first, second"):
        read(tmp_path / "x.npz")
    with pytest.raises(UsageError, match=r"holds no array 'secnd'; did you mean 'second'\?"):
        read(tmp_path / "x.npz", "secnd")


def test_a_name_is_refused_where_there_is_nothing_to_choose(tmp_path, read):
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(UsageError, match=r"--array is for \.npz files"):
        read(tmp_path / "x.npy", "x")


def test_images_in_an_array_become_columns(tmp_path, read):
    stack = np.random.default_rng(1).random((4, 3, 2))
    np.save(tmp_path / "x.npy", stack)
    found = read(tmp_path / "x.npy", images=True)
    assert (found.X.shape, found.size) == ((6, 4), (3, 2))
    np.testing.assert_array_equal(found.X[:, 1], stack[1].ravel())


def promise(path, shape, data=b"", descr="<f8"):
    with open(path, "wb") as file:
        npy.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
        file.write(data)


@pytest.mark.parametrize("shape", [(10**6, 10**6), (10**30, 2), (1, 9), (2, 5)])
def test_a_shape_that_the_file_does_not_hold_is_refused_before_memory_is_taken(tmp_path, read, shape):
    promise(tmp_path / "x.npy", shape, bytes(64))
    with pytest.raises(InputError, match=r"promises \d+ bytes of numbers in shape .*, but holds 64; it is damaged"):
        read(tmp_path / "x.npy")


def test_the_shape_is_told_before_it_is_loaded(tmp_path):
    np.save(tmp_path / "x.npy", X.astype(np.float32))
    told = []

    def refuse(shape, size, **_):
        told.append((shape, size))
        raise UsageError("too large")

    with pytest.raises(UsageError, match="too large") as caught:
        read_matrix(str(tmp_path / "x.npy"), None, False, refuse)
    assert (told, caught.value.path) == ([((5, 7), 4)], str(tmp_path / "x.npy"))


def test_a_pickle_is_never_loaded(tmp_path, read):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    np.save(tmp_path / "x.npy", np.array([[Trap()]], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="holds pickled Python objects, which are never loaded"):
        read(tmp_path / "x.npy")
    (tmp_path / "y.npy").write_bytes(pickle.dumps([Trap()]))
    with pytest.raises(InputError):
        read(tmp_path / "y.npy")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.eye(2) * 1j, "holds complex numbers, not real numbers"),
        (np.array([["a", "b"]]), "holds <U1 entries"),
        (np.zeros((2, 2), [("a", "f4"), ("b", "i4")]), "holds records"),
        (np.arange(3.0), r"shape \(3,\); a matrix has 2 axes"),
        (np.ones((2, 3, 4)), "use --images for a stack of images"),
        (np.ones((0, 4)), "is empty"),
        (np.array([[1.0, np.nan]]), "an entry is NaN or infinite, the first in row 1, column 2"),
        (np.array([[1.0, 2], [np.inf, -np.inf]]), "2 entries are NaN or infinite, the first in row 2, column 1"),
    ],
)
def test_what_is_no_matrix_of_finite_real_numbers_is_refused(tmp_path, read, array, message):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "x.npy")


def test_large_finite_numbers_are_no_infinities(tmp_path, read):
    np.save(tmp_path / "x.npy", np.full((2, 2), 1e308))
    assert read(tmp_path / "x.npy").X.max() == 1e308


@pytest.mark.parametrize("cut", [3, 8, 20, 100, 130])
def test_a_file_that_was_cut_is_refused(tmp_path, read, cut):
    np.save(tmp_path / "x.npy", X)
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(whole[:cut])
    with pytest.raises(InputError):
        read(tmp_path / "x.npy")


@pytest.mark.parametrize("place", range(0, 1300, 100))
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_archive_gives_its_numbers_or_an_error(tmp_path, read, save, place):
    save(tmp_path / "x.npz", np.arange(100.0).reshape(10, 10))
    data = bytearray((tmp_path / "x.npz").read_bytes())
    data[place % len(data)] ^= 0xFF
    (tmp_path / "x.npz").write_bytes(data)
    with contextlib.suppress(InputError, UsageError):
        np.testing.assert_array_equal(read(tmp_path / "x.npz").X, np.arange(100.0).reshape(10, 10))


def test_a_small_archive_cannot_unpack_to_more_than_it_promises(tmp_path, read):
    head = io.BytesIO()
    npy.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (2, 2)})
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", head.getvalue() + bytes(10**7))
    assert (tmp_path / "x.npz").stat().st_size < 20_000
    with pytest.raises(InputError, match="promises 32 bytes of numbers"):
        read(tmp_path / "x.npz")


def test_a_spreadsheet_is_told_apart(tmp_path, read):
    with zipfile.ZipFile(tmp_path / "x.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    with pytest.raises(InputError, match="holds no arrays; save a spreadsheet as CSV"):
        read(tmp_path / "x.xlsx")


@pytest.mark.parametrize("kind", ["coo", "dia", "bsr"])
def test_a_sparse_matrix_in_another_format_says_what_to_save(tmp_path, read, kind):
    scipy.sparse.save_npz(tmp_path / "x.npz", scipy.sparse.eye_array(4).asformat(kind))
    with pytest.raises(InputError, match="holds a sparse matrix in a format that is not read"):
        read(tmp_path / "x.npz")
