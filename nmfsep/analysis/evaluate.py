"""Evaluation of stems: files of estimates and of true stems into SI-SDR, SDR, SIR, SAR and SNR.

All files are read side by side, block by block. Their correlations are added up, estimates are paired with true stems,
and each pair gets its figures, together with those of an ideal mask if asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import numpy as np

from .. import memory
from ..errors import InputError, UsageError
from ..files.naming import track_name
from ..separation.masks import mask_of
from ..settings.commands import EvaluationSettings
from ..settings.separation import Settings
from ..signal.audio import not_finite
from ..signal.read import BLOCK, FAR, Source
from ..signal.stft import STFT
from ..signal.stream import blocks
from .oracle import FRAMES, with_ideal_stems
from .scores import Figures, Judge, Real, correlate, transform_size

SCHEMA = 1
FIGURES = ("si_sdr", "sdr", "sir", "sar", "snr")
GAINS = ("si_sdr", "sdr", "snr")  # those that a mixture has, too
LIBRARIES = 90 << 20  # bytes: the interpreter with numpy and scipy


@dataclass(frozen=True, slots=True)
class Row:
    """One true stem, and the estimate that was found of it, if there is one.

    `figures` are in dB, NaN where undefined. Their names are those of FIGURES, with "_gain" for what is gained over the
    mixture and with "oracle_" for the ideal mask.
    """

    stem: str
    estimate: str | None
    figures: dict[str, float]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found."""

    rows: tuple[Row, ...]  # one for each true stem
    stems: tuple[str, ...]  # names of all true stems
    estimates: tuple[str, ...]  # names of all estimates
    bleed: Real  # dB of each true stem in each estimate, (estimates, stems); see Figures
    matched_by: str  # "name" or "best"
    length: int  # samples of each file
    sample_rate: int  # hertz
    channels: int
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        """Return the means in a line."""
        means = ", ".join(f"{name} {value:.2f}" for name, value in self.mean.items() if not np.isnan(value))
        return f"Evaluation({len(self.stems)} stems, means in dB: {means})"

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the figures in every row."""
        return tuple(self.rows[0].figures)

    @property
    def mean(self) -> dict[str, float]:
        """Mean of each figure over the true stems for which it is defined."""
        table = {name: np.array([row.figures[name] for row in self.rows]) for name in self.columns}
        defined = {name: values[~np.isnan(values)] for name, values in table.items()}
        return {name: float(np.mean(values)) if len(values) else np.nan for name, values in defined.items()}

    @property
    def left_over(self) -> tuple[str, ...]:
        """Estimates that were compared with no true stem."""
        used = {row.estimate for row in self.rows}
        return tuple(name for name in self.estimates if name not in used)

    def document(self) -> dict[str, Any]:
        """Return what JSON holds: everything, rounded to what can be trusted, with None for what is undefined."""
        return {
            "schema": SCHEMA,
            "stems": [
                {"stem": row.stem, "estimate": row.estimate} | {name: rounded(x) for name, x in row.figures.items()}
                for row in self.rows
            ],
            "mean": {name: rounded(value) for name, value in self.mean.items()},
            "left_over": list(self.left_over),
            "bleed": {
                name: dict(zip(self.stems, map(rounded, row), strict=True))
                for name, row in zip(self.estimates, self.bleed.tolist(), strict=True)
            },
            "matched_by": self.matched_by,
            "sample_rate": self.sample_rate,
            "channels": self.channels,
            "length": self.length,
            "warnings": list(self.warnings),
        }


def rounded(value: float) -> float | None:
    """Return a figure to a thousandth of a dB, None for NaN."""
    return None if np.isnan(value) else round(value, 3) + 0.0


def evaluate(
    references: Sequence[str],
    estimates: Sequence[str],
    mixture: str | None = None,
    settings: EvaluationSettings | None = None,
    oracle: Settings | None = None,
    limit: int | None = None,
) -> Evaluation:
    """Compare files of estimates with files of true stems.

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
        stft = STFT(*wanted.frames(tracks.sample_rate), wanted.window) if settings.oracle else None
        need = memory_needed(count, len(names), tracks.channels, lags, stft.n_fft if stft else None)
        memory.require(f"{count} true stems need", need, limit, "use a smaller --filter-length, or --max-memory")
        tracks.survey(settings.trim)
        everything = tracks.blocks(range(len(tracks.paths)))
        correlations = correlate(everything if mixture else _with_sum(everything, count), count, lags)
        judge = Judge(correlations.of(slice(count)))
        judged = judge.figures(correlations.of(slice(count, None)))
        ideal = None
        if stft is not None:
            truth = tracks.blocks([*range(count), len(tracks.paths) - 1] if mixture else range(count))
            truth = truth if mixture else _with_sum(truth, count)
            both = with_ideal_stems(truth, tracks.length, stft, mask_of(wanted.mask, wanted.mask_power))
            ideal = judge.figures(correlate(both, count, lags).of(slice(count, None)))
    by, found = pair(stems, names, judged.sdr[:, :-1], settings.match)
    with_gain = count > 1 or mixture is not None
    rows = tuple(
        Row(stem, None if i is None else names[i], _figures(judged, ideal, j, i, with_gain))
        for j, (stem, i) in enumerate(zip(stems, found, strict=True))
    )
    warnings = (*tracks.warnings, *_oddities(rows, names, correlations.energies))
    sound = tracks.length, tracks.sample_rate, tracks.channels
    return Evaluation(rows, stems, names, judged.bleed[:, :-1].T, by, *sound, warnings)


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


