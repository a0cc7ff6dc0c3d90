"""Draw the images of the tests: faces put together from parts, light on black, which add up as sounds do.

A face is a head, one of three pairs of brows, one of three pairs of eyes, one of two noses and one of four mouths, each
of a brightness of its own: 72 faces out of 13 parts. mouths.txt says which mouth each has.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.float64]

SIZE = 36  # pixels
MOUTHS = ("smiling", "straight", "frowning", "open")
STROKE = 0.85  # pixels, half the width of a line
X, Y = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)


def line(points: list[tuple[float, float]], width: float = STROKE) -> Picture:
    """Return a line through points as brightness from 0 to 1, soft at its edges.

    Parameters
    ----------
    points : list of (float, float)
        Corners, in pixels from the upper left.
    width : float, default STROKE
        Half the width in pixels.
    """
    nearest = np.full_like(X, np.inf)
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        along = (X - x0) * (x1 - x0) + (Y - y0) * (y1 - y0)
        place = np.clip(along / ((x1 - x0) ** 2 + (y1 - y0) ** 2), 0, 1)
        nearest = np.minimum(nearest, np.hypot(X - x0 - place * (x1 - x0), Y - y0 - place * (y1 - y0)))
    return np.clip(width + 0.5 - nearest, 0, 1)


def arc(x: float, y: float, across: float, down: float, begin: float = 0, end: float = 360) -> Picture:
    """Return a stretch of an ellipse.

    Parameters
    ----------
    x, y, across, down : float
        Middle and half axes, in pixels.
    begin, end : float
        Degrees, clockwise from the right.
    """
    angles = np.radians(np.linspace(begin, end, 41))
    return line([(x + across * np.cos(a), y + down * np.sin(a)) for a in angles])


def both(picture: Picture) -> Picture:
    """Return a picture together with its mirror image, for what there are two of."""
    return np.maximum(picture, picture[:, ::-1])


def parts() -> list[list[Picture]]:
    """Return the choices for each part of a face."""
    middle = SIZE / 2
    head = [arc(middle, middle, 15, 16.5)]
    brows = [
        both(line([(8.5, 10.5), (14, 10.5)])),
        both(arc(11.3, 10, 3.2, 2.6, 190, 350)),
        both(line([(8.5, 8), (14.2, 11)])),
    ]
    eyes = [
        both(arc(11.3, 15, 1.9, 1.9)),
        both(line([(8.7, 15.5), (13.9, 15.5)])),
        both(arc(11.3, 16.2, 2.6, 2.4, 195, 345)),
    ]
    noses = [line([(middle, 15.5), (middle, 21)]), line([(17, 16.5), (16, 21.5), (19.5, 21.5)])]
    mouths = [
        arc(middle, 23.5, 6, 5, 15, 165),
        line([(13, 27), (23, 27)]),
        arc(middle, 30.5, 6, 5, 205, 335),
        arc(middle, 27.3, 2.8, 3.0),
    ]
    return [head, brows, eyes, noses, mouths]


def main() -> None:
    """Write every face into the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Write the images of the tests.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.Generator(np.random.PCG64(5))
    for number, choice in enumerate(itertools.product(*parts()), 1):
        face = sum(rng.uniform(0.55, 1) * part for part in choice)
        pixels = np.rint(255 * np.minimum(face, 1)).astype(np.uint8)
        path = folder / f"face-{number:02}.png"
        Image.fromarray(pixels).save(path, optimize=True)
        print(path)
    labels = folder / "mouths.txt"
    labels.write_text("".join(f"{MOUTHS[number % len(MOUTHS)]}\n" for number in range(72)))
    print(labels)


if __name__ == "__main__":
    main()
