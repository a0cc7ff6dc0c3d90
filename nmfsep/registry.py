"""Registries of what can be chosen by name. Adding a choice is one file and one line here; nothing heavy is loaded."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .errors import UsageError


class Registry(Mapping[str, str]):
    """Names of one kind of thing, each with the place of its code and a one-line summary.

    As a mapping it goes from name to summary.

    Parameters
    ----------
    kind : str
        What the names name, as error messages say it.
    *entries : (str, str, str)
        Name, "module:attribute" below ``nmfsep``, and summary.
    aliases : mapping of str to str, optional
        Other spellings, to the name they mean.
    """

    def __init__(self, kind: str, *entries: tuple[str, str, str], aliases: Mapping[str, str] | None = None) -> None:
        self.kind, self.aliases = kind, dict(aliases or {})
        self._entries = {name: (place, summary) for name, place, summary in entries}

    def __getitem__(self, name: str) -> str:
        return self._entries[name][1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __or__(self, other: Registry) -> Registry:
        """Return a registry of both."""
        entries = (self._entries | other._entries).items()
        return Registry(self.kind, *((name, *entry) for name, entry in entries), aliases=self.aliases | other.aliases)

    def resolve(self, name: str) -> str:
        """Return the canonical name, in whatever case it is typed, or raise UsageError with the nearest right one."""
        found = self.aliases.get(name.lower(), name.lower())
        if found in self._entries:
            return found
        raise UsageError(f"{self.kind} {name!r} is unknown", suggestion(name, [*self._entries, *self.aliases]))

    def load(self, name: str) -> Any:
        """Import and return what the name stands for."""
        module, attribute = self._entries[self.resolve(name)][0].split(":")
        return getattr(importlib.import_module(f"nmfsep.{module}"), attribute)


def choose(word: str, names: Sequence[str], what: str = "") -> str:
    """Return which of some names is meant, by itself or by its number from 1; `what` says where it was given.

    A name goes before a number that looks the same. UsageError has the nearest right one.
    """
    if word in names:
        return word
    if re.fullmatch("[0-9]{1,9}", word, re.ASCII) and 1 <= int(word) <= len(names):
        return names[int(word) - 1]
    raise UsageError(f"{what} {word[:40]!r} is no stem".lstrip(), suggestion(word, list(names)))


def suggestion(word: str, known: list[str]) -> str:
    """Return "did you mean 'x'?" for a near miss, else the list of what is known."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else "choose from " + ", ".join(sorted(known))


DIVERGENCES = Registry(
    "divergence",
    ("kl", "kernels.divergence:kullback_leibler", "generalised Kullback-Leibler, beta 1: the choice for sound"),
    ("frobenius", "kernels.divergence:frobenius", "half squared error, beta 2: the lecture's objective"),
    ("is", "kernels.divergence:itakura_saito", "Itakura-Saito, beta 0: blind to level"),
    aliases={"kullback-leibler": "kl", "itakura-saito": "is", "fro": "frobenius", "euclidean": "frobenius"},
)

SOLVERS = Registry(
    "solver",
    ("mu", "nmf.solvers.mu:MU", "multiplicative updates by majorisation, any beta; the loss never rises"),
    ("mue", "nmf.solvers.mu:MUE", "multiplicative updates with extrapolation, any beta: mu at twice the speed"),
    ("hals", "nmf.solvers.hals:HALS", "hierarchical alternating least squares, beta 2 only"),
    ("ehals", "nmf.solvers.hals:EHALS", "hals with extrapolation and restarts: faster"),
    ("pinv", "nmf.solvers.pinv:Pinv", "pseudo-inverse cut at zero, beta 2 only: a heuristic, its best is kept"),
)

STARTS = Registry(
    "start",
    ("random", "nmf.starts:random", "absolute normal noise at the level of X; depends on the seed"),
    ("nndsvd", "nmf.starts:nndsvd", "non-negative double SVD; exact zeros, so not for mu and mue"),
    ("nndsvda", "nmf.starts:nndsvda", "nndsvd with its zeros filled at the level of X"),
    ("nndsvdar", "nmf.starts:nndsvdar", "nndsvd with its zeros filled with small noise"),
    ("spa", "nmf.starts:spa", "the frames that differ most, by successive projection; deterministic"),
    ("kmeans", "nmf.starts:spherical_kmeans", "centres of frames that point the same way"),
)

