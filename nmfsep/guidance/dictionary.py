"""Dictionaries: templates learned from isolated sounds, by label; their files; and the cue that they are.

For a mixture of another sample rate, or other frames, templates are resampled along the frequency axis.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..files import npz as archive
from ..files.json_fields import matches
from ..kernels.divergence import as_divergence
from ..settings.fields import WINDOWS
from ..signal.stft import STFT
from ..system import usable_name
from .codebooks import MOST_LABELS, Books, pack_books, unpack_books
from .cue import Context, Cue, Proposed, sha256
from .strokes import MOST, Strokes, converted, pack, unpack
from .templates import Templates, unit

SCHEMA, VERSION = "nmfsep.dictionary", 4  # 2 has templates of several frames, 3 strokes, 4 codebooks
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
    "traits?": [{"threshold?": float, "struck?": bool, "before?": float, "after?": float}],
}
FARTHEST = 4.0  # times longer or shorter that frames may become


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
    strokes : tuple of Strokes
        One for each label: waveforms of single sounds, at the sample rate; empty where none were kept.
    books : tuple of Books
        One for each label: its spectra and how they follow each other; empty where there was too little sound.
    traits : tuple of dict
        One for each label: what `detect` needs to know of it. ``threshold`` is the share of the mixture, in dB, from
        which it is known from others, ``struck`` whether it consists of strokes, ``before`` and ``after`` the seconds
        that marks of it reach beyond what is heard. Earlier versions kept none.

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
    strokes: tuple[Strokes, ...] = ()
    books: tuple[Books, ...] = ()
    traits: tuple[dict[str, Any], ...] = ()

    def __repr__(self) -> str:
        """Return the labels in a line, each with its templates at every length of frames."""
        counts = [f"{name} {'+'.join(map(str, self.components(index)))}" for index, name in enumerate(self.labels)]
        return f"Dictionary({', '.join(counts)} templates, {self.sample_rate} Hz)"

    def __post_init__(self) -> None:
        check_labels(self.labels)
        if len(self.traits) not in (0, len(self.labels)):
            raise UsageError(f"there are traits of {len(self.traits)} labels, and {len(self.labels)} labels")
        if len(self.strokes) not in (0, len(self.labels)):
            raise UsageError(f"there are strokes of {len(self.strokes)} labels, and {len(self.labels)} labels")
        if len(self.books) not in (0, len(self.labels)):
            raise UsageError(f"there are codebooks of {len(self.books)} labels, and {len(self.labels)} labels")
        if (samples := sum(len(stroke) for own in self.strokes for stroke in own)) > MOST:
            message = f"would hold strokes of {samples} samples; {MOST} are the most"
            raise UsageError(message, "learn with --no-waveforms, or into several dictionaries")
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
        places = range(len(self.labels), len(self.labels) + len(other.labels))
        views = []
        for mine, theirs in zip(self.views, other.views, strict=True):
            if mine.delays != theirs.delays:
                message = f"templates of {mine.delays} and of {theirs.delays} frames do not go together"
                raise UsageError(message, "learn them with the same --template-frames")
            views.append(mine.joined(theirs.renumbered(places)))
        labels, provenance = self.labels + other.labels, self.provenance + other.provenance
        strokes: tuple[Strokes, ...] = ()
        if self.strokes or other.strokes:
            strokes = tuple(own for each in (self, other) for own in each.strokes or ((),) * len(each.labels))
        books: tuple[Books, ...] = ()
        if len(labels) <= MOST_LABELS and (self.books or other.books):
            books = tuple(own for each in (self, other) for own in each.books or ((),) * len(each.labels))
        traits: tuple[dict[str, Any], ...] = ()
        if self.traits or other.traits:
            traits = tuple(own for each in (self, other) for own in each.traits or ({},) * len(each.labels))
        return replace(
            self, views=tuple(views), labels=labels, provenance=provenance, strokes=strokes, books=books, traits=traits
        )


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
    } | ({"traits": dictionary.traits} if dictionary.traits else {})
    arrays: dict[str, NDArray[Any]] = {}
    for index, view in enumerate(dictionary.views):
        arrays |= {f"W{index}": view.W, f"owners{index}": view.owners.astype(np.int32)}
    waveforms = pack(dictionary.strokes)
    codebooks = pack_books(dictionary.books)
    arrays |= waveforms | codebooks
    # whatever an earlier version can read says so
    version = 4 if codebooks else 3 if waveforms else 2 if any(view.delays > 1 for view in dictionary.views) else 1
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
    views = []
    for index, view in enumerate(about["views"]):
        stft = STFT(view["n_fft"], view["hop_length"], view["window"])
        owners = file.array(f"owners{index}", 1)
        if owners.max() >= len(labels) or (owners != np.floor(owners)).any():
            raise UsageError(f"owners{index} are not indices of labels")
        views.append(_view(file, f"W{index}", stft, owners.astype(np.intp), view.get("template_frames", 1)))
    strokes = unpack(file, len(labels), rate) if about["version"] >= 3 else ()
    books = unpack_books(file, len(labels)) if about["version"] >= 4 else ()
    provenance, traits = tuple(about["provenance"]), tuple(about.get("traits", ()))
    return Dictionary(tuple(views), tuple(labels), rate, divergence, channels, provenance, strokes, books, traits)


def _view(file: archive.Archive, name: str, stft: STFT, owners: NDArray[np.intp], delays: int) -> Templates:
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


def convert(dictionary: Dictionary, sample_rate: int, stfts: Sequence[STFT]) -> Dictionary:
    """Return a dictionary for mixtures of another rate in hertz, and for other frames, with a view for each of these.

    Each view is made from the one whose frames last most nearly as long.

    Raises
    ------
    UsageError
        The frames differ too much in length.
    """
    lengths = [view.stft.n_fft / dictionary.sample_rate for view in dictionary.views]
    views = []
    for stft in stfts:
        seconds = stft.n_fft / sample_rate
        nearest = int(np.argmin(np.abs(np.log(np.array(lengths) / seconds))))
        if max(lengths[nearest] / seconds, seconds / lengths[nearest]) > FARTHEST:
            raise UsageError(
                f"its frames last {lengths[nearest]:.3g} s, those asked for {seconds:.3g} s, too different to convert",
                "leave out --n-fft, or learn the dictionary with the same",
            )
        views.append(dictionary.views[nearest].converted(dictionary.sample_rate, sample_rate, stft))
    return replace(dictionary, views=tuple(views), sample_rate=sample_rate, strokes=())


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


@dataclass(frozen=True, slots=True)
class Dictionaries(Cue):
    """The dictionaries of a run, at least one; raise UsageError where two have a label."""

    kind: ClassVar[str] = "dictionary"
    defaults: ClassVar[Mapping[str, Any]] = {}
    alone: ClassVar[bool] = False
    dictionaries: tuple[Dictionary, ...]
    paths: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    _fitted: dict[Any, tuple[Dictionary, tuple[str, ...]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def of(cls, value: Any, given: Mapping[str, Any]) -> Dictionaries:
        """Return the cue of dictionaries in memory, of their files, or of both."""
        kits = [value] if isinstance(value, (Dictionary, str, os.PathLike)) else list(value)
        paths = [os.fspath(kit) for kit in kits if not isinstance(kit, Dictionary)]
        if len(paths) == len(kits):
            return cls.read(paths, given)
        return cls(tuple(kit if isinstance(kit, Dictionary) else read(kit) for kit in kits))

    def __post_init__(self) -> None:
        owner: dict[str, int] = {}
        for index, dictionary in enumerate(self.dictionaries):
            for label in dictionary.labels:
                if label in owner:
                    message = f"has label {label!r}, as {self._name(owner[label])} has"
                    hint = "give one of them, or learn it anew under another name"
                    raise UsageError(message, hint, self._name(index))
                owner[label] = index

    @classmethod
    def read(cls, texts: Sequence[str], given: Mapping[str, Any]) -> Dictionaries:
        """Read dictionaries from files."""
        return cls(tuple(map(read, texts)), tuple(texts), tuple(map(sha256, texts)))

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, in order."""
        return tuple(label for dictionary in self.dictionaries for label in dictionary.labels)

    @property
    def lasting(self) -> bool:
        """Whether templates last several frames."""
        return any(view.delays > 1 for dictionary in self.dictionaries for view in dictionary.views)

    def labels_of_files(self) -> Sequence[Sequence[str]]:
        """Return the labels of each dictionary."""
        return [dictionary.labels for dictionary in self.dictionaries]

    def origin(self, label: str) -> str:
        """Return the dictionary of a label."""
        return next(self._name(i) for i, dictionary in enumerate(self.dictionaries) if label in dictionary.labels)

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the first was learned with."""
        first = self.dictionaries[0]
        stft = first.views[0].stft
        if given.get("window", stft.window) != stft.window:
            message = f"its templates were measured with window {stft.window!r}"
            raise UsageError(message, "leave out --window", self._name(0))
        frames = {"n_fft": stft.n_fft, "hop_length": stft.hop_length} if given.get("n_fft") is None else {}
        found = {"divergence": first.divergence, "window": stft.window, **frames}
        if first.views[0].delays > 1:  # there is no such penalty on activations that several frames share
            if given.get("sparsity"):
                hint = "leave out --sparsity"
                raise UsageError("templates of several frames know no sparsity", hint, self._name(0))
            found["sparsity"] = 0.0
        return found

    def stfts(self, sample_rate: int) -> list[STFT] | None:
        """Return frames that last about as long as those of the first."""
        return suitable(self.dictionaries[0], sample_rate)

    def check(self, sample_rate: int, stfts: Sequence[STFT], begin: float, end: float | None) -> tuple[str, ...]:
        """Return what has to be converted; raise UsageError where it cannot be."""
        return self._converted(sample_rate, stfts)[1]

    def sizes(self, sample_rate: int, stfts: Sequence[STFT], labels: Sequence[str]) -> list[int]:
        """Return the number of templates."""
        return [view.W.shape[1] for view in self._converted(sample_rate, stfts)[0].views]

    def propose(self, context: Context, stfts: Sequence[STFT], labels: Sequence[str]) -> Proposed:
        """Return the templates, converted to the mixture's rate and frames."""
        return list(self._converted(context.audio.sample_rate, stfts)[0].views), []

    @property
    def most_strokes(self) -> int:
        """How many waveforms a label has at the most."""
        return max((len(own) for dictionary in self.dictionaries for own in dictionary.strokes), default=0)

    def strokes(self, sample_rate: int) -> dict[str, Strokes]:
        """Return the strokes of each label that has any, converted to the mixture's rate."""
        return {
            label: converted(own, dictionary.sample_rate, sample_rate)
            for dictionary in self.dictionaries
            for label, own in zip(dictionary.labels, dictionary.strokes, strict=False)
            if own
        }

    def books(self) -> dict[str, Books]:
        """Return the codebooks of each label that has any."""
        return {
            label: own
            for dictionary in self.dictionaries
            for label, own in zip(dictionary.labels, dictionary.books, strict=False)
            if own
        }

    def _converted(self, sample_rate: int, stfts: Sequence[STFT]) -> tuple[Dictionary, tuple[str, ...]]:
        """Return one dictionary of all labels for mixtures of a rate, and what had to be converted."""
        key = (sample_rate, *stfts)
        if key in self._fitted:
            return self._fitted[key]
        notes, fitted = [], []
        for index, dictionary in enumerate(self.dictionaries):
            try:
                fitted.append(convert(dictionary, sample_rate, stfts))
            except UsageError as error:
                raise UsageError(error.message, error.hint, self._name(index)) from error
            note = f"templates of {self._name(index)!r} converted"
            if dictionary.sample_rate != sample_rate:
                note += f" from {dictionary.sample_rate} to {sample_rate} Hz"
                if any(view.known_bins < view.stft.bins for view in fitted[-1].views):
                    note += f"; they tell nothing of what is above {dictionary.sample_rate // 2} Hz"
                notes.append(note)
            elif {view.stft.n_fft for view in dictionary.views} != {stft.n_fft for stft in stfts}:
                notes.append(f"{note} to n_fft {' and '.join(str(stft.n_fft) for stft in stfts)}")
        self._fitted[key] = reduce(Dictionary.append, fitted), tuple(notes)
        return self._fitted[key]

    def _name(self, index: int) -> str:
        return self.paths[index] if index < len(self.paths) else f"dictionary {index + 1}"
