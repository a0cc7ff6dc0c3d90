"""Dictionaries: templates that were learned from isolated sounds, by label."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..files import npz as archive
from ..files.json_fields import matches
from ..kernels.divergence import as_divergence
from ..kernels.factors import Matrix
from ..settings.fields import WINDOWS
from ..signal.stft import STFT
from ..system import usable_name
from .templates import Templates

SCHEMA, VERSION = "nmfsep.dictionary", 2  # 2 has templates of several frames
LABELS = 10_000
DELAYS = 1000  # frames of a template at the most
RATES = 4_000_000  # hertz, the highest sample rate that is believed
DESCRIPTION = {
    "labels": [str],
    "sample_rate": range(1, RATES + 1),
    "channels": range(1, 2),
    "divergence": (str, float),
    "provenance": [{"label": str, "files": int, "seconds": float, "first": [{"name": str}]}],
    "views": [
        {
            "n_fft": range(1, 2**20 + 1),
            "hop_length": range(1, 2**19 + 1),
            "window": {*WINDOWS},
            "template_frames?": range(1, DELAYS + 1),
        }
    ],
}


@dataclass(frozen=True, slots=True)
class Dictionary:
    """Templates of labelled sounds.

    Parameters
    ----------
    views : tuple of Templates
        At one length of frames or several, the shortest first.
    labels : tuple of str
    sample_rate : int
        Hertz of the sound they were measured in.
    divergence : str or float
        What was minimised in learning them.
    channels : int, default 1
        Channels of a template: 1, since the mean of the channels' magnitudes is learned.
    provenance : tuple of dict
        One for each label: what it was learned from.

    Raises
    ------
    UsageError
        The parts do not fit together.
    """

    views: tuple[Templates, ...]
    labels: tuple[str, ...]
    sample_rate: int
    divergence: str | float = "kl"
    channels: int = 1
    provenance: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        check_labels(self.labels)
        if not self.views:
            raise UsageError("a dictionary needs templates")
        for view in self.views:
            if view.W.shape != (view.stft.bins, len(view.owners)):
                raise UsageError(f"W of shape {view.W.shape} does not fit n_fft {view.stft.n_fft}")
            if set(view.owners.tolist()) != set(range(len(self.labels))):
                raise UsageError("not every label has a template")
            if len(view.owners) % view.delays or (np.diff(view.owners.reshape(-1, view.delays)) != 0).any():
                raise UsageError("the frames of a template belong to several labels")
            if not view.W.any(axis=0).all():
                raise UsageError("a template is zero")

    def components(self, label: int) -> tuple[int, ...]:
        """Return how many templates a label has in each view."""
        return tuple(len(view.columns(label)) // view.delays for view in self.views)

    def append(self, other: Dictionary) -> Dictionary:
        """Return a dictionary of the labels of both, which must have the same rate and views.

        Raises
        ------
        UsageError
            Both have a label.
        """
        clash = [label for label in other.labels if label in self.labels]
        if clash:
            raise UsageError(f"label {clash[0]!r} is in both dictionaries", "learn it anew under another name")
        views = []
        for mine, theirs in zip(self.views, other.views, strict=True):
            if mine.delays != theirs.delays:
                message = f"templates of {mine.delays} and of {theirs.delays} frames do not go together"
                raise UsageError(message, "learn them with the same --template-frames")
            W = np.concatenate([mine.W, theirs.W], axis=1)
            owners = np.concatenate([mine.owners, theirs.owners + len(self.labels)])
            views.append(Templates(mine.stft, W, owners, min(mine.known_bins, theirs.known_bins), mine.delays))
        labels, provenance = self.labels + other.labels, self.provenance + other.provenance
        return Dictionary(tuple(views), labels, self.sample_rate, self.divergence, self.channels, provenance)


def check_labels(labels: Sequence[str]) -> None:
    """Raise UsageError unless labels can be names of stems and differ."""
    if not 1 <= len(labels) <= LABELS:
        raise UsageError(f"a dictionary has 1 to {LABELS} labels, not {len(labels)}")
    for label in labels:
        check_label(label)
    seen: dict[str, str] = {}
    for label in labels:
        name = unicodedata.normalize("NFC", usable_name(label)).casefold()
        if name in seen:
            raise UsageError(f"labels {seen[name]!r} and {label!r} would be one file on some systems", "rename one")
        seen[name] = label


def check_label(label: str) -> None:
    """Raise UsageError unless a label can be the name of a stem."""
    if not label or "/" in label or "\0" in label or label in (".", "..") or len(label) > 200:
        raise UsageError(f"{label[:40]!r} cannot be the name of a stem", "use letters and digits")


def unit(W: Matrix, delays: int = 1) -> Matrix:
    """Return templates of unit norm, floored at -120 dB of their mean, since a multiplicative update keeps zeros."""
    exact = W.astype(np.float64).reshape(len(W), -1, delays)
    exact /= np.maximum(exact.mean(axis=(0, 2), keepdims=True), np.finfo(np.float64).tiny)
    exact += 1e-6
    exact /= np.sqrt(np.einsum("fkd,fkd->k", exact, exact))[:, None]
    scaled: Matrix = exact.reshape(W.shape).astype(np.float32)
    return scaled


def write(dictionary: Dictionary, path: Path) -> None:
    """Write a dictionary to a file, complete or not at all."""
    about = {
        "sample_rate": dictionary.sample_rate,
        "channels": dictionary.channels,
        "divergence": dictionary.divergence,
        "labels": dictionary.labels,
        "views": [
            {"n_fft": view.stft.n_fft, "hop_length": view.stft.hop_length, "window": view.stft.window}
            | ({"template_frames": view.delays} if view.delays > 1 else {})
            for view in dictionary.views
        ],
        "provenance": dictionary.provenance,
    }
    arrays: dict[str, NDArray[Any]] = {}
    for index, view in enumerate(dictionary.views):
        arrays |= {f"W{index}": view.W, f"owners{index}": view.owners.astype(np.int32)}
    # whatever an earlier version can read says so
    version = VERSION if any(view.delays > 1 for view in dictionary.views) else 1
    archive.write(path, SCHEMA, version, about, arrays)


def read(path: str | os.PathLike[str]) -> Dictionary:
    """Read a dictionary.

    Raises
    ------
    UsageError
        It is none, is damaged, or of a version from the future; the message says which.
    """
    with archive.Archive(path) as file:
        try:
            file.require(SCHEMA, VERSION)
            return _read(file)
        except UsageError as error:
            raise UsageError(error.message, error.hint, file.path) from error


def is_dictionary(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a dictionary."""
    try:
        read(path)
    except UsageError:
        return False
    return True


