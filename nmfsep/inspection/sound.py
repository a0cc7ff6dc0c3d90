"""Inspecting a sound: what `split` would find in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..access import require_readable
from ..budget import memory_needed
from ..memory import require
from ..naming import track_name
from ..nmf.factors import Factors, Matrix
from ..nmf.fit import Callback
from ..plan import check_model
from ..separation.describe import describe
from ..separation.pipeline import analyse
from ..separation.solving import Solving
from ..separation.stems import Model
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
        warnings, sha256 = source.warnings, source.sha256()
    separation = analyse(audio, settings, callback)
    W, Z, energies = _of_components(separation.model)
    names = [f"component-{index + 1}" for index in range(settings.components)]
    components = describe(names, W, Z, energies, separation.stft, audio.sample_rate)
    told, found = (*warnings, *separation.warnings), tuple(components)
    return Inspection(
        "sound", path, track, audio.samples, audio.sample_rate, separation.stft, W, Z, found, told, sha256
    )


def _of_components(model: Model | Solving) -> tuple[Matrix, Matrix, NDArray[np.float64]]:
    """Return a template, an activation and the energy of each component, added up over channels and over its parts.

    Where a component has several parts, as in deep and convolutive models, its template is the spectrum of all that it
    sounds, and its activation the level, frame by frame.
    """
    Z, whole = model.factors[0].Z, sum(factors.W for factors in model.factors[1:]) + model.factors[0].W
    templates, activations, energies = [], [], []
    for group in map(list, model.groups):
        template = whole[:, group] @ Z[group].sum(axis=1)
        templates.append(template / max(float(template.sum()), 1e-30))
        activations.append(whole[:, group].sum(axis=0) @ Z[group])
        energies.append(sum(_energy(factors.select(group)) for factors in model.factors))
    return np.stack(templates, axis=1), np.stack(activations), np.array(energies)


def _energy(factors: Factors) -> float:
    """Return ‖W Z‖², from the products of W and of Z alone."""
    W, Z = factors.W.astype(np.float64), factors.Z.astype(np.float64)
    return float(np.vdot(W.T @ W, Z @ Z.T))
