"""What an export is."""

from __future__ import annotations

import math
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
    def encode(
        separation: Separation, sample_rate: int, begin: float, *, seconds: float = math.inf, last_bit: float = 0.0
    ) -> bytes:
        """Return the file.

        Parameters
        ----------
        separation : Separation
        sample_rate : int
            Hertz.
        begin : float
            Seconds of the sound's file before what was separated, from which times count.
        seconds : float, optional
            Of what was separated, beyond which nothing sounds.
        last_bit : float, default 0
            The step of the mixture's samples; what is no more than its noise is not there. 0 where they have none.
        """
