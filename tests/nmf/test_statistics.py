"""Statistics that add up over files, and the step that they give."""

import itertools

import numpy as np
import pytest

from nmfsep.kernels.divergence import Beta
from nmfsep.kernels.product import Factors
from nmfsep.kernels.threads import Workers
from nmfsep.nmf import problem as penalties
from nmfsep.nmf.blockwise import Statistics, statistics, total, update
from nmfsep.nmf.fit import Stop, fit
from nmfsep.nmf.problem import Problem
from nmfsep.nmf.solvers.mu import MU

BETAS = [0, 0.5, 1, 1.5, 2, 3]
BINS, FRAMES, K = 30, 90, 4


def data(dtype=np.float64, frames=FRAMES, seed=0):
    """Frames and templates that do not fit them."""
    rng = np.random.default_rng(seed)
    Xt = rng.random((frames, K)) ** 3 @ rng.random((K, BINS)) + 0.05 * rng.random((frames, BINS))
    return np.ascontiguousarray(Xt / Xt.mean(), dtype), rng.random((K, BINS)).astype(dtype)


def assert_equal(first, second, rtol):
    for name in ("negative", "positive", "mass", "loss"):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), rtol=rtol)
    assert first.frames == second.frames


def problems():
    return [Problem(Beta(beta), sparsity=sparsity) for beta in BETAS for sparsity in (0, 0.4)]


def name(problem):
    return f"beta {problem.divergence.beta:g}, sparsity {problem.sparsity:g}"


@pytest.mark.parametrize("problem", problems(), ids=name)
def test_the_sum_over_parts_is_the_statistics_of_the_whole(problem, workers):
    Xt, Wt = data()
    whole = statistics(Xt, Wt, problem, 10, workers)
    cuts = [0, 1, 20, 61, FRAMES]
    parts = [statistics(Xt[a:b], Wt, problem, 10, workers) for a, b in itertools.pairwise(cuts)]
    summed = total(parts)
    assert_equal(summed, whole, 1e-10)
    assert whole.frames == FRAMES


def test_without_a_loss_the_sums_are_the_same(workers):
    Xt, Wt = data()
    problem = Problem(Beta(1), sparsity=0.4)
    with_loss, without = (statistics(Xt, Wt, problem, 10, workers, told) for told in (True, False))
    assert np.isnan(without.loss)
    np.testing.assert_array_equal(without.negative, with_loss.negative)
    np.testing.assert_array_equal(update(Wt, without, problem), update(Wt, with_loss, problem))


@pytest.mark.parametrize("problem", problems(), ids=name)
def test_the_step_is_that_of_the_solver_that_has_everything_in_memory(problem, workers):
    Xt, Wt = data()
    # the solver's activations after ten updates from the start that statistics takes, then its update of W alone
    level = Xt.sum(axis=1, keepdims=True) / K / Wt.sum(axis=1)
    held = Problem(problem.divergence, frozenset("W"), problem.sparsity)
    Z = fit(Xt, Factors(Wt.T, level.T), held, MU(), Stop(10, 0, None, 10), workers).factors.Z
    held = Problem(problem.divergence, frozenset("Z"), problem.sparsity)
    wanted = fit(Xt, Factors(Wt.T, Z), held, MU(), Stop(1, 0, None, 1), workers)
    found = statistics(Xt, Wt, problem, 10, workers)
    np.testing.assert_allclose(found.mass, Z.sum(axis=1), rtol=1e-9)
    assert found.loss == pytest.approx(wanted.losses[0], rel=1e-9)
    np.testing.assert_allclose(update(Wt, found, problem), wanted.factors.W.T, rtol=1e-8)


@pytest.mark.parametrize("problem", problems(), ids=name)
def test_the_loss_over_passes_never_rises(problem, workers):
    # with activations that are solved to the end in each pass
    Xt, Wt = data(frames=40)
    losses = []
    for _ in range(6):
        parts = [statistics(Xt[half], Wt, problem, 200, workers) for half in (slice(20), slice(20, None))]
        sums = total(parts)
        losses.append(sums.loss)
        Wt = update(Wt, sums, problem)
    assert np.diff(losses).max() <= 1e-4 * losses[0]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("beta", [1, 2])
