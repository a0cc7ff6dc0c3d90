"""Automatic groups, --group auto:N: components of a model are put together by how they sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..grouping.bands import bands_of
from ..grouping.scene import Scene
from ..grouping.timbre import group
from ..kernels.product import Factors
from ..settings.separation import Settings
from ..signal.stft import STFT
from .components import Components
from .model import Model
from .stem_groups import arrange, auto_names, component_names, left_over, parse, without_auto
from .summary import StemSummary, summarize


def regrouped(model: Model, sample_rate: int) -> Model:
    """Return a model whose settings say which components are in the groups that are to be found, if any."""
    if model.components.solver is not None or not without_auto(model.settings.group)[1]:
        return model
    return replace(model, settings=resolve_auto_groups(model.settings, model.components, model.stft, sample_rate))


def resolve_auto_groups(settings: Settings, components: Components, stft: STFT, sample_rate: int) -> Settings:
    """Return settings whose groups are all given by their members.

    What is in no other group is put together by the timbre of its components, as `--grouping timbre` puts atoms
    together; the loudest group comes first.

    Parameters
    ----------
    settings : Settings
        With auto:N among its groups.
    components : Components
    stft : STFT
    sample_rate : int
        Hertz.
    """
    arrange(settings)
    asked, count = without_auto(settings.group)
    names = component_names(settings)
    left = left_over(parse(asked, names), len(names))
    summary = summarize(components.merged([[index] for index in left], False))
    owners = partition(summary, count, stft, sample_rate, settings.seed)
    member = owners[:, None] == np.arange(count)
    energies = np.einsum("aj,ab,bj->j", member, summary.products, member)
    found = []
    for name, stem in zip(auto_names(count, ()), np.argsort(-energies, kind="stable"), strict=True):
        numbers = [left[index] + 1 for index in np.flatnonzero(member[:, stem])]
        found.append(f"{name}={','.join(map(str, numbers))}")
    return replace(settings, group=(*asked, *found))


def partition(summary: StemSummary, count: int, stft: STFT, sample_rate: int, seed: int) -> NDArray[np.intp]:
    """Return the group of each of some components; none is empty."""
    bands = bands_of(stft.bins)
    factors = Factors(np.ascontiguousarray(bands.merge(summary.W.T).T), summary.Z)
    nothing = np.empty((0, bands.count), np.float32)
    step = stft.hop_length / sample_rate
    scene = Scene(nothing, np.arange(0), stft.frequencies(sample_rate), bands.merge, step, seed, 1)
    return filled(group(factors, scene, count), count)


def filled(owners: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Return the groups of components where those that are empty have got one of the largest."""
    owners = owners.copy()
    for empty in sorted(set(range(count)) - set(owners.tolist())):
        sizes: Sequence[int] = np.bincount(owners, minlength=count).tolist()
        owners[np.flatnonzero(owners == int(np.argmax(sizes)))[-1]] = empty
    return owners
