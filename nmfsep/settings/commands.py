"""Settings of the other commands: how stems are written, templates learned, matrices factorized, stems evaluated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..errors import UsageError
from ..registry import DIVERGENCES, EXPORTS, MODELS, SIGNED_STARTS, SOLVERS, STARTS
from .fields import CLIP_MODES, CONTAINERS, FREE, MATCHES, STEM_NAMES, TABLES, TOL, WINDOWS, Options, option

output = partial(option, section="Output")
signal = partial(option, section="Signal")
detection = partial(option, section="Detection")
evaluation = partial(option, section="Evaluation")
FOLDER: dict[str, Any] = {"spelling": "DIR", "flags": ("-o", "--out")}
FORCE: dict[str, Any] = {"summary": "Replace files of other programs or inputs.", "flags": ("-f", "--force")}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSettings(Options):
    """Where and how stems are written; checked on construction, which raises UsageError."""

    out: str = output("separated", "Folder to write to; - is stdout.", **FOLDER)
    filename: str = output("{track}/{stem}.{ext}", "Names in the folder.", spelling="TEMPLATE")
    label: str = output(
        "number", "By number, or auto: by how they sound.", names=STEM_NAMES,
        flags=("--stem-names",), former=("--label",),
    )  # fmt: skip
    format: str = output("wav", "Container of the stems.", names=CONTAINERS)
    subtype: str | None = output(
        None, "Sample format, such as PCM_24; --int16, --int24 and --float32 are short for some.", spelling="SUBTYPE"
    )
    clip_mode: str = output("clamp", "What to do with samples out of range.", names=CLIP_MODES)
    only: tuple[str, ...] = output((), "Write only the stems of these names.")
    save_model: bool = output(False, "Write the factorization, too, for render.")
    export_midi: bool = output(False, "Write the notes of the stems as {track}.mid.")
    export_labels: bool = output(False, "Write when stems sound, for Audacity.")
    report: bool = output(False, "Write {track}.html, too: a page to hear, see and group them.")
    export_strokes: str | None = output(None, "Write the strokes that repeat as one-shots.", spelling="DIR")
    force: bool = output(False, **FORCE)
    offset: float = signal(0.0, "Begin here.", low=0, spelling="time")
    duration: float | None = signal(None, "Take this much; all if not given.", low=0, spelling="time")

    @property
    def exports(self) -> tuple[str, ...]:
        """What is written next to the stems, by names of the registry."""
        return tuple(name for name in EXPORTS if getattr(self, f"export_{name}"))

    @property
    def keeps(self) -> bool:
        """Whether activations are needed once the stems are rendered."""
        return self.save_model or self.label == "auto" or bool(self.exports)

    def check(self) -> None:
        """Raise UsageError where nothing would be left to separate."""
        if self.duration == 0:
            raise UsageError("a duration of 0 leaves nothing to separate")


@dataclass(frozen=True, slots=True, kw_only=True)
class MixSettings(Options):
    """How stems are mixed; checked on construction, which raises UsageError."""

    mute: tuple[str, ...] = option((), "Leave out this stem.", section="Mix")
    solo: tuple[str, ...] = option((), "Leave out all stems but this.", section="Mix")
    gain: float = option(0.0, "Raise all by so many dB.", low=-120, high=120, spelling="DB", section="Mix")
    out: str = output("-", "File to write; - is stdout.", **(FOLDER | {"spelling": "FILE"}))
    subtype: str | None = output(None, "Sample format, such as PCM_24; that of the mixture.", spelling="SUBTYPE")
    force: bool = output(False, **FORCE | {"summary": "Replace a file that is there."})


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnSettings(Options):
    """How templates are learned from isolated sounds; checked on construction, which raises UsageError."""

    components: str = option(
        "auto", "Templates of each label: 8, or kick=4,snare=8; auto goes by how varied it is.",
        flags=("-k", "--components"), spelling="N",
    )  # fmt: skip
    template_frames: int = option(1, "Frames of a template; several follow strokes that change.", low=1, high=1000)
    exemplars: bool = option(False, "Take frames of the sounds themselves as templates.")
    divergence: str | float = option("kl", "What the fit minimises.", names=DIVERGENCES, former=("--beta-loss",))
    sparsity: float | None = option(
        None, "Prefer few templates at a time; 0.5 for kl, else 0, if not given.", low=0, high=1e6
    )
    max_iter: int = option(60, "Iterations at most.", low=1, high=10_000_000)
    tol: float = option(TOL, "Stop when ten iterations gain less than this.", low=0, high=1)
    seed: int = option(0, "Seed of the random numbers.", low=0, high=2**64 - 1)
    no_waveforms: bool = option(False, "Leave out the waveforms of strokes.")
    n_fft: int | None = signal(None, "Samples of a frame; 0.08 s and 0.2 s, both, if not given.", low=4, high=2**20)
    hop_length: int | None = signal(None, "Samples between frames; a quarter of one if not given.", low=1, high=2**19)
    window: str = signal("hann", "Taper of a frame.", names=WINDOWS)
    sample_rate: int | None = signal(None, "Rate of the dictionary in Hz; that of most sounds.", low=1, high=4_000_000)
    threads: int | None = option(None, "Threads; all cores if not given.", low=1, high=1024, section="Run")

    def check(self) -> None:
        """Raise UsageError where values contradict each other."""
        self.counts()
        for name in ("sparsity", "max_iter", "tol"):
            if self.exemplars and name in self.given:
                flag = "--" + name.replace("_", "-")
                raise UsageError(f"--exemplars fits nothing, so {flag} means nothing", "leave out one")
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
class DetectSettings(Options):
    """How sounds are found in recordings; checked on construction, which raises UsageError."""

    threshold: float = detection(0.5, "Score from which a sound counts as heard.", low=0.001, high=0.999)
    min_duration: float | None = detection(
        None, "Leave out events that are shorter, in seconds; 0.05, but 0 for strokes.", low=0, high=3600
    )
    merge: float | None = detection(
        None, "Join events with gaps of up to so many seconds; 0.1, but 0 for strokes.", low=0, high=3600
    )
    free: int | None = detection(
        None, "Templates for what no label knows; 20 if one sound is looked for, else 0.", low=0, high=1000,
        flags=("--background",),
    )  # fmt: skip
    seed: int = detection(0, "Seed of the random numbers.", low=0, high=2**64 - 1)
    format: str = output("tsv", "How events are written.", names=TABLES)
    out: str | None = output(None, "Write a table for each recording here, too.", **FOLDER)
    clips: str | None = output(None, "Cut out each event, as a WAV file, here.", spelling="DIR")
    force: bool = output(False, **FORCE)
    threads: int | None = option(None, "Threads; all cores if not given.", low=1, high=1024, section="Run")


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorizeSettings(Options):
    """What is factorized, by which model, and what is written; checked on construction, which raises UsageError."""

    model: str = option("nmf", "What the matrix is taken for.", names=MODELS)
    components: int | None = option(
        None, "Components wanted; deep models take --levels.", low=1, high=1_000_000, flags=("-k", "--components")
    )
    levels: tuple[int, ...] | None = option(None, "Parts at each level, the finest first: 40,12,4.", spelling="list")
    template_frames: int = option(8, "Columns that a template spans, model nmfd.", low=1, high=1000)
    free: str = option("W", "What may be negative, in semi and deep-semi.", names=FREE)
    solver: str = option("auto", "How the loss is minimised.", names=SOLVERS)
    start: str = option(
        "auto", "Where the fit starts; auto is nndsvda, nndsvd for hals, ehals and pinv, svd for semi and deep-semi.",
        names=SIGNED_STARTS | STARTS,
    )  # fmt: skip
    l1: float = option(0.0, "Prefer entries of W and Z that are 0; try 0.001 to 0.1.", low=0, high=1e6)
    l2: float = option(0.0, "Prefer entries of W and Z that are small; try 0.001 to 0.1.", low=0, high=1e6)
    array: str | None = option(None, "Which array of an .npz file.", section="Input")
    transpose: bool = option(False, "Factorize the transpose: samples are in rows.", section="Input")
    images: bool = option(False, "INPUT is a folder of images, or an array (images, height, width).", section="Input")
    pca: bool = output(False, "Draw the parts next to principal components, too.")
    lda: str | None = output(None, "Draw what tells these labels apart there, too.", spelling="LABELS")
    pictures: bool = output(False, "Draw X, W, Z, W Z and the loss, too.")
    csv: bool = output(False, "Write W, Z and the loss as CSV, too.")
    out: str = output("factors", "Folder to write to.", **FOLDER)
    force: bool = output(False, **FORCE)

    def check(self) -> None:
        """Raise UsageError where values contradict each other."""
        if self.pca and not self.images:
            raise UsageError("--pca compares images", "add --images")
        if self.lda and not self.images:
            raise UsageError("--lda compares images", "add --images")
        if self.images and self.transpose:
            raise UsageError("--images and --transpose contradict each other", "each image is a column already")
        if self.images and self.array:
            raise UsageError("--images and --array contradict each other", "save the images as .npy")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings(Options):
    """How estimates are compared with true stems; checked on construction, which raises UsageError."""

    match: str = evaluation("auto", "How estimates find their stems.", names=MATCHES)
    filter_length: int = evaluation(512, "Samples of the filters that SDR, SIR and SAR forgive.", low=1, high=65536)
    trim: bool = evaluation(False, "Compare files of different lengths up to the shortest.")
    oracle: bool = evaluation(False, "Print what ideal masks at this STFT would reach, too.")
    tolerance: float = evaluation(0.2, "Seconds by which events may begin and end elsewhere.", low=0, high=60)
