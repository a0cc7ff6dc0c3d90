"""Audio source separation by nonnegative matrix factorization.

>>> import nmfsep
>>> audio = nmfsep.read("song.wav")                    # doctest: +SKIP
>>> stems = nmfsep.separate(audio, components=4)       # doctest: +SKIP
>>> fit = nmfsep.factorize(abs(spectrogram), 4)        # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Resolved on first use (PEP 562), so that importing nmfsep, as the command line does, loads no numeric library.
_PUBLIC = {
    "Audio": "signal.audio",
    "STFT": "signal.stft",
    "read": "signal.read",
    "Factors": "kernels.product",
    "Fit": "nmf.fit",
    "factorize": "nmf.factorize",
    "fit_model": "models.by_name",
    "semi_nmf": "models.semi",
    "k_means": "models.kmeans",
    "orthogonal_nmf": "models.kmeans",
    "convolutive_nmf": "models.convolutive",
    "ConvolutiveFit": "models.convolutive",
    "deep_nmf": "models.deep",
    "deep_semi_nmf": "models.deep",
    "ReLUNetwork": "models.relu",
    "whiten": "models.relu",
    "DeepFit": "models.deep",
    "Execution": "nmf.fit",
    "NMF": "models.sklearn",
    "separate": "api",
    "Stems": "api",
    "learn": "api",
    "detect": "detection.find",
    "Event": "detection.find",
    "Dictionary": "guidance.dictionary",
    "read_dictionary": "guidance.dictionary:read",
    "write_dictionary": "guidance.dictionary:write",
    "statistics": "guidance.learn",
    "update": "guidance.learn",
    "Statistics": "nmf.blockwise",
    "Settings": "settings",
    "NmfsepError": "errors",
}
__all__ = [*_PUBLIC, "__version__"]

if TYPE_CHECKING:  # for editors and type checkers, which do not see the table
    from .api import Stems as Stems, learn as learn, separate as separate
    from .detection.find import Event as Event, detect as detect
    from .errors import NmfsepError as NmfsepError
    from .guidance.dictionary import Dictionary as Dictionary, read as read_dictionary, write as write_dictionary  # noqa: F401
    from .guidance.learn import statistics as statistics, update as update
    from .kernels.product import Factors as Factors
    from .models.by_name import fit_model as fit_model
    from .models.convolutive import ConvolutiveFit as ConvolutiveFit, convolutive_nmf as convolutive_nmf
    from .models.deep import DeepFit as DeepFit, deep_nmf as deep_nmf, deep_semi_nmf as deep_semi_nmf
    from .models.kmeans import k_means as k_means, orthogonal_nmf as orthogonal_nmf
    from .models.relu import ReLUNetwork as ReLUNetwork, whiten as whiten
    from .models.semi import semi_nmf as semi_nmf
    from .models.sklearn import NMF as NMF
    from .nmf.blockwise import Statistics as Statistics
    from .nmf.factorize import factorize as factorize
    from .nmf.fit import Execution as Execution, Fit as Fit
    from .settings import Settings as Settings
    from .signal.audio import Audio as Audio
    from .signal.read import read as read
    from .signal.stft import STFT as STFT


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'nmfsep' has no attribute {name!r}")
    module, _, other = _PUBLIC[name].partition(":")
    return getattr(importlib.import_module(f"nmfsep.{module}"), other or name)


def __dir__() -> list[str]:
    return sorted(__all__)
