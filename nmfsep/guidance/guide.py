"""Guide: the cues of a separation, all that is known before the fit, and the settings that go with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import UsageError
from ..kernels.divergence import as_divergence
from ..registry import CUES
from ..settings.commands import LearnSettings
from ..settings.separation import ALONE, DICTIONARY, GUIDED, Settings
from ..signal.audio import Audio
from ..signal.stft import STFT
from ..signal.stream import Stream
from .cue import Context, Costs, Cue, added, combined
from .dictionary import Dictionary, check_labels
from .dictionary_cue import Dictionaries
from .learn import frames_for
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

    Raises
    ------
    UsageError
        Two have a label, or labels cannot be names of stems.
    """

    cues: tuple[Cue, ...]
    given: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        owner: dict[str, Cue] = {}
        for cue in self.cues:
            for label in cue.labels:
                if label in owner and not cue.shared:
                    first, second = owner[label].origin(label), cue.origin(label)
                    raise UsageError(f"{second}: the name {label!r} is taken by {first}", "choose another name")
                owner.setdefault(label, cue)
        check_labels(self.labels)

    @classmethod
    def read(cls, texts: Mapping[str, Sequence[str]], given: Mapping[str, Any]) -> Guide:
        """Return the guide that the values of options stand for, by the names of cues in the registry."""
        return cls(tuple(CUES.load(name).read(texts[name], given) for name in CUES if texts.get(name)), given)

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, each once."""
        return tuple(dict.fromkeys(label for cue in self.cues for label in cue.labels))

    @property
    def names(self) -> tuple[str, ...]:
        """The files that the cues were read from."""
        return tuple(name for cue in self.cues for name in cue.names)

    def settings(self) -> Settings:
        """Return the settings of a separation with these cues.

        Raises
        ------
        UsageError
            One that the user gave makes no sense with a cue.
        """
        given = dict(self.given)
        self._refuse(given)
        own: dict[str, Any] = {}
        for cue in reversed(self.cues):  # what the first says holds
            own |= {**cue.defaults, **cue.settings(given)}
        free, alone = given.get("free"), len(self.labels) == 1
        if alone and free is None and given.get("residual") is None and all(cue.alone for cue in self.cues):
            free = given["free"] = FREE
        if alone and not free and given.get("residual") is None:
            hint = "use --background 20 to learn the rest from the mixture, or --residual"
            raise UsageError(f"with {self.labels[0]!r} alone, its stem would be the whole mixture", hint)
        chosen: dict[str, Any] = {
            "max_iter": ITERATIONS,
            "mask_power": MASK_POWER,
            "sparsity": SPARSITY,
            "adapt": ADAPT,
        }
        chosen |= {"divergence": Settings().divergence} | own | given | {"components": len(self.labels)}
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
        what = "a dictionary" if not all(cue.alone for cue in self.cues) else "labels"
        if given.get("components") not in (None, len(self.labels)):
            says = "the dictionary says" if what == "a dictionary" else "labels say"
            raise UsageError(f"{says} what stems there are, so -k is not heeded", "leave out -k")
        if given.get("model", "nmf") != "nmf" or set(given) & {"levels", "level", "template_frames"}:
            hint = "leave out --model, --levels, --level and --template-frames"
            raise UsageError(f"with {what} the model is nmf", hint)
        if given.get("start", "auto") != "auto" or given.get("restarts") not in (None, 1):
            raise UsageError(f"with {what} it is known where templates start, so --start and --restarts mean nothing")
        if given.get("best"):
            raise UsageError(f"with {what} one fit is all there is, so --best means nothing", "leave it out")
        if set(given) & {"preset", "atoms", "grouping"}:
            raise UsageError(f"with {what} the stems are named", "leave out --preset, --atoms and --grouping")
        if "midi_by" in given and not any(isinstance(cue, CUES.load("midi")) for cue in self.cues):
            raise UsageError("--midi-by means something with --midi only")
        if given.get("solver", "auto") != "auto" and self.lasting:
            raise UsageError("templates of several frames have one solver only", "leave out --solver")
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
        """Return what the user should know, before any sound is read.

        Parameters
        ----------
        sample_rate : int
            Hertz.
        settings : Settings
        begin, end : float
            Seconds of the file that are separated; None if the end is not known.

        Raises
        ------
        UsageError
            A cue does not fit.
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
        return all(isinstance(cue, Dictionaries) for cue in self.cues)

    @property
    def lasting(self) -> bool:
        """Whether templates last several frames."""
        kits = [kit for cue in self.cues if isinstance(cue, Dictionaries) for kit in cue.dictionaries]
        return any(view.delays > 1 for kit in kits for view in kit.views)

    def dictionary(self, sample_rate: int, settings: Settings) -> tuple[Dictionary, tuple[str, ...]]:
        """Return the one dictionary that all are, for mixtures of a rate, and what had to be converted."""
        (cue,) = (cue for cue in self.cues if isinstance(cue, Dictionaries))
        return cue.fitted(sample_rate, self.stfts(sample_rate, settings))

    def propose(
        self, audio: Audio | Stream, begin: float, settings: Settings
    ) -> tuple[list[Templates], list[Costs], list[str]]:
        """Return templates and costs at each length of frames, and what the user should know.

        Parameters
        ----------
        audio : Audio or Stream
            On disk with dictionaries only, which do not look at it.
        begin : float
            Seconds of the file before it.
        settings : Settings
        """
        stfts = self.stfts(audio.sample_rate, settings)
        context, labels = Context(audio, begin, settings), self.labels
        parts: list[list[Templates]] = []
        notes: list[str] = []
        for cue, own in self._own():
            templates, more = cue.propose(context, stfts, own)
            places = [labels.index(label) for label in own]
            parts.append([part.renumbered(places) for part in templates])
            notes += more
        whole = combined(parts)
        costs = [added(cue.costs(context, templates, labels) for cue in self.cues) for templates in whole]
        return whole, costs, notes

    def moves(self, settings: Settings) -> bool:
        """Whether any template can move."""
        return bool(settings.free or settings.adapt or any(cue.moves for cue in self.cues))

    def about(self, frames: Sequence[int]) -> list[dict[str, Any]]:
        """Return what the cues are, as JSON, and the lengths of frames it was used with."""
        return [entry for cue in self.cues for entry in cue.about(frames)]

    def _own(self) -> list[tuple[Cue, tuple[str, ...]]]:
        """Return the cues that have labels that none before them has, with these."""
        taken: set[str] = set()
        found = []
        for cue in self.cues:
            own = tuple(label for label in cue.labels if label not in taken)
            taken |= set(own)
            if own:
                found.append((cue, own))
        return found
