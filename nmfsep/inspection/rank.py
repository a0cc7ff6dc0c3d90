"""How many components a sound has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..access import require_readable
from ..budget import memory_needed
from ..errors import UsageError
from ..memory import require
from ..naming import track_name
from ..separation.groupings.timbre import mel_filters
from ..separation.ranking import BANDS, FRAMES, Evidence, rank, recommended
from ..separation.spectra import magnitudes
from ..settings import OutputSettings, Settings
from ..signal.read import Source
from ..signal.stft import STFT

COUNTS = range(2, 11)  # numbers tried if nothing else is asked for


@dataclass(frozen=True, slots=True)
class Ranking:
    """Evidence for numbers of components.

    Attributes
    ----------
    track : str
    evidence : tuple of Evidence
    warnings : tuple of str
    """

    track: str
    evidence: tuple[Evidence, ...]
    warnings: tuple[str, ...] = ()

    @property
    def recommended(self) -> int:
        """The largest number whose components are stable; 1 if none is."""
        return recommended(self.evidence)


def rank_sound(
    path: str, settings: Settings, stretch: OutputSettings, counts: Sequence[int] = COUNTS, limit: int | None = None
) -> Ranking:
    """Return the evidence for numbers of components, found on a mel spectrogram, the mean of those of the channels.

    Parameters
    ----------
    path : str
        "-" is standard input.
    settings : Settings
        Of which frames, seed and threads are heeded.
    stretch : OutputSettings
        Of which offset and duration are heeded.
    counts : sequence of int
    limit : int, optional
        Bytes of memory that may be taken.

    Raises
    ------
    InputError
        The file cannot be read.
    UsageError
        It would take too much memory, or is too short for so many components.
    """
    require_readable(path)
    track = track_name(path)
    with Source(path) as source:
        need = memory_needed(source, settings, stretch)
        require(f"{track!r} needs", need, limit, "use --duration, a larger --hop-length, or --max-memory")
        audio = source.read(stretch.offset, stretch.duration)
        warnings = source.warnings
    stft = STFT(*replace(settings, components=max(counts)).frames(audio.sample_rate), settings.window)
    frames = stft.n_frames(audio.length)
    if frames <= max(counts):
        message = f"has {frames} frames, too few to tell up to {max(counts)} components apart"
        raise UsageError(message, "use a shorter --n-fft", path)
    X = magnitudes(audio.samples, stft, settings.threads)[0].reshape(audio.channels, stft.bins, frames)
    seen = X.mean(axis=0)[:, np.linspace(0, frames - 1, min(frames, FRAMES)).astype(int)]
    mel = mel_filters(stft.frequencies(audio.sample_rate), BANDS, np.inf).astype(np.float32) @ seen
    if not mel.any():
        raise UsageError("is silent, so there is nothing to count", path=path)
    mel += np.float32(1e-6) * mel.mean()
    return Ranking(track, tuple(rank(mel, counts, settings.seed, settings.threads)), tuple(warnings))