def _read(file: archive.Archive) -> Dictionary:
    about = file.about
    try:
        sound = matches(about, DESCRIPTION) and 1 <= len(about["views"]) <= 8
    except KeyError as error:
        raise UsageError("lacks a part of a dictionary's description") from error
    if not sound:
        raise UsageError("has a description that makes no sense for a dictionary")
    labels, rate, channels, divergence = (about[name] for name in ("labels", "sample_rate", "channels", "divergence"))
    as_divergence(divergence)
    read_views = []
    for index, view in enumerate(about["views"]):
        stft = STFT(view["n_fft"], view["hop_length"], view["window"])
        owners = file.array(f"owners{index}", 1)
        if owners.max() >= len(labels) or (owners != np.floor(owners)).any():
            raise UsageError(f"owners{index} are not indices of labels")
        read_views.append(_view(file, f"W{index}", stft, owners.astype(np.intp), view.get("template_frames", 1)))
    return Dictionary(tuple(read_views), tuple(labels), rate, divergence, channels, tuple(about["provenance"]))


def _view(file: archive.Archive, name: str, stft: STFT, owners: NDArray[np.intp], delays: int = 1) -> Templates:
    W = file.array(name, 2)
    if W.shape[0] != stft.bins:
        raise UsageError(f"{name} has {W.shape[0]} bins, n_fft {stft.n_fft} makes {stft.bins}")
    if W.shape[1] != len(owners):
        raise UsageError(f"{name} has {W.shape[1]} templates, of which {len(owners)} have a label")
    if not W.any(axis=0).all():
        raise UsageError(f"{name} has a template that is zero")
    if W.shape[1] % delays:
        raise UsageError(f"{name} has {W.shape[1]} columns, which are no templates of {delays} frames")
    norms = np.sqrt(np.square(W.astype(np.float64)).sum(axis=0).reshape(-1, delays).sum(axis=1))
    # our own are as they should be, and stay as they are, so that a dictionary read and written again is the same bytes
    done = W.min() > 0 and np.abs(norms - 1).max() < 1e-4
    return Templates(stft, W if done else unit(W, delays), owners, delays=delays)


FARTHEST = 4.0  # times longer or shorter that frames may become


