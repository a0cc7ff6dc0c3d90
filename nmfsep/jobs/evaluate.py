"""From files to figures: read, correlate, pair, judge."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import numpy as np

from .. import memory
from ..analysis.oracle import FRAMES, beside_ideal_stems
from ..analysis.scores import Figures, Judge, Real, correlate, transform_size
from ..errors import InputError, UsageError
from ..files.naming import track_name
from ..separation.masks import mask_of
from ..settings.commands import EvaluationSettings
from ..settings.separation import Settings
from ..signal.audio import not_finite
from ..signal.read import BLOCK, FAR, Source
from ..signal.stft import STFT
from ..signal.stream import blocks
from .inputs import look
from .safety import require_readable


def pair(
    references: Sequence[str], estimates: Sequence[str], sdr: Real, how: str = "auto"
) -> tuple[str, list[int | None]]:
    """Return what decided, "name" or "best", and for each true stem the index of its estimate, None if it has none.

    Parameters
    ----------
    references, estimates : sequence of str
        Names.
    sdr : ndarray, shape (references, estimates)
        In dB; NaN where it is undefined.
    how : {"auto", "name", "best"}
        By name, or the assignment with the largest sum of SDRs; auto is by name where every true stem has an estimate
        of its name.

    Raises
    ------
    UsageError
        By name, and there is no name in common.
    """
    where = {name: index for index, name in enumerate(estimates)}
    named = [where.get(name) for name in references]
    if how == "name" and all(index is None for index in named):
        raise UsageError("no estimate has the name of a true stem", "use --match best")
    if how == "name" or (how == "auto" and None not in named):
        return "name", named
    from scipy.optimize import linear_sum_assignment

    # what is silent is worse than anything that sounds, and one silence as bad as the next
    rows, columns = linear_sum_assignment(np.nan_to_num(sdr, nan=-1e3), maximize=True)
    assigned: list[int | None] = [None] * len(references)
    for row, column in zip(rows, columns, strict=True):
        assigned[row] = int(column)
    return "best", assigned


def find(paths: Sequence[str], mixture: str | None = None) -> list[str]:
    """Return files, and in place of a folder the audio files in it, sorted by name.

    Parameters
    ----------
    paths : sequence of str
        "-" is standard input.
    mixture : str, optional
        A file that is left out where a folder holds it.

    Raises
    ------
    UsageError
        A path cannot be opened, a folder holds no audio, or two files have one name but for their folder and extension.
    """
    found: list[str] = []
    for path in paths:
        if path == "-" or not os.path.isdir(os.fsencode(path)):
            require_readable(path)
            found.append(path)
            continue
        files = [entry.path for entry in look(path, deep=False, products=True).inputs]
        inside = [file for file in files if not _is_same(file, mixture)]
        if not inside:
            raise UsageError("holds no audio files", "name the folder that the stems themselves lie in", path)
        found += inside
    names = Counter(track_name(path) for path in found)
    for path in found:
        if names[track_name(path)] > 1:
            raise UsageError(f"is one of {names[track_name(path)]} files called {track_name(path)!r}", "keep one", path)
    return found


class Tracks:
    """Files of one sample rate and number of channels, open for reading; a context manager.

    Parameters
    ----------
    paths : sequence of str

    Attributes
    ----------
    sample_rate, channels : int
    length : int
        Samples of each, once `survey` has been through them.
    warnings : list of str
        What is odd about a file though it can be read.

    Raises
    ------
    InputError
        A file cannot be read.
    UsageError
        Sample rates or numbers of channels differ.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = list(paths)
        self.length, self.warnings = 0, list[str]()
        self._scale = 1.0
        with contextlib.ExitStack() as stack:
            self._sources = [stack.enter_context(Source(path)) for path in self.paths]
            first = self._sources[0]
            self.sample_rate, self.channels = first.sample_rate, first.channels
            for source in self._sources[1:]:
                if source.sample_rate != first.sample_rate:
                    message = f"has {source.sample_rate} Hz, where {first.path!r} has {first.sample_rate} Hz"
                    raise UsageError(
                        message, f"convert it first, as with 'sox IN -r {first.sample_rate} OUT'", source.path
                    )
                if source.channels != first.channels:
                    message = f"has {_count(source.channels)}, where {first.path!r} has {_count(first.channels)}"
                    raise UsageError(message, "convert one of them first, as with 'sox IN -c 1 OUT'", source.path)
            self._open = stack.pop_all()

    def __enter__(self) -> Tracks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def survey(self, trim: bool = False) -> None:
        """Read every file once: how long and how loud it is, and that its samples are numbers.

        Parameters
        ----------
        trim : bool, default False
            Whether files may differ in length; the shortest then decides.

        Raises
        ------
        InputError
            A file holds no samples, or some that are not finite.
        UsageError
            Lengths differ.
        """
        lengths, loudest = [], 0.0
        for source in self._sources:
            length, peak = _measure(source)
            lengths.append(length)
            loudest = max(loudest, peak)
            self.warnings += [f"{track_name(source.path)}: {warning}" for warning in source.warnings]
        for path, length in zip(self.paths, lengths, strict=True):
            if length != lengths[0] and not trim:
                message = f"has {length} samples, where {self.paths[0]!r} has {lengths[0]}"
                raise UsageError(message, "use --trim to compare as far as both go", path)
        self.length = min(lengths)
        if loudest > 0 and not 1 / FAR < loudest < FAR:  # squares would leave the range of numbers
            self._scale = 2.0 ** -int(np.frexp(loudest)[1])

    def blocks(self, indices: Sequence[int]) -> Iterator[Real]:
        """Yield some of the files side by side, (files, channels, samples), to their common length."""
        streams = [blocks(self._sources[index]) for index in indices]
        for start in range(0, self.length, BLOCK):
            count = min(BLOCK, self.length - start)
            block = np.zeros((len(streams), self.channels, count))
            for row, stream, index in zip(block, streams, indices, strict=True):
                samples = next(stream, row[:, :0])
                if samples.shape[1] < count:
                    raise InputError("has become shorter while it was read", path=self.paths[index])
                np.multiply(samples[:, :count], self._scale, out=row)
            yield block


