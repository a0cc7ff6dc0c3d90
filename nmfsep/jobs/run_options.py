"""Options of a run: all that decides how each of its files is separated, in one frozen and picklable dataclass.

The commands build it once from what the user gave; planning, the memory budget and the separation of a file read it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..guidance.guide import Guide
from ..separation.arrange import arrange
from ..separation.saved import Saved
from ..settings.commands import OutputSettings
from ..settings.separation import Settings


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What is done with every file of a run.

    Parameters
    ----------
    settings : Settings
    output : OutputSettings, optional
    guide : Guide, optional
        Dictionaries and other cues to separate with.
    saved : Saved, optional
        The factorization to render, which makes a fit needless; never together with a guide.
    limit : int, optional
        Bytes of memory that a file may take; three quarters of what is free if not given.
    threads : int, optional
        Threads for a file where the settings name none; all cores if not given.
    debug : bool, default False
        Raise errors that are bugs, instead of reporting them as the outcome of their file.
    """

    settings: Settings
    output: OutputSettings = field(default_factory=OutputSettings)
    guide: Guide | None = None
    saved: Saved | None = None
    limit: int | None = None
    threads: int | None = None
    debug: bool = False

    @property
    def is_guided(self) -> bool:
        """Whether stems come from a guide or a saved model, not from the mixture alone."""
        return self.guide is not None or self.saved is not None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the sources that the guide or the saved model knows; none where components are numbered."""
        if self.saved is not None:
            return self.saved.labels
        return self.guide.labels if self.guide is not None else ()

    @property
    def stem_names(self) -> tuple[str, ...]:
        """Names of all stems, the residual last."""
        return arrange(self.settings, self.labels).names

    @property
    def files_read(self) -> tuple[str, ...]:
        """Files that are read besides the inputs: those of the guide, or the saved model."""
        if self.saved is not None:
            return (self.saved.path,)
        return self.guide.names if self.guide is not None else ()

    @property
    def settings_with_threads(self) -> Settings:
        """The settings, with the threads of this run where they name none."""
        return self.settings if self.settings.threads else replace(self.settings, threads=self.threads)

    def with_components(self, count: int | None) -> RunOptions:
        """Return the options with another number of components; None leaves it as it is."""
        return self if count is None else replace(self, settings=replace(self.settings, components=count))
