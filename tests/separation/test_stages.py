"""How far a work of several stages is told to be."""

import pytest

from nmfsep import progress as stages
from nmfsep.progress import ITERATIONS, START, Stages, converging


def test_what_is_told_is_the_share_of_the_time_whatever_was_expected(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(stages.time, "monotonic", lambda: now[0])
    told = []
    work = Stages([1.0, 1.0, 0.5], lambda step, loss: told.append(step), 100, lead=2.0)
    for stage, seconds in enumerate((2.0, 8.0)):  # of which the same was expected
        for part in range(1, 11):
            now[0] += seconds / 10
            work.at(stage, part / 10)
    assert told == sorted(told)
    assert told[9] == pytest.approx(100 * 4 / 7)  # 2 and 2 seconds gone by, 2 and 1 to come, by what is known
    assert told[14] == pytest.approx(100 * 8 / (8 + 4 + 6 / 2 / 2), rel=0.05)
    assert 80 < told[-1] < 90  # the last stage tells nothing


def test_convergence_is_told_from_how_gains_shrink():
    tol, losses = 1e-4, [(10, 10.0)]
    for number in range(2, 31):
        losses.append((10 * number, losses[-1][1] - 0.75**number))
    enough = tol * START * losses[0][1]  # to be gained in ten iterations
    last = next(at for (at, loss), (_, before) in zip(losses[1:], losses, strict=False) if before - loss <= enough)
    assert 100 < last < 200
    for count in (3, 5, 8):
        assert abs(converging(losses[:count], tol, 500) - last) <= 10
    assert converging(losses, tol, 500) == losses[-1][0]
    assert converging(losses[:5], tol, 100) == 100
    assert converging(losses[:2], tol, 500) == ITERATIONS
    assert converging(losses, 0, 500) == 500
