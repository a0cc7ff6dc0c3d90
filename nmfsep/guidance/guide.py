"""Guide: the cues of a separation, all that is known before the fit, and the settings that go with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

from ..errors import UsageError
from ..kernels.divergence import as_divergence
from ..registry import CUES
from ..settings.commands import LearnSettings
from ..settings.separation import ALONE, DICTIONARY, GUIDED, Settings
from ..signal.audio import Audio
from ..signal.stft import STFT
from ..signal.stream import Stream
from .annotations import TRACK
from .codebooks import Books
from .cue import Context, Costs, Cue
from .dictionary import check_labels
from .learn import frames_for
from .strokes import Strokes
from .templates import Templates

MASK_POWER, ADAPT, ITERATIONS = GUIDED["mask_power"], GUIDED["adapt"], GUIDED["max_iter"]
SPARSITY, FREE = DICTIONARY["sparsity"], ALONE["free"]
RESIDUAL = "residual"


@dataclass(frozen=True, slots=True)
class Guide:
    """The cues of a run.

    Parameters
    ----------
    cues : tuple of Cue
        At least one.
    given : mapping, optional
        The settings that the user gave.
    texts : mapping, optional
        The values of options that the cues were read from, by the names of cues; none of cues made in Python.

    Raises
    ------
    UsageError
        Two have a label, or labels cannot be names of stems.
    """

    cues: tuple[Cue, ...]
    given: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        owner: dict[str, Cue] = {}
        for cue in self.cues:
            for label in cue.labels:
                if label in owner and not cue.shared:
                    first, second = owner[label].origin(label), cue.origin(label)
                    raise UsageError(f"{second}: the name {label!r} is taken by {first}", "choose another name")
                owner.setdefault(label, cue)
        if not self.differs:
            check_labels(self.labels)

    @classmethod
    def read(cls, texts: Mapping[str, Sequence[str]], given: Mapping[str, Any]) -> Guide:
        """Return the guide that the values of options stand for, by the names of cues in the registry."""
        texts = {name: list(texts[name]) for name in CUES if texts.get(name)}
        return cls(tuple(CUES.load(name).read(values, given) for name, values in texts.items()), given, texts)

    @property
    def differs(self) -> bool:
        """Whether a cue is read with each input, from a file of its own."""
        return any(TRACK in name for name in self.names)

    def for_input(self, path: str) -> Guide:
        """Return the guide of one input of many."""
        cues = tuple(cue.for_input(path) for cue in self.cues)
        if all(own is cue for own, cue in zip(cues, self.cues, strict=True)):
            return self
        texts = {cue.kind: list(cue.paths) for cue, old in zip(cues, self.cues, strict=True) if cue is not old}
        return replace(self, cues=cues, texts={**self.texts, **texts})

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, each once."""
        return tuple(dict.fromkeys(label for cue in self.cues for label in cue.labels))

    @property
    def names(self) -> tuple[str, ...]:
        """The files that the cues were read from."""
        return tuple(path for cue in self.cues for path in cue.paths)

    def settings(self) -> Settings:
        """Return the settings of a separation; raise UsageError where one that was given makes no sense with a cue."""
        given = dict(self.given)
        self._refuse(given)
        own: dict[str, Any] = {}
        for cue in reversed(self.cues):  # what the first says holds
            own |= {**cue.defaults, **cue.settings(given)}
        free = given.get("free")
        if len(self.labels) == 1 and given.get("residual") is None:
            if free is None and all(cue.alone for cue in self.cues):
                free = given["free"] = FREE
            if not free:
                hint = "use --background 20 to learn the rest from the mixture, or --residual"
                raise UsageError(f"with {self.labels[0]!r} alone, its stem would be the whole mixture", hint)
        chosen = {**GUIDED, "sparsity": SPARSITY, "divergence": Settings().divergence}
        chosen |= own | given | {"components": len(self.labels) or 1}  # none are known before `for_input`
        if chosen.get("mask", "ratio") != "ratio" and "mask_power" not in given:
            del chosen["mask_power"]
        if as_divergence(chosen["divergence"]).beta != 1:
            for name in {"sparsity", "adapt"} - set(given):
                del chosen[name]
        if free and chosen.get("residual") is None:
            chosen["residual"] = RESIDUAL
        return Settings(**chosen, given=[name for name, value in self.given.items() if value is not None])

    def _refuse(self, given: Mapping[str, Any]) -> None:
        """Refuse settings that mean nothing where the stems are named beforehand."""
        what = "labels" if all(cue.alone for cue in self.cues) else "a dictionary"
        if given.get("components") not in (None, len(self.labels)):
            says = "the dictionary says" if what == "a dictionary" else "labels say"
            raise UsageError(f"{says} what stems there are, so -k is not needed", "leave out -k")
        if given.get("model", "nmf") != "nmf" or set(given) & {"levels", "level", "template_frames"}:
            hint = "leave out --model, --levels, --level and --template-frames"
            raise UsageError(f"with {what} the model is nmf", hint)
        if given.get("start", "auto") != "auto" or given.get("restarts") not in (None, 1):
            raise UsageError(f"with {what} it is known where templates start, so --start and --restarts mean nothing")
        if given.get("best"):
            raise UsageError(f"with {what} one fit is all there is, so --best means nothing", "leave it out")
        if set(given) & {"preset", "atoms", "grouping"}:
            raise UsageError(f"with {what} the stems are named", "leave out --preset, --atoms and --grouping")
        if "midi_by" in given and not any(cue.kind == "midi" for cue in self.cues):
            raise UsageError("--midi-by means something with --midi only")
        if given.get("solver", "auto") != "auto" and self.lasting:
            raise UsageError("templates of several frames have one solver only", "leave out --solver")
        if "match" in given and not any(cue.kind == "dictionary" for cue in self.cues):
            raise UsageError("--match means something with a dictionary only", "leave it out")
        if given.get("smoothness"):
            raise UsageError(f"smoothness means nothing with {what}", "leave out --smoothness, or try --sparsity")
        if given.get("hop_length") is not None and given.get("n_fft") is None:
            raise UsageError(f"with {what}, --hop-length needs --n-fft", "leave out --hop-length, or give both")

    def stfts(self, sample_rate: int, settings: Settings) -> list[STFT]:
        """Return the frames for mixtures of a rate: those that the user gave, else what suits the first cue."""
        if self.given.get("n_fft") is not None:
            return [STFT(*settings.frames(sample_rate), settings.window)]
        for cue in self.cues:
            if (own := cue.stfts(sample_rate)) is not None:
                return own
        return frames_for(sample_rate, LearnSettings(window=settings.window))

    def check(self, sample_rate: int, settings: Settings, begin: float = 0.0, end: float | None = None) -> list[str]:
        """Return what the user should know, before any sound is read; raise UsageError where a cue does not fit.

        What is separated goes from `begin` to `end` in seconds of the file; `end` is None if it is not known.
        """
        stfts = self.stfts(sample_rate, settings)
        return [note for cue in self.cues for note in cue.check(sample_rate, stfts, begin, end)]

    def sizes(self, sample_rate: int, settings: Settings) -> list[tuple[int, int, int]]:
        """Return n_fft, hop_length and the most templates without the free ones, for each length of frames."""
        stfts = self.stfts(sample_rate, settings)
        counts = [cue.sizes(sample_rate, stfts, labels) for cue, labels in self._own()]
        return [(s.n_fft, s.hop_length, sum(each)) for s, each in zip(stfts, zip(*counts, strict=True), strict=True)]

    @property
    def timeless(self) -> bool:
        """Whether all cues are dictionaries, which say nothing of times."""
        return all(cue.kind == "dictionary" for cue in self.cues)

    @property
    def lasting(self) -> bool:
        """Whether templates last several frames."""
        return any(cue.lasting for cue in self.cues)

    def propose(
        self, audio: Audio | Stream, begin: float, settings: Settings
    ) -> tuple[list[Templates], list[Costs], list[str]]:
        """Return templates and costs at each length of frames, and what the user should know.

        The sound begins at `begin` seconds of its file, and is on disk with dictionaries only, which do not look at it.
        """
        stfts = self.stfts(audio.sample_rate, settings)
        context, labels = Context(audio, begin, settings), self.labels
        parts: list[list[Templates]] = []
        notes: list[str] = []
        for cue, own in self._own():
            notes += cue.check(audio.sample_rate, stfts, begin, context.end)
            templates, more = cue.propose(context, stfts, own)
            places = [labels.index(label) for label in own]
            parts.append([part.renumbered(places) for part in templates])
            notes += more
        whole = [reduce(Templates.joined, of_frames) for of_frames in zip(*parts, strict=True)]
        return whole, [self._costs(context, templates) for templates in whole], notes

    def _costs(self, context: Context, templates: Templates) -> Costs:
        """Return what entries of W and Z cost by all cues together."""
        total: Costs = {}
        for cue in self.cues:
            for name, cost in cue.costs(context, templates, self.labels).items():
                total[name] = total[name] + cost if name in total else cost
        return total

    def moves(self, settings: Settings) -> bool:
        """Whether any template can move."""
        return bool(settings.free or settings.adapt or any(cue.moves for cue in self.cues))

    def matches(self, settings: Settings) -> bool:
        """Whether waveforms are to be looked for in the mixture."""
        return settings.match == "auto" and self.most_strokes > 0

    @property
    def most_strokes(self) -> int:
        """How many waveforms a label has at the most."""
        return max(cue.most_strokes for cue in self.cues)

    def strokes(self, sample_rate: int) -> list[Strokes]:
        """Return the waveforms of each label at a rate; raise InputError where that cannot be had."""
        found: dict[str, Strokes] = {}
        for cue in self.cues:
            found = {**cue.strokes(sample_rate), **found}
        return [found.get(label, ()) for label in self.labels]

    def books(self, settings: Settings) -> list[Books]:
        """Return the codebooks of each label, where they are to be used."""
        found: dict[str, Books] = {}
        for cue in self.cues if settings.match == "auto" else ():
            found = {**cue.books(), **found}
        return [found.get(label, ()) for label in self.labels]

    def about(self, frames: Sequence[int]) -> list[dict[str, Any]]:
        """Return what the cues are, as JSON, and the lengths of frames it was used with."""
        return [entry for cue in self.cues for entry in cue.about(frames)]

    def _own(self) -> Iterator[tuple[Cue, tuple[str, ...]]]:
        """Yield the cues that have labels that none before them has, with these."""
        taken: set[str] = set()
        for cue in self.cues:
            own = tuple(label for label in cue.labels if label not in taken)
            taken.update(own)
            if own:
                yield cue, own
