"""Laws of factorize and of the masks over generated matrices."""

import numpy as np
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from nmfsep import factorize
from nmfsep.nmf.fit import Execution
from nmfsep.registry import MASKS

few = settings(derandomize=True, deadline=None, max_examples=25)
# magnitudes as a recording has them: exact silence, and anything within 120 dB
entries = st.one_of(st.just(0.0), st.floats(2.0**-20, 1.0, width=32))
matrices = st.tuples(st.integers(1, 6), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=entries)
)
components = st.integers(1, 4)
betas = st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0])


@few
@given(X=matrices, k=components, beta=betas)
def test_factors_are_finite_nonnegative_and_normalized(X, k, beta):
    factors = factorize(X, k, divergence=beta, max_iter=10).factors
    assert np.isfinite(factors.W).all()
    assert np.isfinite(factors.Z).all()
    assert factors.W.min() >= 0
    assert factors.Z.min() >= 0
    sums = factors.W.sum(axis=0)
    assert (np.isclose(sums, 1, rtol=1e-5) | (sums == 0)).all()


@few
@given(X=matrices, k=components, beta=betas)
def test_the_loss_never_rises(X, k, beta):
    losses = np.array(
        factorize(
            X.astype(np.float64), k, divergence=beta, max_iter=15, tol=0, execution=Execution(loss_every=1)
        ).losses
    )
    # relative to the divergence from nothing, since the start may already be exact
    assert np.diff(losses).max() <= 1e-9 * (losses[0] + float(X.sum()) + 1e-12)


@few
@given(X=matrices, k=components, n=st.integers(-30, 30), beta=betas)
def test_a_level_of_a_power_of_two_goes_into_z_bit_for_bit(X, k, n, beta):
    scale = np.float32(2.0**n)
    plain, scaled = (factorize(A, k, divergence=beta, max_iter=5).factors for A in (X, X * scale))
    np.testing.assert_array_equal(scaled.W, plain.W)
    if X.any():  # silence has no level
        np.testing.assert_allclose(scaled.Z, plain.Z * scale, rtol=1e-6, atol=1e-38)


@few
@given(X=matrices, k=components)
def test_least_squares_lie_between_the_best_of_any_sign_and_the_best_of_one_component(X, k):
    # the best of rank k has factors of any sign, that of rank 1 is non-negative for a non-negative matrix (Perron)
    X = X.astype(np.float64)
    squares = np.linalg.svd(X, compute_uv=False) ** 2
    lowest, highest = (0.5 * squares[rank:].sum() for rank in (k, 1))
    slack = 1e-4 * squares.sum() + 1e-12
    for A in (X, X.T):  # nothing in the model tells bins from frames
        loss = factorize(A, k, divergence=2, max_iter=300, tol=0).losses[-1]
        assert lowest - slack <= loss <= highest + slack


@few
@given(X=matrices)
def test_one_component_of_kullback_leibler_is_the_outer_product_of_the_margins(X):
    # the closed form for k = 1, which pins the level as well as the shape
    V = factorize(X, 1, divergence="kl", max_iter=50).factors.reconstruct()
    wanted = np.outer(X.sum(axis=1), X.sum(axis=0)) / max(X.sum(), 1e-30)
    np.testing.assert_allclose(V, wanted, rtol=1e-3, atol=1e-6)


@few
@given(X=matrices, k=components, seed=st.integers(0, 2**32))
def test_a_seed_gives_the_same_bits_again(X, k, seed):
    first, second = (factorize(X, k, start="random", seed=seed, max_iter=3).factors for _ in range(2))
    np.testing.assert_array_equal(first.W, second.W)
    np.testing.assert_array_equal(first.Z, second.Z)


@few
@given(
    V=st.integers(1, 4).flatmap(lambda k: arrays(np.float32, (k, 3, 2), elements=st.floats(0, 2.0**100, width=32))),
    name=st.sampled_from(sorted(MASKS)),
    power=st.floats(0.01, 100),
)
def test_masks_share_everything_out(V, name, power):
    MASKS.load(name)(V, power)
    assert V.min() >= 0
    assert V.max() <= 1
    np.testing.assert_allclose(V.sum(axis=0), 1, atol=1e-6)
