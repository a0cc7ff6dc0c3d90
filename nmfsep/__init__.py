"""Audio source separation by nonnegative matrix factorization.

>>> import nmfsep
>>> audio = nmfsep.read("song.wav")                    # doctest: +SKIP
>>> stems = nmfsep.separate(audio, components=4)       # doctest: +SKIP
>>> fit = nmfsep.factorize(abs(spectrogram), 4)        # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import Any

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


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'nmfsep' has no attribute {name!r}")
    module, _, other = _PUBLIC[name].partition(":")
    return getattr(importlib.import_module(f"nmfsep.{module}"), other or name)


def __dir__() -> list[str]:
    return sorted(__all__)
