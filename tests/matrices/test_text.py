"""Tables in text: however cells are divided, and the first thing wrong is named."""

import numpy as np
import pytest

from nmfsep.errors import InputError
from nmfsep.matrices.text import lines_of


@pytest.mark.parametrize(
    "text",
    [
        "1,2\n3,4.5\n",
        "1;2\n3;4.5",
        "1\t2\r\n3\t4.5\r\n",
        "1 2\n3   4.5\n",
        "a,b\n1,2\n3,4.5\n",
        '"a,x","b"\n1,2\n3,4.5\n',
        "a b\n1 2\n3 4.5\n",
        ",b\n1,2\n3,4.5\n",
        "# made by hand\n\n1,2\n\n3,4.5\n",
        "1e0, 2.0\n +3 ,45e-1\n",
        '"1","2"\n"3","4.5"\n',
        "\ufeff1,2\n3,4.5\n",
        "1,2\r3,4.5\r",
        "a,b\r1,2\r3,4.5",
        '"a;x","b"\n1,2\n3,4.5\n',
        "a,NA\n1,2\n3,4.5\n",
        "# year,1990\n1,2\n3,4.5\n",
    ],
)
def test_any_common_table_is_read(tmp_path, read, text):
    (tmp_path / "x.csv").write_text(text, newline="")
    np.testing.assert_array_equal(read(tmp_path / "x.csv").X, [[1, 2], [3, 4.5]])


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_other_encodings_are_read(tmp_path, read, encoding):
    (tmp_path / "x.csv").write_bytes("größe\tb\n1\t2\n".encode(encoding))
    np.testing.assert_array_equal(read(tmp_path / "x.csv").X, [[1, 2]])


def test_one_column_is_a_matrix_too(tmp_path, read):
    (tmp_path / "x.txt").write_text("1\n2\n3\n")
    assert read(tmp_path / "x.txt").X.shape == (3, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2\n3\n", "line 2 has 1 cell where the first has 2"),
        ("a,b\n1,2\n\n3,4,5\n", "line 4 has 3 cells where the first has 2"),
        ("a,b\n1,2,3\n", "line 2 has 3 cells where the first has 2"),
        *((f"1,{cell},3\n4,5,6\n", "line 1, column 2 is .*missing") for cell in ("NA", "N/A", "null", "-", " None ")),
        ("1,,3\n4,5,6\n", "line 1, column 2 is empty; .* fill it in"),
        (",1,2\n0,3,4\n", "line 1, column 1 is empty"),
        ("NA,NA\n1,2\n", "line 1, column 1 is 'NA'"),
        ("1,nan,3\n4,5,6\n", "an entry is NaN or infinite, the first in row 1, column 2"),
        ("1,2,\n3,4,\n", "line 1, column 3 is empty"),
        ("1,2,x\n3,4,5\n", "line 1, column 3: 'x' is no number; a line of names holds no numbers; put #"),
        ("year,1990,1991\n1,2,3\n", "line 1, column 1: 'year' is no number; .*put # before it"),
        ("a,b\nFrance,2\n", "line 2, column 1: 'France' is no number; .*leave out a column of names"),
        ("1,5;2,5\n3;4\n", "line 1, column 1: '1,5' is no number; write numbers with a point"),
        ("1,5 2,5\n3,4 5,6\n", "line 1, column 2: '5 2' is no number"),
        ("1,2\n3," + "x" * 200_000 + "\n", "a cell of more than 131072 characters"),
        ("1," + "9" * 200_000 + "\n3,4\n", "a cell of more than 131072 characters"),
        ("1,2\r3,x\r", "line 2, column 2: 'x'"),
        ("1,2\n3,x\n", "line 2, column 2: 'x' is no number; only the first line may hold names"),
        ("1,2\n3,\n", "line 2, column 2 is empty"),
        ("a;b\n1,5;2\n", "'1,5' is no number; write numbers with a point"),
        ("1,2\n3,1_0\n", "'1_0' is no number"),
        ("1,nan\n", "an entry is NaN or infinite, the first in row 1, column 2"),
        ("1,2\n3,-inf\n", "an entry is NaN or infinite, the first in row 2, column 2"),
        ("", "is empty"),
        ("\n# nothing\n", "is empty"),
        ("a,b\n", "holds no numbers"),
        ("1,2\0\n", "is no matrix"),
    ],
)
def test_the_first_thing_wrong_is_named(tmp_path, read, text, message):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / "x.csv")
    assert caught.value.path == str(tmp_path / "x.csv")


def test_a_line_longer_than_what_is_read_ahead_is_whole(tmp_path, read):
    X = np.random.default_rng(0).random((2, 10_000))
    (tmp_path / "x.csv").write_text("".join(lines_of(X)))
    np.testing.assert_array_equal(read(tmp_path / "x.csv").X, X)


def test_random_bytes_are_no_table(tmp_path, read):
    rng = np.random.default_rng(0)
    for size in (1, 10, 100, 5000):
        (tmp_path / "x").write_bytes(rng.bytes(size))
        with pytest.raises(InputError):
            read(tmp_path / "x")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_written_is_read_back_exactly(tmp_path, read, dtype):
    X = (np.random.default_rng(0).standard_normal((5, 4)) * 10.0 ** np.arange(-20, 20, 10)).astype(dtype)
    (tmp_path / "x.csv").write_text("".join(lines_of(X)))
    np.testing.assert_array_equal(read(tmp_path / "x.csv").X.astype(dtype), X)