def test_few_updates_of_the_activations_are_enough_to_learn(beta, workers):
    problem = Problem(Beta(beta))
    Xt, Wt = data()
    losses = []
    for _ in range(8):
        sums = statistics(Xt, Wt, problem, 10, workers)
        losses.append(sums.loss)
        Wt = update(Wt, sums, problem)
    assert losses[-1] < 0.7 * losses[0]


def test_the_loss_is_divergence_and_penalty_at_the_activations(workers):
    Xt, Wt = data()
    bare, sparse = (statistics(Xt, Wt, Problem(sparsity=s), 10, workers) for s in (0, 0.4))
    problem = Problem(sparsity=0.4)
    assert penalties.loss(Wt, sparse.mass[None], problem) == pytest.approx(
        0.4 * np.linalg.norm(Wt, axis=1) @ sparse.mass
    )
    assert sparse.mass.sum() < bare.mass.sum()
    assert sparse.loss > bare.loss


@pytest.mark.parametrize("frames", [90, 3000])
def test_threads_change_no_bit(frames):
    Xt, Wt = data(np.float32, frames)
    found = []
    for threads in (1, 2):
        with Workers(threads) as workers:
            found.append(statistics(Xt, Wt, Problem(), 10, workers))
    assert_equal(found[0], found[1], 0)


@pytest.mark.parametrize("beta", BETAS)
def test_single_precision_comes_close_and_is_summed_in_double(beta, workers):
    single, double = (statistics(*data(dtype), Problem(Beta(beta)), 10, workers) for dtype in (np.float32, np.float64))
    assert_equal(single, double, 5e-3)
    assert single.negative.dtype == single.positive.dtype == single.mass.dtype == np.float64
    Wt = data(np.float32)[1]
    assert update(Wt, single, Problem(Beta(beta))).dtype == np.float32


def test_the_size_does_not_depend_on_the_number_of_frames(workers):
    shapes = set()
    for frames in (1, 90, 3000):
        found = statistics(*data(frames=frames), Problem(), 2, workers)
        shapes.add((found.negative.shape, found.positive.shape, found.mass.shape))
    assert shapes == {((K, BINS), (K, 1), (K,))}


def test_silent_frames_and_templates_stay_finite(workers):
    Xt, Wt = data()
    Xt[3:9] = 0
    Wt[1] = 0
    for beta in (1, 2):
        sums = statistics(Xt, Wt, Problem(Beta(beta)), 10, workers)
        assert np.isfinite(update(Wt, sums, Problem(Beta(beta)))).all()
        assert np.isfinite(sums.loss)


def test_what_is_given_is_only_read(workers):
    Xt, Wt = data()
    Xt.flags.writeable = Wt.flags.writeable = False
    found = statistics(Xt, Wt, Problem(sparsity=1.0), 3, workers)
    for array in (found.negative, found.positive, found.mass):
        array.flags.writeable = False
    update(Wt, found, Problem(sparsity=1.0))


def part(value):
    return Statistics(np.full((1, 2), value), np.full((1, 1), value), np.full(1, value), value, 1)


def test_a_total_has_one_order_only():
    # in double precision, a sum depends on it
    values = [0.1, 0.2, 0.3, 1e16, 0.4]
    assert total(map(part, values)).loss == ((0.1 + 0.2) + (0.3 + 1e16)) + 0.4
    assert total(map(part, values)).frames == 5


@pytest.mark.parametrize("count", range(1, 18))
def test_a_total_can_be_had_level_by_level(count):
    values = np.random.default_rng(0).random(count).tolist()
    level = [part(value) for value in values]
    while len(level) > 1:
        pairs = [a + b for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(level) // 2 * 2 :]
    assert total(map(part, values)).loss == level[0].loss


def test_a_total_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no statistics"):
        total([])


@pytest.mark.parametrize("beta", [1, 2])
def test_nothing_adds_nothing(beta, workers):
    Xt, Wt = data()
    problem = Problem(Beta(beta))
    found = statistics(Xt, Wt, problem, 2, workers)
    both = found + Statistics.nothing(Wt, problem)
    for name in Statistics.__slots__:
        np.testing.assert_array_equal(getattr(both, name), getattr(found, name))


def test_a_total_holds_few_of_its_parts():
    alive = []

    class Watched(Statistics):
        def __del__(self):
            alive.remove(id(self))

    def parts():
        for _ in range(64):
            assert len(alive) <= 2
            made = Watched(*(getattr(part(1.0), field) for field in Statistics.__slots__))
            alive.append(id(made))
            yield made
            del made

    assert total(parts()).frames == 64
