import numpy as np
import pytest

from nmfsep.kernels import blocked
from nmfsep.kernels.blocked import Blocked
from nmfsep.kernels.compiled import Compiled
from nmfsep.kernels.divergence import Beta
from nmfsep.kernels.product import EPS, TINY
from nmfsep.kernels.reference import Kernels
from nmfsep.kernels.select import ONCE, choose
from nmfsep.kernels.threads import SPANS, Workers, spans

BETAS = [-1, 0, 0.5, 1, 1.2, 1.5, 2, 3]
TOLERANCE = {np.float32: 2e-4, np.float64: 1e-10}
# frames, bins, components
SHAPES = {
    "one entry": (1, 1, 1),
    "one frame": (1, 40, 2),
    "one bin": (40, 1, 2),
    "more components than bins": (50, 3, 6),
    "many tiles": (203, 9, 3),
    "more components than are swept in one pass": (33, 70, 13),
}
CONTENTS = ["dense", "silent frames and bins", "one huge entry"]


def problem(shape, content, dtype, beta):
    frames, bins, k = shape
    rng = np.random.default_rng(frames + bins)
    X = rng.gamma(0.5, 2, (frames, bins))
    if content == "silent frames and bins":
        X[::3] = 0
        X[:, ::4] = 0
    if content == "one huge entry":
        X[-1, -1] = 1e6
    if beta <= 0:  # as factorize does: the loss of a zero would be infinite
        X = np.maximum(X, 1e-5 * max(X.max(), 1))
    X = X.astype(dtype)
    X.flags.writeable = False
    return X, rng.uniform(0.1, 1, (k, bins)).astype(dtype), rng.uniform(0.1, 1, (frames, k)).astype(dtype)


def run(kernels, name, X, Wt, Zt, beta, workers):
    """Return everything a kernel returns or changes."""
    Wt, Zt, measure = Wt.copy(), Zt.copy(), Beta(beta)
    if name == "hals_pass":
        plain = Zt / 2
        returned = (*kernels.hals_pass(X, Wt, Zt, 2, workers, (plain, 0.5)), plain)
    elif name == "mm_activations":
        returned = kernels.mm_activations(X, Wt, Zt, measure, 0.7, workers)
    elif name == "mm_pass":
        returned = kernels.mm_pass(X, Wt, Zt, measure, 0.7, workers, Wt)
    else:
        returned = getattr(kernels, name)(X, Wt, Zt, measure, workers)
    parts = returned if isinstance(returned, tuple) else () if returned is None else (np.asarray(returned),)
    return [Wt, Zt, *parts]


def assert_close(got, wanted, tolerance):
    for a, b in zip(got, wanted, strict=True):
        assert a.shape == b.shape
        assert np.isfinite(b).all()
        rounding = np.finfo(a.dtype).eps  # of the factors, which start between 0.1 and 1
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max() + rounding)


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr(blocked, "TILE", 64)  # tiles of 8 frames, so that all spans and a last short tile occur


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["divergence", "mm_activations", "mm_statistics", "mm_pass"])
@pytest.mark.parametrize("kernels", [Blocked(), Compiled()], ids=["blocked", "compiled"])
def test_fast_kernels_equal_reference(kernels, name, dtype, shape, content, small_tiles, workers):
    for beta in BETAS:
        given = problem(shape, content, dtype, beta)
        wanted = run(Kernels(), name, *given, beta, workers)
        assert_close(run(kernels, name, *given, beta, workers), wanted, TOLERANCE[dtype])


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernels", [Blocked(), Compiled()], ids=["blocked", "compiled"])
def test_fast_sweeps_equal_reference(kernels, dtype, shape, content, small_tiles, workers):
    given = problem(shape, content, dtype, 2)
    wanted = run(Kernels(), "hals_pass", *given, 2, workers)
    assert_close(run(kernels, "hals_pass", *given, 2, workers), wanted, TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("name", "beta"),
    [(name, beta) for name in ("divergence", "mm_activations", "mm_statistics", "mm_pass") for beta in (0, 1)]
    + [("divergence", 2), ("hals_pass", 2)],
)
def test_the_compiled_loops_do_their_work_themselves(name, beta, workers, monkeypatch):
    given = problem((33, 70, 5), "dense", np.float32, beta)
    wanted = run(Kernels(), name, *given, beta, workers)
    for other in ("divergence", "mm_pass", "hals_pass"):  # all that a subclass has of its own
        monkeypatch.setattr(Blocked, other, None)  # what they leave to it would fail
    assert_close(run(Compiled(), name, *given, beta, workers), wanted, TOLERANCE[np.float32])


