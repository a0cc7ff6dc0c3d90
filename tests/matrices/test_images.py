"""Folders of images."""

import numpy as np
import pytest

from nmfsep.errors import InputError, UsageError
from nmfsep.matrices.load import list_images, read_images

Image = pytest.importorskip("PIL.Image")
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7), np.uint8)


def save(path, pixels=PIXELS, **options):
    Image.fromarray(pixels).save(path, **options)


def read(folder):
    return read_images(list_images(str(folder)), lambda shape, size: None)


@pytest.mark.parametrize("extension", ["png", "PGM", "bmp"])
def test_each_image_is_a_column_from_black_to_white(tmp_path, extension):
    save(tmp_path / f"b.{extension}", PIXELS[::-1].copy())
    save(tmp_path / f"a.{extension}")
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden.png").write_text("nor this")
    found = read(tmp_path)
    assert (found.names, found.size, found.X.shape) == (("a", "b"), (5, 7), (35, 2))
    np.testing.assert_allclose(found.X[:, 0], PIXELS.ravel() / 255, rtol=1e-6)
    np.testing.assert_allclose(found.X[:, 1], PIXELS[::-1].ravel() / 255, rtol=1e-6)


def test_sixteen_bits_are_kept(tmp_path):
    deep = PIXELS.astype(np.uint16) * 200 + 3
    save(tmp_path / "a.png", deep)
    np.testing.assert_allclose(read(tmp_path).X[:, 0], deep.ravel() / 65535, rtol=1e-6)


def test_colours_become_grey(tmp_path):
    save(tmp_path / "a.png", np.stack([PIXELS] * 3, axis=-1))
    save(tmp_path / "b.jpg", np.full((5, 7, 3), (255, 0, 0), np.uint8), quality=95)
    X = read(tmp_path).X
    np.testing.assert_allclose(X[:, 0], PIXELS.ravel() / 255, rtol=1e-6)
    np.testing.assert_allclose(X[:, 1], 0.299, atol=0.01)  # the share of red in luma, ITU-R 601


def test_another_size_is_named_with_the_first(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / "b.png", PIXELS.T.copy())
    with pytest.raises(InputError, match=r"has 5 x 7 pixels, where 'a\.png' has 7 x 5; scale or crop") as caught:
        read(tmp_path)
    assert caught.value.path == str(tmp_path / "b.png")


@pytest.mark.parametrize("data", [b"", b"junk", b"\x89PNG\r\n\x1a\n", b"P5 3"])
def test_what_is_no_image_is_refused(tmp_path, data):
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    assert caught.value.path == str(tmp_path / "a.png")


def test_an_image_that_was_cut_is_refused(tmp_path):
    save(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (90, 90), np.uint8))
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="damaged"):
        read(tmp_path)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"holds no images; those that can be read end in \.png"):
        list_images(str(tmp_path))
    with pytest.raises(UsageError, match="no such file"):
        list_images(str(tmp_path / "none"))


def test_sizes_are_told_before_pixels_are_read(tmp_path):
    save(tmp_path / "a.png")
    told = []
    read_images(list_images(str(tmp_path)), lambda shape, size: told.append((shape, size)))
    assert told == [((1, 5, 7), 4)]


def test_without_pillow_it_is_said_what_to_install(tmp_path, monkeypatch):
    import sys

    save(tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(
        UsageError, match=r"images need Pillow, which is not installed; install it: pip install 'nmfsep\[plot\]'"
    ):
        read(tmp_path)
