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
    "Factors": "nmf.factors",
    "Fit": "nmf.fit",
    "factorize": "nmf.factorize",
    "fit_model": "nmf.models",
    "semi_nmf": "nmf.semi",
    "k_means": "nmf.kmeans",
    "orthogonal_nmf": "nmf.kmeans",
    "convolutive_nmf": "nmf.convolutive",
    "ConvolutiveFit": "nmf.convolutive",
    "deep_nmf": "nmf.deep",
    "deep_semi_nmf": "nmf.deep",
    "ReLUNetwork": "nmf.relu",
    "whiten": "nmf.relu",
    "DeepFit": "nmf.deep_fit",
    "NMF": "nmf.estimator",
    "separate": "separation.pipeline",
    "Stems": "separation.pipeline",
    "learn": "separation.pipeline",
    "Dictionary": "separation.dictionary",
    "read_dictionary": "separation.dictionary:read",
    "write_dictionary": "separation.dictionary:write",
    "statistics": "separation.mapreduce",
    "update": "separation.mapreduce",
    "Statistics": "nmf.statistics",
    "Settings": "settings",
    "NmfsepError": "errors",
}
__all__ = [*_PUBLIC, "__version__"]

if TYPE_CHECKING:  # for editors and type checkers, which do not see the table
    from .errors import NmfsepError as NmfsepError
    from .nmf.convolutive import ConvolutiveFit as ConvolutiveFit
    from .nmf.convolutive import convolutive_nmf as convolutive_nmf
    from .nmf.deep import deep_nmf as deep_nmf
    from .nmf.deep import deep_semi_nmf as deep_semi_nmf
    from .nmf.deep_fit import DeepFit as DeepFit
    from .nmf.estimator import NMF as NMF
    from .nmf.factorize import factorize as factorize
    from .nmf.factors import Factors as Factors
    from .nmf.fit import Fit as Fit
    from .nmf.kmeans import k_means as k_means
    from .nmf.kmeans import orthogonal_nmf as orthogonal_nmf
    from .nmf.models import fit_model as fit_model
    from .nmf.relu import ReLUNetwork as ReLUNetwork
    from .nmf.relu import whiten as whiten
    from .nmf.semi import semi_nmf as semi_nmf
    from .nmf.statistics import Statistics as Statistics
    from .separation.dictionary import Dictionary as Dictionary
    from .separation.dictionary import read as read_dictionary  # noqa: F401
    from .separation.dictionary import write as write_dictionary  # noqa: F401
    from .separation.mapreduce import statistics as statistics
    from .separation.mapreduce import update as update
    from .separation.pipeline import Stems as Stems
    from .separation.pipeline import learn as learn
    from .separation.pipeline import separate as separate
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
