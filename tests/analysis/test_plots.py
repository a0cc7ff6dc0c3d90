"""Pictures: real PNG files, the same for the same input, drawn without a global state."""

import io
import subprocess
import sys

import numpy as np
import pytest

from nmfsep.analysis.plots import canvas
from nmfsep.analysis.plots.matrix import Panel, breakdown, factors_picture, place, sheet, tree
from nmfsep.errors import UsageError

Image = pytest.importorskip("PIL.Image")
rng = np.random.default_rng(0)
PARTS = rng.random((5, 6, 4))
SIGNED = PARTS - 0.5
PARENTS = [np.array([0, 0, 1, 1, 1])]

PICTURES = {
    "parts": lambda: sheet([Panel("parts", PARTS, list("abcde"))]),
    "parts beside signed ones": lambda: sheet([Panel("parts", PARTS), Panel("others", SIGNED)]),
    "one part": lambda: sheet([Panel("parts", PARTS[:1])]),
    "a part of zeros": lambda: sheet([Panel("parts", 0 * PARTS)]),
    "breakdown": lambda: breakdown(rng.random((9, 6, 4)), PARTS, rng.random((5, 9)), "images"),
    "breakdown of one black image": lambda: breakdown(np.zeros((1, 6, 4)), PARTS[:1], np.zeros((1, 1)), "images"),
    "tree": lambda: tree([PARTS, SIGNED[:2]], PARENTS, "deep"),
    "factors": lambda: factors_picture(
        rng.random((20, 30)), rng.random((20, 3)), rng.random((3, 30)), [0, 9], [2, 1], ""
    ),
    "signed factors": lambda: factors_picture(SIGNED[0], SIGNED[0, :, :1], np.ones((1, 4)), [0], [0.0], "title"),
    "long factors": lambda: factors_picture(np.ones((5000, 2)), np.ones((5000, 1)), np.ones((1, 2)), [0], [1.0], ""),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_a_png_that_shows_something(name):
    image = Image.open(io.BytesIO(PICTURES[name]()))
    image.load()
    assert image.format == "PNG"
    assert 150 < min(image.size) <= max(image.size) < 3000
    pixels = np.asarray(image.convert("L"))
    assert pixels[:3].min() == 255  # a margin, so that nothing is cut off
    assert (pixels < 128).sum() > 50


def test_the_same_picture_has_the_same_bytes_whatever_matplotlibrc_says():
    import matplotlib

    first = sheet([Panel("parts", PARTS)])
    with matplotlib.rc_context({"font.size": 30, "figure.dpi": 40, "image.cmap": "jet", "savefig.transparent": True}):
        assert sheet([Panel("parts", PARTS)]) == first
        assert matplotlib.rcParams["font.size"] == 30


def test_brightness_is_that_of_the_image():
    square = np.zeros((1, 10, 10))
    square[0, 2:8, 2:8] = 3
    pixels = np.asarray(Image.open(io.BytesIO(sheet([Panel("", square)]))).convert("L"))
    dark = np.argwhere(pixels < 5)  # the image, of which the middle is white again
    middle = dark.mean(axis=0).round().astype(int)
    assert pixels[tuple(middle)] == 255


def test_parts_of_one_parent_stand_below_it_and_none_overlap():
    counts, widths = [9, 4, 2], [1.0, 2.0, 3.0]
    parents = [np.array([3, 0, 0, 1, 3, 0, 1, 0, 3]), np.array([1, 0, 0, 1])]
    places, total = place(counts, parents, widths)
    for level, count, width in zip(places, counts, widths, strict=True):
        assert level.shape == (count,)
        assert np.diff(np.sort(level)).min() >= width
        assert level.min() >= width / 2
        assert level.max() <= total - width / 2
    for level, above, mothers in zip(places, places[1:], parents, strict=False):
        for mother in np.unique(mothers):
            mine = level[mothers == mother]
            assert mine.min() <= above[mother] <= mine.max()
            between = (level >= mine.min()) & (level <= mine.max())
            assert between.sum() == len(mine)


def test_without_matplotlib_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(canvas.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pictures need matplotlib.*; install it: pip install 'nmfsep\[plot\]'"):
        sheet([Panel("parts", PARTS)])


def test_no_window_and_no_list_of_figures_is_made():
    code = (
        "import numpy, sys; from nmfsep.analysis.plots.matrix import Panel, sheet; "
        "assert 'matplotlib' not in sys.modules; "
        "sheet([Panel('', numpy.ones((1, 3, 3)))]); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
