"""How templates are learned from isolated sounds."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import UsageError
from ..registry import DIVERGENCES, EXPORTS, MODELS, SIGNED_STARTS, SOLVERS, STARTS
from .knob import CLIP_MODES, CONTAINERS, FREE, MATCHES, TITLES, WINDOWS, check_all, knob


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSettings:
    """Where and how stems are written; checked on construction.

    Raises
    ------
    UsageError
        A value is out of its range or contradicts another.
    """

    out: str = knob("separated", "Folder to write to; - writes one WAV file to standard output.", group="Output")
    filename: str = knob(
        "{track}/{stem}.{ext}",
        "Names below the folder. Fields: {track} {stem} {ext} {index} {parent} {k} {seed}.",
        group="Output",
    )
    label: str = knob("number", "What a stem that nobody has named is called.", names=TITLES, group="Output")
    format: str = knob("wav", "Container of the stems.", names=CONTAINERS, group="Output")
    subtype: str | None = knob(
        None, "Sample format, such as PCM_24 or FLOAT; the input's if not given.", group="Output"
    )
    clip_mode: str = knob(
        "clamp", "What to do where a stem would leave the range of integers.", names=CLIP_MODES, group="Output"
    )
    only: tuple[str, ...] = knob((), "Write only the stems of these names.", group="Output")
    save_model: bool = knob(False, "Keep the factorization, too, as {track}.nmf.npz, for render.", group="Output")
    export_midi: bool = knob(
        False, "Write the notes of each stem, too, as {track}.mid, by pitches and onsets.", group="Output"
    )
    export_labels: bool = knob(
        False, "Write when each stem sounds, too, as {track}.labels.txt, a label track of Audacity.", group="Output"
    )
    force: bool = knob(False, "Replace files of another program, or made from another input.", group="Output")
    offset: float = knob(0.0, "Begin here.", low=0, unit="time", group="Signal")
    duration: float | None = knob(
        None, "Take this much; all to the end if not given.", low=0, unit="time", group="Signal"
    )

    @property
    def exports(self) -> tuple[str, ...]:
        """What is written beside the stems, by names of the registry."""
        return tuple(name for name in EXPORTS if getattr(self, f"export_{name}"))

    @property
    def keeps(self) -> bool:
        """Whether activations are needed once the stems are rendered."""
        return self.save_model or self.label == "auto" or bool(self.exports)

    def __post_init__(self) -> None:
        check_all(self)
        if self.duration == 0:
            raise UsageError("a duration of 0 leaves nothing to separate")


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnSettings:
    """How templates are learned from isolated sounds; checked on construction.

    Raises
    ------
    UsageError
        A value is out of its range, not finite, or an unknown name.
    """

    components: str = knob(
        "auto",
        "Templates of each label: a number, or such as kick=4,snare=8; auto is up to 300, by how varied it is, or 4 of "
        "several frames.",
    )
    template_frames: int = knob(
        1, "Frames that a template lasts; several follow strokes that change while they fade.", low=1, high=1000
    )
    exemplars: bool = knob(False, "Take frames of the sounds themselves as templates; auto is then up to 300.")
    divergence: str | float = knob("kl", "What the fit minimises: a name or a beta.", names=DIVERGENCES)
    sparsity: float | None = knob(
        None, "Prefer few templates at a time; 0.5 for kl, else 0, if not given.", low=0, high=1e6
    )
    max_iter: int = knob(60, "Iterations at the most.", low=1, high=10_000_000)
    tol: float = knob(
        1e-4, "Stop when ten iterations lower the loss by less than this share of the first loss.", low=0, high=1
    )
    seed: int = knob(0, "Seed of whatever is random.", low=0, high=2**64 - 1)
    n_fft: int | None = knob(
        None, "Length of a frame; about 0.08 and 0.2 s, both, if not given.", low=4, high=2**20, unit="samples",
        group="Signal",
    )  # fmt: skip
    hop_length: int | None = knob(
        None,
        "Step between frames, at most half a frame; a quarter if not given.",
        low=1,
        high=2**19,
        unit="samples",
        group="Signal",
    )
    window: str = knob("hann", "Taper of a frame.", names=WINDOWS, group="Signal")
    sample_rate: int | None = knob(
        None, "Rate the sounds are converted to; that of most of them if not given.", low=1, high=4_000_000, unit="Hz",
        group="Signal",
    )  # fmt: skip
    threads: int | None = knob(
        None, "Threads; all cores if not given. Never changes the result.", low=1, high=1024, group="Run"
    )

    def __post_init__(self) -> None:
        check_all(self)
        self.counts()
        if self.template_frames > 1 and self.exemplars:
            raise UsageError("--exemplars are single frames", "leave out --template-frames")
        if self.template_frames > 1 and self.sparsity:
            raise UsageError("templates of several frames know no sparsity", "leave out --sparsity")
        if self.hop_length is not None and self.n_fft is None:
            raise UsageError("--hop-length needs --n-fft")

    def counts(self) -> dict[str | None, int]:
        """Return the templates asked for by label, with None for all labels that are not named."""
        counts: dict[str | None, int] = {}
        if self.components == "auto":
            return counts
        for part in self.components.split(","):
            label, equals, number = part.rpartition("=")
            if not re.fullmatch(r"[0-9]{1,6}", number, re.ASCII) or int(number) == 0 or bool(equals) != bool(label):
                raise UsageError(f"components {self.components!r} is not auto, a number, or such as kick=4,snare=8")
            if (label or None) in counts:
                raise UsageError(f"components {self.components!r} names {label or 'the number'!r} twice")
            counts[label or None] = int(number)
        return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorizeSettings:
    """What is factorized, by which model, and what is written; checked on construction.

    Raises
    ------
    UsageError
        A value is out of its range or contradicts another.
    """

    model: str = knob("nmf", "What the matrix is taken for.", names=MODELS)
    components: int | None = knob(None, "Components wanted; deep models take --levels.", low=1, high=1_000_000)
    levels: tuple[int, ...] | None = knob(None, "Parts at each level, the finest first, such as 40,12,4.", unit="list")
    template_frames: int = knob(8, "Columns that a template spans, model nmfd.", low=1, high=1000)
    free: str = knob("W", "What may be negative, models semi and deep-semi.", names=FREE)
    solver: str = knob(
        "auto",
        "How the loss is minimised; auto picks by divergence. Models semi and deep-semi have hals and mu only.",
        names=SOLVERS,
    )
    start: str = knob(
        "auto",
        "Where the fit starts; auto is nndsvda, nndsvd for hals, ehals and pinv, svd for semi and deep-semi.",
        names=SIGNED_STARTS | STARTS,
    )
    array: str | None = knob(None, "Which array of an .npz file.", group="Input")
    transpose: bool = knob(False, "Factorize the transpose, as where samples are in rows.", group="Input")
    images: bool = knob(
        False, "INPUT is a folder of images of one size, or an array (images, height, width).", group="Input"
    )
    pca: bool = knob(False, "Also draw the parts beside the principal components of the images.", group="Output")
    pictures: bool = knob(False, "Also draw X, W, Z, W Z and the loss.", group="Output")
    csv: bool = knob(False, "Also write W, Z and the loss as CSV.", group="Output")
    out: str = knob("factors", "Folder to write to.", group="Output")
    force: bool = knob(False, "Replace files of another program, or made from another input.", group="Output")

    def __post_init__(self) -> None:
        check_all(self)
        if self.pca and not self.images:
            raise UsageError("--pca compares images", "add --images")
        if self.images and self.transpose:
            raise UsageError("--images and --transpose contradict each other", "each image is a column already")
        if self.images and self.array:
            raise UsageError("--images and --array contradict each other", "save the images as .npy")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """How estimates are held against true stems; checked on construction.

    Raises
    ------
    UsageError
        A value is out of its range, or an unknown name.
    """

    match: str = knob(
        "auto",
        "Which estimate belongs to a stem; auto is name where every stem has an estimate of its name, else best.",
        names=MATCHES,
        group="Evaluation",
    )
    filter_length: int = knob(
        512,
        "Length of the filters that SDR, SIR and SAR forgive.",
        low=1,
        high=65536,
        unit="samples",
        group="Evaluation",
    )
    trim: bool = knob(False, "Let files differ in length, and compare as far as the shortest goes.", group="Evaluation")
    oracle: bool = knob(
        False,
        "Tell what ideal masks, made from the true stems at this STFT, would reach.",
        group="Evaluation",
    )

    def __post_init__(self) -> None:
        check_all(self)