def _measure(source: Source) -> tuple[int, float]:
    """Return length and peak of a file of finite samples."""
    length, bad, first, peak = 0, 0, 0, 0.0
    for block in blocks(source):
        finite = np.isfinite(block)
        if not finite.all():
            first = first if bad else length + int(np.flatnonzero(~finite.all(axis=0))[0])
            bad += int((~finite).sum())
        else:
            peak = max(peak, float(np.abs(block).max()))
        length += block.shape[1]
    if bad:
        error = not_finite(bad, first / source.sample_rate)
        raise InputError(error.message, error.hint, source.path)
    if length == 0:
        raise InputError("holds no samples", path=source.path)
    if source.frames is not None and length < source.frames:
        source.warn_cut(source.frames, length)
    return length, peak


def _is_same(path: str, other: str | None) -> bool:
    there = other not in (None, "-") and os.path.exists(os.fsencode(path))
    return there and os.path.samefile(os.fsencode(path), os.fsencode(str(other)))


def _count(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"


SCHEMA = 1
FIGURES = ("si_sdr", "sdr", "sir", "sar", "snr")
GAINS = ("si_sdr", "sdr", "snr")  # those that a mixture has, too
LIBRARIES = 90 << 20  # bytes: the interpreter with numpy and scipy


@dataclass(frozen=True, slots=True)
class Row:
    """One true stem and what was found of it.

    Attributes
    ----------
    stem : str
    estimate : str or None
        None where it has none.
    figures : dict of str to float
        dB; NaN where undefined. Names are those of FIGURES, with "_gain" for what is gained over the mixture and with
        "oracle_" for the ideal mask.
    """

    stem: str
    estimate: str | None
    figures: dict[str, float]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found.

    Attributes
    ----------
    rows : tuple of Row
        One for each true stem.
    stems, estimates : tuple of str
        Names of all.
    bleed : ndarray, shape (estimates, stems)
        How much of each true stem is in each estimate, dB; see Figures.
    matched_by : str
        "name" or "best".
    length, sample_rate, channels : int
    warnings : tuple of str
    """

    rows: tuple[Row, ...]
    stems: tuple[str, ...]
    estimates: tuple[str, ...]
    bleed: Real
    matched_by: str
    length: int
    sample_rate: int
    channels: int
    warnings: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the figures in every row."""
        return tuple(self.rows[0].figures)

    @property
    def mean(self) -> dict[str, float]:
        """Mean of each figure over the true stems for which it is defined."""
        means = {}
        for name in self.columns:
            values = [row.figures[name] for row in self.rows if not np.isnan(row.figures[name])]
            means[name] = float(np.mean(values)) if values else np.nan
        return means

    @property
    def left_over(self) -> tuple[str, ...]:
        """Estimates that were held against no true stem."""
        used = {row.estimate for row in self.rows}
        return tuple(name for name in self.estimates if name not in used)


def evaluate(
    references: Sequence[str],
    estimates: Sequence[str],
    mixture: str | None = None,
    settings: EvaluationSettings | None = None,
    oracle: Settings | None = None,
    limit: int | None = None,
) -> Evaluation:
    """Hold files of estimates against files of true stems.

    Parameters
    ----------
    references, estimates : sequence of str
        Audio files.
    mixture : str, optional
        Audio file; the sum of the true stems if not given.
    settings : EvaluationSettings, optional
    oracle : Settings, optional
        STFT and mask of the ideal estimates; used if the settings ask for them.
    limit : int, optional
        Bytes of memory that may be taken; three quarters of what is free if not given.

    Returns
    -------
    Evaluation

    Raises
    ------
    UsageError
        Files do not go together, no names match, or memory would not suffice.
    InputError
        A file cannot be read, or has samples that are not finite.
    """
    settings = settings or EvaluationSettings()
    wanted = replace(oracle or Settings(), components=len(references))
    stems, names = tuple(map(track_name, references)), tuple(map(track_name, estimates))
    count, lags = len(stems), settings.filter_length
    with Tracks([*references, *estimates, *([mixture] if mixture else [])]) as tracks:
        _require_memory(count, len(names), tracks, settings, wanted, limit)
        tracks.survey(settings.trim)
        everything = tracks.blocks(range(len(tracks.paths)))
        correlations = correlate(everything if mixture else _with_sum(everything, count), count, lags)
        judge = Judge(correlations.of(slice(count)))
        judged = judge.figures(correlations.of(slice(count, None)))
        ideal = None
        if settings.oracle:
            truth = tracks.blocks([*range(count), len(tracks.paths) - 1] if mixture else range(count))
            stft = STFT(*wanted.frames(tracks.sample_rate), wanted.window)
            mask = mask_of(wanted.mask, wanted.mask_power)
            beside = beside_ideal_stems(truth if mixture else _with_sum(truth, count), tracks.length, stft, mask)
            ideal = judge.figures(correlate(beside, count, lags).of(slice(count, None)))
        sound = (tracks.length, tracks.sample_rate, tracks.channels)
    by, found = pair(stems, names, judged.sdr[:, :-1], settings.match)
    with_gain = count > 1 or mixture is not None
    rows = tuple(
        Row(stem, None if i is None else names[i], _row(judged, ideal, j, i, with_gain))
        for j, (stem, i) in enumerate(zip(stems, found, strict=True))
    )
    warnings = [*tracks.warnings, *_odd(rows, names, correlations.energies)]
    return Evaluation(rows, stems, names, judged.bleed[:, :-1].T, by, *sound, tuple(warnings))


def document(evaluation: Evaluation) -> dict[str, Any]:
    """Return what JSON holds: everything, rounded to what can be trusted, with None for what is undefined."""
    return {
        "schema": SCHEMA,
        "stems": [
            {"stem": row.stem, "estimate": row.estimate} | {name: rounded(x) for name, x in row.figures.items()}
            for row in evaluation.rows
        ],
        "mean": {name: rounded(value) for name, value in evaluation.mean.items()},
        "left_over": list(evaluation.left_over),
        "bleed": {
            name: dict(zip(evaluation.stems, map(rounded, row), strict=True))
            for name, row in zip(evaluation.estimates, evaluation.bleed.tolist(), strict=True)
        },
        "matched_by": evaluation.matched_by,
        "sample_rate": evaluation.sample_rate,
        "channels": evaluation.channels,
        "length": evaluation.length,
        "warnings": list(evaluation.warnings),
    }


def rounded(value: float) -> float | None:
    """Return a figure to a thousandth of a dB, None for NaN."""
    return None if np.isnan(value) else round(value, 3) + 0.0


def memory_needed(references: int, estimates: int, channels: int, lags: int, n_fft: int | None = None) -> int:
    """Return about how many bytes an evaluation takes at its peak; `n_fft` is that of an oracle, if there is one."""
    signals = references + max(references if n_fft else 0, estimates + 1)
    matrix = 8 * (references * lags) ** 2 + 8 * references * lags**2
    spectra = 2 * 16 * references * signals * (transform_size(lags) // 2 + 1)
    filters = 8 * 8 * references * signals * lags
    sound = 3 * 8 * signals * channels * BLOCK
    if n_fft:
        sound += 8 * 8 * (references + 1) * channels * FRAMES * (n_fft // 2 + 1)
    return LIBRARIES + matrix + spectra + filters + sound


def _require_memory(
    references: int, estimates: int, tracks: Tracks, settings: EvaluationSettings, oracle: Settings, limit: int | None
) -> None:
    n_fft = oracle.frames(tracks.sample_rate)[0] if settings.oracle else None
    need = memory_needed(references, estimates, tracks.channels, settings.filter_length, n_fft)
    memory.require(f"{references} true stems need", need, limit, "use a smaller --filter-length, or --max-memory")


def _with_sum(blocks: Iterator[Real], count: int) -> Iterator[Real]:
    """Put the sum of the first `count` signals after all of them."""
    for block in blocks:
        yield np.concatenate([block, block[:count].sum(axis=0, keepdims=True)])


def _row(judged: Figures, ideal: Figures | None, reference: int, estimate: int | None, gains: bool) -> dict[str, float]:
    """Return the figures of one true stem; the mixture is the last of the signals judged."""
    values: dict[str, float] = {}
    for name in FIGURES:
        own = getattr(judged, name)[reference]
        values[name] = np.nan if estimate is None else float(own[estimate])
        if name in GAINS:
            values[f"{name}_gain"] = values[name] - float(own[-1]) if gains else np.nan
    for name in FIGURES if ideal is not None else ():
        values[f"oracle_{name}"] = float(getattr(ideal, name)[reference, reference])
    return values


def _odd(rows: Sequence[Row], names: Sequence[str], energies: Real) -> Iterator[str]:
    """Yield what the user should know before believing the figures."""
    silent = [not energy > 0 for energy in energies]
    mute = {name for name, still in zip(names, silent[len(rows) :], strict=False) if still}
    for row, still in zip(rows, silent, strict=False):
        if still:
            yield f"true stem {row.stem!r} is silent, so nothing can be said of it; the means leave it out"
        elif row.estimate is None:
            yield f"true stem {row.stem!r} has no estimate; the means leave it out"
        elif row.estimate in mute:
            yield f"estimate {row.estimate!r} is silent; the means leave out its stem, {row.stem!r}"
    used = {row.estimate for row in rows}
    for name in names:
        if name not in used:
            yield f"estimate {name!r} is left over"