def _with_sum(blocks: Iterator[Real], count: int) -> Iterator[Real]:
    """Put the sum of the first `count` signals after all of them."""
    for block in blocks:
        yield np.concatenate([block, block[:count].sum(axis=0, keepdims=True)])


def pair(
    references: Sequence[str], estimates: Sequence[str], sdr: Real, how: str = "auto"
) -> tuple[str, list[int | None]]:
    """Return what decided, "name" or "best", and for each true stem the index of its estimate, None if it has none.

    `sdr`, shape (references, estimates), is in dB and NaN where it is undefined. "best" is the assignment with the
    largest sum; "auto" goes by name where every true stem has an estimate of its name.
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
    assigned = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    return "best", [assigned.get(row) for row in range(len(references))]


def _figures(
    judged: Figures, ideal: Figures | None, reference: int, estimate: int | None, gains: bool
) -> dict[str, float]:
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


def _oddities(rows: Sequence[Row], names: Sequence[str], energies: Real) -> Iterator[str]:
    """Yield what the user should know before believing the figures; `energies` are those of stems, then estimates."""
    mute = {name for name, energy in zip(names, energies[len(rows) :], strict=False) if not energy > 0}
    for row, energy in zip(rows, energies, strict=False):
        if not energy > 0:
            yield f"true stem {row.stem!r} is silent, so nothing can be said of it; the means leave it out"
        elif row.estimate is None:
            yield f"true stem {row.stem!r} has no estimate; the means leave it out"
        elif row.estimate in mute:
            yield f"estimate {row.estimate!r} is silent; the means leave out its stem, {row.stem!r}"
    used = {row.estimate for row in rows}
    for name in names:
        if name not in used:
            yield f"estimate {name!r} is left over"


class Tracks:
    """Files of one sample rate and number of channels, open for reading; a context manager.

    Once `survey` has been through them, `length` is the samples of each, and `warnings` say what is odd about a file
    though it can be read.
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
                    hint = f"convert it first, as with 'sox IN -r {first.sample_rate} OUT'"
                    raise UsageError(message, hint, source.path)
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
        """Read every file once: how long and how loud it is, and that its samples are finite numbers.

        Lengths may differ if `trim`; the shortest then decides.
        """
        lengths, peaks = zip(*map(_measure, self._sources), strict=True)
        self.warnings += [f"{track_name(source.path)}: {text}" for source in self._sources for text in source.warnings]
        for path, length in zip(self.paths, lengths, strict=True):
            if length != lengths[0] and not trim:
                message = f"has {length} samples, where {self.paths[0]!r} has {lengths[0]}"
                raise UsageError(message, "use --trim to compare as far as both go", path)
        self.length, loudest = min(lengths), max(peaks)
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


def _count(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"


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