def convert(dictionary: Dictionary, sample_rate: int, stfts: Sequence[STFT]) -> Dictionary:
    """Return a dictionary for other frames, its templates resampled along the frequency axis.

    Parameters
    ----------
    dictionary : Dictionary
    sample_rate : int
        Hertz of the mixture.
    stfts : sequence of STFT
        Of the mixture, one for each view of the result, made from the view whose frames last most nearly as long.

    Raises
    ------
    UsageError
        The frames differ too much in length.
    """
    views = []
    for stft in stfts:
        seconds = stft.n_fft / sample_rate
        lengths = [view.stft.n_fft / dictionary.sample_rate for view in dictionary.views]
        nearest = int(np.argmin(np.abs(np.log(np.array(lengths) / seconds))))
        ratio = max(lengths[nearest] / seconds, seconds / lengths[nearest])
        if ratio > FARTHEST:
            raise UsageError(
                f"its frames last {lengths[nearest]:.3g} s, those asked for {seconds:.3g} s, too different to convert",
                "leave out --n-fft, or learn the dictionary with the same",
            )
        views.append(_convert_view(dictionary.views[nearest], dictionary.sample_rate, sample_rate, stft))
    return Dictionary(
        tuple(views),
        dictionary.labels,
        sample_rate,
        dictionary.divergence,
        dictionary.channels,
        dictionary.provenance,
    )


def suitable(dictionary: Dictionary, sample_rate: int) -> list[STFT]:
    """Return the frames for a mixture of that rate that last about as long as the dictionary's, one for each view."""
    if sample_rate == dictionary.sample_rate:
        return [view.stft for view in dictionary.views]
    stfts: dict[int, STFT] = {}
    for view in dictionary.views:
        wanted = view.stft.n_fft * sample_rate / dictionary.sample_rate
        n_fft = int(np.clip(2 ** round(np.log2(wanted)), 4, 2**20))
        steps = view.stft.n_fft / view.stft.hop_length
        stfts[n_fft] = STFT(n_fft, max(1, min(n_fft // 2, round(n_fft / steps))), view.stft.window)
    return list(stfts.values())


def _convert_view(view: Templates, rate: int, sample_rate: int, stft: STFT) -> Templates:
    seconds = stft.hop_length / sample_rate, view.stft.hop_length / rate
    if view.delays > 1 and not 0.8 < seconds[0] / seconds[1] < 1.25:
        raise UsageError(
            f"its templates last {view.delays} frames of {seconds[1]:.3g} s, not of {seconds[0]:.3g} s",
            "leave out --n-fft and --hop-length",
        )
    if rate == sample_rate and stft.n_fft == view.stft.n_fft:
        return Templates(stft, view.W, view.owners, view.known_bins, view.delays)
    # where the new bins lie among the old, in bins
    step = (sample_rate / stft.n_fft) / (rate / view.stft.n_fft)
    positions = np.arange(stft.bins) * step
    known = int(np.searchsorted(positions, view.known_bins - 1, side="right"))
    if known < 2:
        raise UsageError("its templates tell of no frequency that the mixture has")
    W = _resampled(view.W, positions[:known], step)
    if known < stft.bins:
        # what is not known gets the level of the highest that is
        high = W[-max(1, known // 8) :].mean(axis=0)
        W = np.concatenate([W, np.repeat(high[None], stft.bins - known, axis=0)])
    return Templates(stft, unit(W, view.delays), view.owners, known, view.delays)


def _resampled(W: Matrix, positions: NDArray[np.floating[Any]], step: float) -> Matrix:
    """Return the mean of each column around each position, over a bin's width or the new bin's, whichever is wider."""
    bins, half = len(W), 0.5 * max(step, 1.0)
    below = np.concatenate([np.zeros((1, W.shape[1])), np.cumsum(W, axis=0, dtype=np.float64)])

    def up_to(edges: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Integral of the columns, each bin reaching half a bin to either side, from 0 to an edge."""
        edges = np.clip(edges + 0.5, 0, bins)
        whole = np.minimum(edges.astype(np.intp), bins - 1)
        part: NDArray[np.float64] = below[whole] + (edges - whole)[:, None] * W[whole]
        return part

    low, high = np.clip(positions - half, -0.5, bins - 0.5), np.clip(positions + half, -0.5, bins - 0.5)
    mean = (up_to(high) - up_to(low)) / (high - low)[:, None]
    clean: Matrix = np.maximum(mean, 0).astype(np.float32)
    return clean
