"""Arrangement of components as stems: groups that are given, NAME=1,3-5, or found by how components sound, auto:N."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..grouping.scene import Scene, bands_of
from ..grouping.timbre import group as group_by_timbre
from ..guidance.dictionary import check_label
from ..kernels.product import Factors
from ..registry import choose, suggestion
from ..settings.separation import Settings
from ..signal.stft import STFT
from .components import Components
from .describe import StemSummary, summarize

REST = "rest"  # the word for all that no group has
AUTO = "auto"  # AUTO:N makes N groups of it, by how it sounds


@dataclass(frozen=True, slots=True)
class Grouping:
    """The stems of a separation, in order.

    The last may be a residual, which has no members; `auto` stems before it are groups whose members are found by how
    they sound, and have none until then.
    """

    names: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]  # components, or labels of a dictionary
    auto: int = 0

    @property
    def residual(self) -> bool:
        """Whether the last stem is what the components leave."""
        return len(self.names) > len(self.members)


def component_names(settings: Settings, labels: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what a separation can be grouped from: numbered components, or labels and what has free templates."""
    if labels:
        return (*labels, settings.residual) if settings.free and settings.residual is not None else tuple(labels)
    if settings.preset:
        return settings.named
    return tuple(f"component-{index + 1}" for index in range(settings.components))


def arrange(settings: Settings, labels: Sequence[str] = ()) -> Grouping:
    """Return the stems that settings ask for: groups in their order, then what is in none, then the residual.

    Parameters
    ----------
    settings : Settings
    labels : sequence of str, optional
        Of the dictionaries; numbered components if not given.

    Raises
    ------
    UsageError
        A group names what there is not, or what another has, or two stems would have one name.
    """
    clash = UsageError(f"--residual {settings.residual} is the name of another stem", "give --residual=NAME")
    freed = bool(labels and settings.free)
    if freed and settings.residual in labels:
        raise clash
    components = component_names(settings, labels)
    asked, auto = without_auto(settings.group)
    groups = parse(asked, components) if settings.two_stems is None else _halves(settings, components, freed)
    alone = _left_over(groups, len(components))
    if auto:
        if labels or settings.preset:
            raise UsageError(f"--group {AUTO}:{auto} is for components that have no names", "group them by name")
        if auto > len(alone):
            message = f"--group {AUTO}:{auto}: only {len(alone)} of {len(components)} components are in no group"
            raise UsageError(message, "ask for fewer groups, or more components with -k")
        groups |= dict.fromkeys(_auto_names(auto, groups), ())
        alone = []
    others = [components[index] for index in alone]
    for name in others:
        if name in groups:
            raise UsageError(f"--group {name} is the name of a stem that is not in it", "choose another name")
    names = [*groups, *others]
    if settings.residual is not None and not freed:
        if settings.residual in names:
            raise clash
        names.append(settings.residual)
    return Grouping(tuple(names), (*groups.values(), *((index,) for index in alone)), auto)


