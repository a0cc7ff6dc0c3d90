"""Audio source separation by nonnegative matrix factorization.

>>> import nmfsep
>>> stems = nmfsep.separate("song.wav", components=4)  # doctest: +SKIP
>>> stems.write("out")                                 # doctest: +SKIP
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
    "mix": "results.remix",
    "Mix": "results.remix",
    "rerun": "results.rerun",
    "Rerun": "results.rerun",
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
    "MiniBatchNMF": "models.minibatch",
    "open_matrix": "matrices.load",
    "separate": "api",
    "Stems": "api",
    "rank": "api",
    "inspect": "api",
    "evaluate": "api",
    "learn": "api",
    "compare_events": "detection.compare",
    "detect": "detection.find",
    "Event": "detection.find",
    "Dictionary": "guidance.dictionary",
    "read_dictionary": "guidance.dictionary:read",
    "write_dictionary": "guidance.dictionary:write",
    "statistics": "guidance.learn",
    "update": "guidance.learn",
    "Statistics": "nmf.blockwise",
    "Settings": "settings",
    "plot_spectrogram": "analysis.plots.axes",
    "plot_templates": "analysis.plots.axes",
    "plot_activations": "analysis.plots.axes",
    "plot_losses": "analysis.plots.axes",
    "plot_ranking": "analysis.plots.axes",
    "report": "results.report",
    "NmfsepError": "errors",
}
__all__ = [*_PUBLIC, "__version__"]

if TYPE_CHECKING:  # for editors and type checkers, which do not see the table
    from .analysis.plots.axes import (
        plot_activations as plot_activations,
        plot_losses as plot_losses,
        plot_ranking as plot_ranking,
        plot_spectrogram as plot_spectrogram,
        plot_templates as plot_templates,
    )
    from .api import (
        Stems as Stems,
        evaluate as evaluate,
        inspect as inspect,
        learn as learn,
        rank as rank,
        separate as separate,
    )
    from .detection.compare import compare_events as compare_events
    from .detection.find import Event as Event, detect as detect
    from .errors import NmfsepError as NmfsepError
    from .guidance.dictionary import Dictionary as Dictionary, read as read_dictionary, write as write_dictionary  # noqa: F401
    from .guidance.learn import statistics as statistics, update as update
    from .kernels.product import Factors as Factors
    from .matrices.load import open_matrix as open_matrix
    from .models.by_name import fit_model as fit_model
    from .models.convolutive import ConvolutiveFit as ConvolutiveFit, convolutive_nmf as convolutive_nmf
    from .models.deep import DeepFit as DeepFit, deep_nmf as deep_nmf, deep_semi_nmf as deep_semi_nmf
    from .models.kmeans import k_means as k_means, orthogonal_nmf as orthogonal_nmf
    from .models.minibatch import MiniBatchNMF as MiniBatchNMF
    from .models.relu import ReLUNetwork as ReLUNetwork, whiten as whiten
    from .models.semi import semi_nmf as semi_nmf
    from .models.sklearn import NMF as NMF
    from .nmf.blockwise import Statistics as Statistics
    from .nmf.factorize import factorize as factorize
    from .nmf.fit import Execution as Execution, Fit as Fit
    from .results.remix import Mix as Mix, mix as mix
    from .results.report import report as report
    from .results.rerun import Rerun as Rerun, rerun as rerun
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