@pytest.mark.parametrize("kernels", [Kernels(), Blocked(), Compiled()], ids=["reference", "blocked", "compiled"])
def test_hals_without_sweeps_leaves_activations(kernels, small_tiles, workers):
    X, Wt, Zt = problem((30, 9, 3), "dense", np.float64, 2)
    before = Zt.copy()
    P, G = kernels.hals_pass(X, Wt, Zt, 0, workers)
    np.testing.assert_array_equal(Zt, before)
    np.testing.assert_allclose(P, Zt.T @ X, rtol=1e-12)
    np.testing.assert_allclose(G, Zt.T @ Zt, rtol=1e-12)


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("name", ["divergence", "mm_activations", "mm_statistics", "mm_pass", "hals_pass"])
@pytest.mark.parametrize("kernels", [Blocked(), Compiled()], ids=["blocked", "compiled"])
def test_threads_do_not_change_a_bit(kernels, name, threads, small_tiles, workers):
    given = problem((203, 9, 3), "dense", np.float32, 2)
    with Workers(threads) as several:
        for beta in (2,) if name == "hals_pass" else (0, 1, 1.5, 2):
            alone = run(kernels, name, *given, beta, workers)
            together = run(kernels, name, *given, beta, several)
            for a, b in zip(alone, together, strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.long
@pytest.mark.parametrize("kernels", [Kernels(), Blocked(), Compiled()], ids=["reference", "blocked", "compiled"])
def test_exact_zeros_stay_and_positive_activations_stay_positive(kernels, small_tiles, workers):
    X, Wt, Zt = problem((40, 9, 3), "dense", np.float32, 1)
    X = np.where(np.arange(40)[:, None] < 5, np.float32(0), X)  # silence drives the first frames towards zero
    Zt[20:25, 1] = 0
    Zt[:5] = 1e-16
    kernels.mm_activations(X, Wt, Zt, Beta(1.0), 1.0, workers)
    assert not Zt[20:25, 1].any()
    assert (Zt[25:] > 0).all()
    assert np.isfinite(Zt).all()


@pytest.mark.parametrize("kernels", [Kernels(), Blocked(), Compiled()], ids=["reference", "blocked", "compiled"])
def test_small_positive_entries_are_kept_clear_of_denormals(kernels, small_tiles, workers):
    X, Wt, Zt = problem((40, 9, 3), "dense", np.float32, 1)
    Zt[:] = TINY
    # the model is EPS here, so that this X lowers every activation far below
    kernels.mm_activations(np.full_like(X, EPS / 100), Wt, Zt, Beta(1.0), 1.0, workers)
    np.testing.assert_array_equal(Zt, np.float32(TINY))


@pytest.mark.parametrize(("frames", "tile"), [(1, 8), (7, 8), (8, 8), (9, 8), (64, 8), (65, 8), (203, 8), (1000, 7)])
def test_spans_cover_every_frame_once_in_tiles_of_one_length(frames, tile):
    found = spans(frames, tile)
    assert len(found) <= SPANS
    # tiles start at multiples of one length, whichever span they are in
    length = found[0].step
    assert length <= tile
    assert [a for span in found for a in span] == list(range(0, frames, length))
    assert [span.stop for span in found] == [span.start for span in found[1:]] + [frames]


@pytest.mark.parametrize(("frames", "tile"), [(1025, 608), (862, 255), (5168, 255), (257, 1)])
def test_spans_are_even_so_that_threads_end_together(frames, tile):
    lengths = [span.stop - span.start for span in spans(frames, tile)]
    assert len(lengths) % 2 == 0
    assert min(lengths) > 0.75 * max(lengths)


def test_small_matrices_get_the_plain_kernels_and_large_ones_the_blocked():
    kl = Beta(1.0)
    assert choose(20, 30, 4, kl).__class__ is Kernels
    assert choose(1025, 400, 4, kl).__class__ is Blocked
    assert choose(1025, 1000, 4, kl, ONCE).__class__ is Blocked
    assert choose(1025, 100_000, 4, kl).__class__ is Compiled
    assert choose(1025, 100_000, 64, kl).__class__ is Blocked
    assert choose(1025, 100_000, 4, Beta(0.5)).__class__ is Blocked


def test_map_returns_results_in_order():
    with Workers(2) as workers:
        assert workers.map(lambda x: x * x, range(50)) == [x * x for x in range(50)]


def test_an_error_in_a_thread_is_raised():
    with Workers(2) as workers, pytest.raises(ZeroDivisionError):
        workers.map(lambda x: 1 // x, [1, 0, 2])


def test_a_buffer_has_the_shape_and_type_asked_for_whatever_was_held_before(workers):
    workers.buffer("a", (4, 5), np.float32)
    assert workers.buffer("a", (2, 3), np.float32).shape == (2, 3)
    assert workers.buffer("a", (6, 7), np.float64).shape == (6, 7)
    assert workers.buffer("a", (2, 2), np.float32).dtype == np.float32


@pytest.mark.parametrize("threads", [1, 3])
def test_work_ahead_comes_in_order_and_no_further_ahead_than_two_for_each_thread(threads):
    begun = []

    def square(n):
        begun.append(n)
        return n * n

    with Workers(threads) as workers:
        results = workers.ahead(square, iter(range(50)))
        assert next(results) == 0
        assert len(begun) <= 2 * threads + 1
        assert list(results) == [n * n for n in range(1, 50)]
        assert list(workers.ahead(square, [])) == []
