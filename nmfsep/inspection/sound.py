"""Inspecting a sound: what `split` would find in it."""

from __future__ import annotations

from ..memory import require
from ..naming import track_name
from ..nmf.fit import Callback
from ..plan import check_model, memory_needed, require_readable
from ..separation.describe import describe
from ..separation.pipeline import analyse
from ..settings import OutputSettings, Settings
from ..signal.read import Source
from .report import Inspection


def inspect_sound(
    path: str, settings: Settings, stretch: OutputSettings, limit: int | None = None, callback: Callback | None = None
) -> Inspection:
    """Factorize the magnitude spectrogram of a file, as `split` does, and describe its components.

    Parameters
    ----------
    path : str
        "-" is standard input.
    settings : Settings
        Of the factorization; its channels are joint.
    stretch : OutputSettings
        Of which offset and duration are heeded.
    limit : int, optional
        Bytes of memory that may be taken.
    callback : callable, optional
        Called as callback(iteration, loss).

    Raises
    ------
    InputError
        The file cannot be read.
    UsageError
        It would take too much memory, or options contradict each other.
    """
    require_readable(path)
    check_model(settings)
    track = track_name(path)
    with Source(path) as source:
        need = memory_needed(source, settings, stretch)
        require(f"{track!r} needs", need, limit, "use --duration, a larger --hop-length, or --max-memory")
        audio = source.read(stretch.offset, stretch.duration)
        warnings = source.warnings
    separation = analyse(audio, settings, callback)
    factors = separation.model.factors
    W = sum(part.W for part in factors[1:]) + factors[0].W
    Z = factors[0].Z
    energies = sum((part.energies() for part in factors[1:]), factors[0].energies())
    names = [f"component-{index + 1}" for index in range(settings.components)]
    components = describe(names, W, Z, energies, separation.stft, audio.sample_rate)
    told, found = (*warnings, *separation.warnings), tuple(components)
    return Inspection("sound", path, track, audio.samples, audio.sample_rate, separation.stft, W, Z, found, told)
