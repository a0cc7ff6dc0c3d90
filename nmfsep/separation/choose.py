"""Which way a mixture is separated: in memory or on disk, with what is known of it or without."""

from __future__ import annotations

from dataclasses import replace

from ..progress import Told
from ..registry import SPATIAL_MASKS
from ..settings.commands import OutputSettings
from ..settings.separation import Settings
from ..signal.audio import Audio
from ..signal.read import Source
from ..signal.stream import Stream
from .guided import analyse_guided
from .long_fit import analyse_stream
from .pipeline import analyse
from .result import Separation
from .saved import Known, Saved
from .streamed import Streamed


def mixture(source: Source, output: OutputSettings, streamed: bool) -> Audio | Stream:
    """Return the stretch of a file that is to be separated, in memory or to be read in passes."""
    if streamed:
        return Stream(source, output.offset, output.duration)
    return source.read(output.offset, output.duration)


def separation_of(
    audio: Audio | Stream,
    settings: Settings,
    known: Known | None = None,
    frames: int | None = None,
    keep: bool = False,
    callback: Told | None = None,
    begin: float = 0.0,
) -> Separation:
    """Return the separation of a mixture.

    Parameters
    ----------
    audio : Audio or Stream
    settings : Settings
    known : Guide or Saved, optional
    frames, keep
        As `analyse_stream` has them, for a Stream.
    callback : callable, optional
        Called as callback(iteration, loss), or for a Stream as `analyse_stream` does; a true result stops the fit.
    begin : float, default 0
        Seconds of the file before the mixture.
    """
    if isinstance(audio, Stream):
        if isinstance(known, Saved):
            return Streamed.of(known.separation(audio, settings))
        return analyse_stream(audio, settings, known, frames=frames, keep=keep, callback=callback)
    if isinstance(known, Saved):
        separation = known.separation(audio, settings)
    elif known is not None:
        separation = analyse_guided(audio, settings, known, callback, begin)
    else:
        separation = analyse(audio, settings, callback)
    if settings.mask in SPATIAL_MASKS and audio.channels == 1:
        note = f"there is one channel, of which mask {settings.mask!r} can tell no more than 'ratio', so that was taken"
        return replace(separation, notes=(*separation.notes, note))
    return separation
