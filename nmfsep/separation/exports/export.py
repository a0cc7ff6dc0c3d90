"""What an export is."""

from __future__ import annotations

from typing import ClassVar, Protocol

from ..result import Separation


class Export(Protocol):
    """One kind of file about a separation.

    Attributes
    ----------
    suffix : str
        What its name ends with.
    """

    suffix: ClassVar[str]

    @staticmethod
    def require() -> None:
        """Raise UsageError where something that it needs is not installed."""

    @staticmethod
    def encode(separation: Separation, sample_rate: int, begin: float) -> bytes:
        """Return the file.

        Parameters
        ----------
        separation : Separation
        sample_rate : int
            Hertz.
        begin : float
            Seconds of the sound's file before what was separated, from which times count.
        """