# Functions of (X, k or levels, *, max_iter, tol, time_limit, seed, callback, threads, options of their own).
MODELS = Registry(
    "model",
    ("nmf", "nmf.factorize:factorize", "X ≈ W Z, both non-negative"),
    ("semi", "models.semi:semi_nmf", "one factor non-negative, the other free: for signed matrices"),
    ("nmfd", "models.convolutive:convolutive_nmf", "templates of several frames: for strokes that fade and change"),
    ("deep", "models.deep:deep_nmf", "parts made of parts, all non-negative: X ≈ W1 W2 … Z"),
    ("deep-semi", "models.deep:deep_semi_nmf", "deep for signed matrices"),
    ("kmeans", "models.kmeans:k_means", "every column has one template: k-means clustering"),
    ("orthogonal", "models.kmeans:orthogonal_nmf", "every column has one template, scaled: orthogonal NMF"),
)
SIGNED_MODELS = frozenset({"semi", "deep-semi", "kmeans"})  # that take matrices of any sign
CONVOLUTIVE = frozenset({"nmfd"})  # with several columns of W for each component
CONVOLUTIVE_PRESETS = frozenset({"drums"})
CLUSTERINGS = frozenset({"kmeans", "orthogonal"})  # whose components are as many as there are columns at the most

# For models with one factor that may be negative.
SIGNED_SOLVERS = Registry(
    "solver",
    ("hals", "models.semi:SemiHALS", "least squares and coordinate descent"),
    ("mu", "models.semi:SemiMU", "least squares and multiplicative updates"),
)

SIGNED_STARTS = Registry(
    "start",
    (
        "svd",
        "models.semi:svd",
        "models semi and deep-semi only: no worse than the best approximation of one rank less; deterministic",
    ),
    ("random", "models.semi:random", "absolute normal noise; depends on the seed"),
)

# Starts that need to know what sound the matrix came from: (Xt, components, rng, frequencies) -> Factors.
SOUND_STARTS = Registry(
    "start",
    ("semantic", "grouping.semantic:semantic", "combs of harmonics and spectra of onsets: for music, many components"),
)

MASKS = Registry(
    "mask",
    ("ratio", "separation.masks:ratio", "each stem's share of the model, raised to --mask-power"),
    ("wiener", "separation.masks:ratio", "the ratio of energies: ratio with power 2"),
    ("binary", "separation.masks:binary", "all of a time-frequency bin to its loudest stem"),
)

# Those that need all channels at once, and what they learn from the mixture: (mixture, stft, model, workers) -> Filter,
# see separation.render.
SPATIAL_MASKS = Registry(
    "mask",
    (
        "mwf",
        "separation.mwf:learn",
        "multichannel Wiener filter: by where stems are, too; ratio where there is one channel",
    ),
)

# What can be known of stems beforehand; each is an option of split by its name, of which the summary begins with what
# the option takes.
CUES = Registry(
    "cue",
    ("dictionary", "guidance.dictionary:Dictionaries", "FILE: Separate into the sounds of a dictionary."),
    ("learn", "guidance.excerpt_cue:Excerpts", "NAME=T1-T2: Learn NAME where it is alone: rain=0:00-0:02."),
    ("midi", "guidance.midi_cue:Scores", "[NAME=]FILE: Separate the notes of a MIDI file, or its tracks."),
    ("labels", "guidance.label_cue:Labels", "FILE: Separate what an Audacity label track names."),
)

# What can be written next to the stems.
EXPORTS = Registry(
    "export",
    ("midi", "analysis.exports:Midi", "the notes of each stem, by pitches and onsets"),
    ("labels", "analysis.exports:Labels", "when each stem sounds, as a label track of Audacity"),
)

# Ways to find the atoms of stems: (Scene, stems, atoms) -> Atoms.
GROUPINGS = Registry(
    "grouping",
    ("timbre", "grouping.cut:timbre", "atoms that sound alike: instruments"),
    (
        "foreground",
        "grouping.foreground:foreground",
        "one stem for what moves fast, as a voice, the others for what stays",
    ),
)

# What people ask for by name: (X, stft, sample_rate, settings) -> Grouped, its stems named in settings.fields.
PRESETS = Registry(
    "preset",
    (
        "drums",
        "grouping.presets:drums",
        "kick, snare, hihat, by strokes of several frames; fails on loops with other instruments, toms or cymbals",
    ),
    (
        "voice",
        "grouping.presets:voice",
        "voice, accompaniment; fails where the accompaniment moves as fast, and finds voices only roughly",
    ),
    ("noise", "grouping.presets:noise", "signal, noise; fails on noise that comes and goes within seconds"),
)
