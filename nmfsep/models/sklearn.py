"""factorize as an estimator of scikit-learn: samples in rows, X ≈ W H, and fit, transform, pipelines, grid searches.

Only this module and that of MiniBatchNMF import scikit-learn (1.6 or later), when either is first used. Behind them our
words hold: a sample is a frame and a feature a bin, so X here is X.T there, H here is W.T there, and W here Z.T.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Collection, Mapping
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted, validate_data

from ..errors import NmfsepError
from ..kernels.divergence import Divergence, as_divergence, sum_of_squares
from ..kernels.product import Matrix
from ..nmf.factorize import factorize
from ..nmf.fit import Execution, Fit, choose_solver
from ..registry import STARTS, suggestion
from ..settings.fields import MAX_ITER, TOL

FLOATS = (np.float64, np.float32)  # whatever else comes in is made the first, as in scikit-learn
EVERY = 10  # iterations between two looks at the loss, as in scikit-learn
SPARSE_LOSSES = (1, 2, "kl", "kullback-leibler", "frobenius")  # for which a sparse X stays so
EXECUTION = Execution(loss_every=EVERY)


class NMF(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc] # it has no types
    """Nonnegative matrix factorization X ≈ W H with the interface of ``sklearn.decomposition.NMF``.

    Parameters have the names, meanings and defaults that they have there, and further values. From the same start,
    solver "mu" does the same iterations as there, and as many. What differs:

    - Rows of `components_` sum to 1, the scale is in W: a row of W says how much of each component a sample holds, in
      the units of X, and compares from fit to fit. There the scale between W and H is left to chance. W H is the same.
      With `alpha_W` or `alpha_H`, which decide on the scale, both are as the fit leaves them.
    - X and 2**n X give the same components, bit for bit, without these.
    - Where beta <= 0, entries of X are raised to -100 dB of its largest; there zeros are refused.
    - Sparse X is made dense for other beta than 1 and 2, and for solver "pinv".
    - Of W and H for a custom start one may be missing.

    Parameters
    ----------
    n_components : int, "auto" or None, default "auto"
        Components. "auto" is as many as the W or H of a custom start has, else, as None, as many as X has features.
    init : {None, "auto", "random", "nndsvd", "nndsvda", "nndsvdar", "custom"}, default None
        The start. None, or "auto", is "nndsvda", or "random" where there are more components than samples or features;
        "custom" is the W and H given to `fit` or `fit_transform`.
    solver : {"auto", "cd", "hals", "mu", ...}, default "auto"
        A name in the registry. "auto" picks by loss, as `factorize` does. "cd", the coordinate descent of scikit-learn,
        stands for "hals", which descends along the same coordinates, but several times for each product with X.
    beta_loss : str or float, default "frobenius"
        What is minimised: "frobenius" (beta 2), "kullback-leibler" or "kl" (1), "itakura-saito" or "is" (0), another
        name in the registry, or a beta.
    tol : float, default 1e-4
        Stop when ten iterations lower sqrt(loss) by less than this share of the first; with 0, exactly `max_iter`
        iterations run. (`factorize` looks at the loss itself. "cd" of scikit-learn has another rule.)
    max_iter : int, default 200
        Iterations at the most, of a fit and of a transform; a ConvergenceWarning tells that `tol` was not met by then.
    random_state : int, RandomState or None, default None
        An int is the seed of `factorize`; otherwise a seed is drawn, with None from the global generator of NumPy. All
        starts but "custom" depend on it, and the order of `shuffle`; `transform` does not.
    alpha_W, alpha_H : float, default 0 and "same"
        Added to the loss are n_samples alpha_H (l1_ratio ‖H‖₁ + (1 - l1_ratio) ‖H‖² / 2), and the same of W with
        n_features alpha_W, this in `transform`, too. "same" stands for alpha_W.
    l1_ratio : float, default 0
        Between 0 and 1.
    verbose : int, default 0
        Write the loss to standard output each time it is looked at.
    shuffle : bool, default False
        Descend along the coordinates in a random order, drawn once a fit; for "cd" and the like only.

    Attributes
    ----------
    components_ : ndarray, shape (n_components, n_features)
        H. Each row sums to 1, unless it is zero: X had no use for that component.
    n_components_, n_features_in_ : int
    n_iter_ : int
        Iterations that the fit did.
    reconstruction_err_ : float
        sqrt(2 D(X | W H)) of the fit, with D the divergence, alone; for beta 2 the Frobenius norm of X - W H.
    feature_names_in_ : ndarray, shape (n_features,)
        Only where X had feature names that are all strings.

    Examples
    --------
    >>> from nmfsep import NMF
    >>> X = [[4.0, 8, 12], [3, 0, 1], [11, 10, 17]]
    >>> model = NMF(2, beta_loss="kl", tol=0, max_iter=1000, random_state=0)
    >>> model.inverse_transform(model.fit_transform(X)).round(2).tolist()
    [[4.0, 8.0, 12.0], [3.0, 0.0, 1.0], [11.0, 10.0, 17.0]]
    """

    def __init__(
        self,
        n_components: int | str | None = "auto",
        *,
        init: str | None = None,
        solver: str = "auto",
        beta_loss: str | float = "frobenius",
        tol: float = TOL,
        max_iter: int = MAX_ITER,
        random_state: int | np.random.RandomState | None = None,
        alpha_W: float = 0.0,
        alpha_H: float | str = "same",
        l1_ratio: float = 0.0,
        verbose: int = 0,
        shuffle: bool = False,
    ) -> None:
        self.n_components = n_components
        self.init = init
        self.solver = solver
        self.beta_loss = beta_loss
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.alpha_W = alpha_W
        self.alpha_H = alpha_H
        self.l1_ratio = l1_ratio
        self.verbose = verbose
        self.shuffle = shuffle

    def fit(self, X: ArrayLike, y: object = None, **start: Any) -> Self:
        """Learn the components of X; parameters and errors are those of `fit_transform`."""
        self.fit_transform(X, **start)
        return self

    def fit_transform(
        self, X: ArrayLike, y: object = None, W: ArrayLike | None = None, H: ArrayLike | None = None
    ) -> Matrix:
        """Learn the components of X and return W, how much of each every sample holds.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n_samples, n_features)
            Finite and non-negative; never written to.
        y : ignored
        W : array_like, shape (n_samples, n_components), optional
        H : array_like, shape (n_components, n_features), optional
            The start if init is "custom": both, or one, when the other starts as it does in `factorize`.

        Returns
        -------
        ndarray, shape (n_samples, n_components)
            float32 if X is, else float64; so are the computations.

        Raises
        ------
        ValueError, TypeError
            X, W or H is not a finite non-negative matrix of the right shape and the same dtype, a parameter is unknown,
            out of its range or of a wrong type, or the solver cannot minimise this loss.
        """
        data = self._validated(X, reset=True)
        given = self._custom_start(data, W, H)
        k = self._count(data, given)
        norms: dict[str, Any] = self._norms(data)
        result = self._factorize(data, k, start=self._start_name(data, k), seed=self._seed(), **given, **norms)
        W, H = without_traces(result.factors.Z.T), without_traces(result.factors.W.T)
        self.n_components_ = self._n_components = k  # the second is for those who know scikit-learn's from within
        self.components_ = H
        self.n_iter_ = result.n_iter
        both = {"W": result.factors.W, "Z": result.factors.Z}
        penalty = sum(weight * float(both[name].sum(dtype=np.float64)) for name, weight in norms["l1"].items())
        penalty += sum(weight / 2 * sum_of_squares(both[name]) for name, weight in norms["l2"].items())
        self.reconstruction_err_ = math.sqrt(2 * max(result.losses[-1] - penalty, 0))  # rounding can take 0 below 0
        return W

    def transform(self, X: ArrayLike) -> Matrix:
        """Return W, (n_samples, n_components), how much each sample of X holds of the components as they are.

        Each sample starts from equal amounts of all components, at its own level, and nothing is random. Samples share
        when to stop, when an extrapolated solver restarts, and the floor where beta <= 0; else none influences another.
        X, dtypes and errors are as in `fit_transform`; NotFittedError, too.
        """
        check_is_fitted(self)
        data = self._validated(X, reset=False)
        masses = self.components_.sum(axis=1, dtype=np.float64)
        level = data.sum(axis=1, dtype=np.float64)
        level[level == 0] = data.max()  # where beta <= 0 zeros are raised, and "mu" could not leave a zero
        Z = np.outer(masses > 0, level / max(masses.sum(), 1))  # nothing of components that are zero
        most = self._transform_iterations
        norms: dict[str, Any] = {
            norm: {"Z": weights["Z"]} for norm, weights in self._norms(data).items() if "Z" in weights
        }
        result = self._factorize(data, len(masses), W=self.components_.T, Z=Z, fixed={"W"}, max_iter=most, **norms)
        return without_traces(result.factors.Z.T)

    def inverse_transform(self, X: ArrayLike) -> Matrix:
        """Return W H, (n_samples, n_features), for a W, here X, as `transform` returns it; dense or sparse."""
        check_is_fitted(self)
        W = check_array(X, accept_sparse=True, dtype=FLOATS, input_name="X")
        if W.shape[1] != self._n_features_out:
            raise ValueError(f"X has {W.shape[1]} columns, but there are {self._n_features_out} components")
        product: Matrix = W @ self.components_
        return product

    @property
    def _transform_iterations(self) -> int:
        return self.max_iter

    @property
    def _n_features_out(self) -> int:  # what get_feature_names_out counts to
        return len(self.components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _validated(self, X: ArrayLike, *, reset: bool) -> Matrix:
        data = validate_data(self, X, reset=reset, accept_sparse="csr", dtype=FLOATS, ensure_non_negative=True)
        if isinstance(data, np.ndarray):
            return data
        names = SPARSE_LOSSES if self.solver != "pinv" else ()
        sparse: Matrix = csr_array(data) if self.beta_loss in names else data.toarray(order="C")
        return sparse

    def _custom_start(self, data: Matrix, W: ArrayLike | None, H: ArrayLike | None) -> dict[str, Any]:
        """Check the given start and return it under the names it has in factorize."""
        if self.init != "custom":
            if W is not None or H is not None:
                warnings.warn(f"W and H are not used with init={self.init!r}", RuntimeWarning, stacklevel=4)
            return {}
        start: dict[str, Matrix] = {}
        for name, given, axis, there in (("W", W, 0, "Z"), ("H", H, 1, "W")):
            if given is None:
                continue
            factor = check_array(given, dtype=FLOATS, ensure_non_negative=True, input_name=name)
            if factor.dtype != data.dtype:
                raise TypeError(f"H and W should have the same dtype as X, {data.dtype}, but {name} has {factor.dtype}")
            if factor.shape[axis] != data.shape[axis]:
                which = ("first", "second")[axis]
                found = f"{factor.shape} of {name} does not fit {data.shape} of X"
                raise ValueError(f"Array with wrong {which} dimension passed to NMF: {found}")
            if not factor.any():
                raise ValueError(f"{name} is zero, which no solver can leave")
            start[there] = factor.T
        if not start:
            raise ValueError("init='custom' needs W or H or both")
        return start

    def _count(self, data: Matrix, start: dict[str, Matrix]) -> int:
        """Return the number of components, which a custom start must have."""
        counts = [A.shape[0 if name == "Z" else 1] for name, A in start.items()]
        k = self.n_components
        if k is None or k == "auto":
            k = counts[0] if k and counts else data.shape[1]
        check_scalar(k, "n_components", Integral, min_val=1)
        if any(count != k for count in counts):
            which = "second" if "Z" in start and counts[0] != k else "first"
            message = f"Array with wrong {which} dimension passed to NMF"
            raise ValueError(f"{message}: W and H need {k} components, not {counts}")
        return int(k)

    def _start_name(self, data: Matrix, k: int) -> str:
        init, most = self.init, min(data.shape)
        if init in (None, "auto", "custom"):
            return "nndsvda" if k <= most else "random"  # not looked at if custom
        if init not in STARTS:
            raise ValueError(f"init {init!r} is unknown; {suggestion(str(init), [*STARTS, 'auto', 'custom'])}")
        if init.startswith("nndsvd") and k > most:
            rule = f"init = '{init}' can only be used when n_components <= min(n_samples, n_features)"
            raise ValueError(f"{rule}, here {most}, not {k}; use init='random'")
        return init

    def _norms(self, data: Matrix) -> dict[str, dict[str, float]]:
        """Return the weights of l1 and l2 for the factors under their names in factorize, where they are not 0."""
        alpha_H = self.alpha_W if isinstance(self.alpha_H, str) and self.alpha_H == "same" else self.alpha_H
        check_scalar(self.alpha_W, "alpha_W", Real, min_val=0)
        check_scalar(alpha_H, "alpha_H", Real, min_val=0)
        check_scalar(self.l1_ratio, "l1_ratio", Real, min_val=0, max_val=1)
        samples, features = data.shape
        weights = {"Z": features * self.alpha_W, "W": samples * alpha_H}
        shares = {"l1": self.l1_ratio, "l2": 1 - self.l1_ratio}
        return {
            norm: {name: float(share * weight) for name, weight in weights.items() if share * weight}
            for norm, share in shares.items()
        }

    def _seed(self) -> int:
        seed = self.random_state
        return int(seed if isinstance(seed, Integral) else check_random_state(seed).randint(2**31 - 1))

    def _measure(self) -> Divergence:
        """Return what is minimised, once tol, max_iter and beta_loss are found to be right."""
        check_scalar(self.tol, "tol", Real, min_val=0)
        check_scalar(self.max_iter, "max_iter", Integral, min_val=1)
        if not isinstance(self.beta_loss, (str, Real)):
            raise TypeError(f"beta_loss must be a name or a number, not {self.beta_loss!r}")
        return as_divergence(self.beta_loss if isinstance(self.beta_loss, str) else float(self.beta_loss))

    def _factorize(
        self,
        data: Matrix,
        k: int,
        *,
        fixed: Collection[str] = (),
        l1: float | Mapping[str, float] = 0.0,
        l2: float | Mapping[str, float] = 0.0,
        max_iter: int | None = None,
        **start: Any,
    ) -> Fit:
        """Fit with scikit-learn's tolerance, warnings and kinds of errors."""
        try:
            measure = self._measure()
            if self.solver == "cd" and measure.beta != 2:
                rule = f"Invalid beta_loss parameter: solver 'cd' does not handle beta_loss = {self.beta_loss!r}"
                raise ValueError(f"{rule}: it minimises beta 2, not {measure.beta:g}; use solver='mu'")
            solver = "hals" if self.solver == "cd" else self.solver
            solver, method = choose_solver(solver, measure, norms=bool(l1 or l2))
            same: dict[str, Any] = {"solver": solver, "divergence": measure, "fixed": fixed, "l1": l1, "l2": l2}
            same["tol"] = 0
            if start.get("start") == "nndsvd" and not (method.fills or {"W", "Z"} & start.keys()):
                message = f"The multiplicative update ({solver!r}) solver cannot update zeros present in the"
                warnings.warn(f"{message} initialization by init='nndsvd'; use init='nndsvda'", stacklevel=4)
                zeros = factorize(data.T, k, divergence="frobenius", solver="hals", **start, max_iter=0).factors
                start = {"W": zeros.W, "Z": zeros.Z}
            most = self.max_iter if max_iter is None else max_iter
            # the rule for stopping needs the first loss, so the start is made by itself
            first = factorize(data.T, k, **same, **start, max_iter=0)
            begin, settled, order = first.factors, _Settled(self.tol, first.losses[0], self.verbose), None
            if self.shuffle and method.fills and not fixed:
                order = np.random.default_rng(start.get("seed")).permutation(k)
                begin = begin.select(order)
            same |= {"W": begin.W, "Z": begin.Z, "max_iter": most, "execution": EXECUTION, "callback": settled}
            fit = factorize(data.T, k, **same)
        except NmfsepError as error:
            raise ValueError(str(error)) from error
        if self.tol > 0 and not settled.met:
            message = f"Maximum number of iterations {most} reached. Increase it to improve convergence"
            warnings.warn(f"{message}, or tol.", ConvergenceWarning, stacklevel=4)  # past scikit-learn's own wrapper
        return fit if order is None else replace(fit, factors=fit.factors.select(np.argsort(order)))


def without_traces(A: Matrix) -> Matrix:
    """Return a factor with 0 for what multiplicative updates only keep from being 0, as scikit-learn does."""
    least = 4 * np.finfo(np.float64).eps * A.max()
    return np.where(least < A, A, A.dtype.type(0))


class _Settled:
    """A callback that stops when sqrt(loss) has settled, by the rule of scikit-learn's "mu"."""

    def __init__(self, tol: float, loss: float, verbose: int) -> None:
        self.tol, self.verbose = tol, verbose
        self.first = self.last = math.sqrt(max(loss, 0))
        self.met = False

    def __call__(self, iteration: int, loss: float) -> bool:
        if self.verbose:  # to where scikit-learn prints
            sys.stdout.write(f"iteration {iteration}: loss {loss:g}\n")
        if self.tol == 0 or iteration % EVERY:
            return False
        root = math.sqrt(max(loss, 0))
        self.met = self.last - root <= self.tol * self.first
        self.last = root
        return self.met
