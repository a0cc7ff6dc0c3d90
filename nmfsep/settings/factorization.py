"""What is factorized, by which model, and what is written."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError
from ..registry import MODELS, SIGNED_STARTS, SOLVERS, STARTS
from .choices import FREE
from .knob import check_all, knob


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