def without_auto(group: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """Return groups without auto:N, and N; 0 if that is not among them."""
    found = [text for text in group if text.startswith(f"{AUTO}:")]
    if not found:
        return tuple(group), 0
    count = found[0].partition(":")[2]
    if not re.fullmatch("0*[1-9][0-9]{0,6}", count, re.ASCII):
        raise UsageError(f"--group {found[0][:40]!r} does not say how many", f"give such as {AUTO}:4")
    if len(found) > 1:
        raise UsageError(f"--group {found[0]} and --group {found[1]} contradict each other", "leave out one")
    return tuple(text for text in group if text != found[0]), int(count)


def _auto_names(count: int, taken: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names of groups that are found by how they sound: group-1 and so on."""
    names = tuple(f"group-{index + 1}" for index in range(count))
    for name in names:
        if name in taken:
            raise UsageError(f"--group {name} is the name of a group that {AUTO}:{count} makes", "choose another name")
    return names


def _left_over(groups: Mapping[str, Sequence[int]], count: int) -> list[int]:
    """Return which of so many components are in no group."""
    taken = {member for members in groups.values() for member in members}
    return [index for index in range(count) if index not in taken]


def _halves(settings: Settings, components: Sequence[str], freed: bool) -> dict[str, tuple[int, ...]]:
    """Return the groups of a component and of all others."""
    if settings.group:
        raise UsageError("--two-stems and --group contradict each other", "leave out one")
    if settings.residual is not None and not freed:
        raise UsageError("--two-stems and --residual contradict each other", "leave out one")
    name = choose(settings.two_stems or "", components, "--two-stems")
    if len(components) < 2:
        raise UsageError(f"--two-stems {name}: there is nothing but that", "ask for more stems")
    chosen = {name: (components.index(name),)}
    return chosen | {f"no_{name}": tuple(_left_over(chosen, len(components)))}


def parse(
    asked: Sequence[str], components: Sequence[str], known: Mapping[str, Sequence[int]] | None = None
) -> dict[str, tuple[int, ...]]:
    """Return the members of each group of texts NAME=MEMBER,MEMBER, as indices in rising order.

    A member is a number from 1, a range such as 3-5, the name of a component, one of the `known` names, which stand for
    several, or "rest". What makes no sense is refused as in `arrange`.
    """
    names: dict[str, Sequence[int]] = dict(known or {})
    names |= {name: (index,) for index, name in enumerate(components)}
    owner: dict[int, str] = {}
    groups: dict[str, list[int]] = {}
    greedy = None  # the group that takes the rest
    for text in asked:
        name, equals, members = text.partition("=")
        if not equals or not members:
            raise UsageError(f"--group {text[:80]!r} is not NAME=MEMBERS", f"give such as voice=1,3-5 or {AUTO}:4")
        check_label(name)
        if name in groups:
            raise UsageError(f"--group names {name[:40]!r} twice", "give all its members at once, with commas")
        groups[name] = []
        for member in members.split(","):
            if member == REST and REST not in names:
                if greedy is not None:
                    raise UsageError(f"--group {name} and --group {greedy} both take the rest", "leave out one")
                greedy = name
                continue
            for index in _indices(member, names, len(components), name):
                if index in owner:
                    other = "twice in" if owner[index] == name else f"in {owner[index]!r} and in"
                    raise UsageError(f"--group: {components[index]!r} is {other} {name!r}", "give each once")
                owner[index] = name
                groups[name].append(index)
    if greedy is not None:
        groups[greedy] += _left_over(groups, len(components))
        if not groups[greedy]:
            raise UsageError(f"--group {greedy} takes the rest, and nothing is left", "leave it out")
    return {name: tuple(sorted(members)) for name, members in groups.items()}


def _indices(member: str, names: Mapping[str, Sequence[int]], count: int, group: str) -> Iterator[int]:
    """Yield the indices that one member stands for; a name goes before a number that looks the same."""
    if member in names:
        yield from names[member]
        return
    match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", member, re.ASCII)
    if match is None:
        raise UsageError(f"--group {group}: {member[:40]!r} is no stem", suggestion(member, list(names)))
    first = int(match[1])
    last = first if match[2] is None else int(match[2])
    for end in (first, last):
        if not 1 <= end <= count:
            raise UsageError(f"--group {group}: there is no stem {end}", f"they are numbered from 1 to {count}")
    if last < first:
        raise UsageError(f"--group {group}: {member} goes backwards", f"write {last}-{first}")
    yield from range(first - 1, last)


def resolve_auto_groups(settings: Settings, components: Components, stft: STFT, sample_rate: int) -> Settings:
    """Return settings whose groups are all given by their members.

    What is in no other group is put together by the timbre of its components, as `--grouping timbre` puts atoms
    together; the loudest group comes first.
    """
    arrange(settings)
    asked, count = without_auto(settings.group)
    names = component_names(settings)
    left = _left_over(parse(asked, names), len(names))
    summary = summarize(components.merged([[index] for index in left], False))
    owners = _by_timbre(summary, count, stft, sample_rate, settings.seed)
    member = owners[:, None] == np.arange(count)
    energies = np.einsum("aj,ab,bj->j", member, summary.products, member)
    found = []
    for name, stem in zip(_auto_names(count), np.argsort(-energies, kind="stable"), strict=True):
        numbers = [left[index] + 1 for index in np.flatnonzero(member[:, stem])]
        found.append(f"{name}={','.join(map(str, numbers))}")
    return replace(settings, group=(*asked, *found))


def _by_timbre(summary: StemSummary, count: int, stft: STFT, sample_rate: int, seed: int) -> NDArray[np.intp]:
    """Return the group of each of some components; none is empty."""
    bands = bands_of(stft.bins)
    factors = Factors(np.ascontiguousarray(bands.merge(summary.W.T).T), summary.Z)
    nothing = np.empty((0, bands.count), np.float32)
    step = stft.hop_length / sample_rate
    scene = Scene(nothing, np.arange(0), stft.frequencies(sample_rate), bands.merge, step, seed, 1)
    return filled(group_by_timbre(factors, scene, count), count)


def filled(owners: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Return the groups of components where those that are empty have got one of the largest."""
    owners = owners.copy()
    for empty in sorted(set(range(count)) - set(owners.tolist())):
        largest = np.bincount(owners, minlength=count).argmax()
        owners[np.flatnonzero(owners == largest)[-1]] = empty
    return owners
