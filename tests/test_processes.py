"""A pool that loses nothing but what a dying process had in work."""

import itertools
import os
import signal
import time
from functools import partial

import pytest

from nmfsep.processes import Lost, Processes


@pytest.fixture(autouse=True)
def pipes_that_break_raise():
    """As Python has it, and the command line while it works: to import it alone makes them end the process."""
    before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGPIPE, before)


def square(number):
    return number * number


def die_once(number, folder):
    """Die at a multiple of three, the first time."""
    if number % 3 == 0:
        try:
            os.close(os.open(folder / str(number), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return number
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die(number):
    if number == 2:
        os._exit(3)
    return number


def refuse(number):
    raise ValueError(f"no {number}")


def span(number, folder):
    """Note when this began and ended."""
    began = time.monotonic()
    time.sleep(0.05)
    (folder / str(number)).write_text(f"{began} {time.monotonic()}")


def overlaps(folder):
    spans = sorted(tuple(map(float, file.read_text().split())) for file in folder.iterdir())
    return any(end > begin for (_, end), (begin, _) in itertools.pairwise(spans))


def test_every_result_comes_once_with_its_number():
    with Processes(2) as pool:
        assert sorted(pool.run(square, range(20))) == [(n, n * n) for n in range(20)]
        assert sorted(pool.run(square, [7])) == [(0, 49)]  # again
    assert pool.retried == set()


def test_items_whose_process_dies_once_are_done_at_the_second_try(tmp_path):
    with Processes(2) as pool:
        found = sorted(pool.run(partial(die_once, folder=tmp_path), range(7)))
    assert found == [(n, n) for n in range(7)]
    assert pool.retried == {0, 3, 6}


def test_an_item_whose_process_dies_twice_is_lost_and_no_other():
    with Processes(2) as pool:
        assert dict(pool.run(die, range(5))) == {0: 0, 1: 1, 2: Lost(3), 3: 3, 4: 4}


def test_what_a_function_raises_is_raised_here():
    with Processes(1) as pool, pytest.raises(ValueError, match="no 5"):
        list(pool.run(refuse, [5]))


@pytest.mark.parametrize(("budget", "together"), [(7, False), (8, True)])
def test_what_does_not_fit_into_the_budget_waits(tmp_path, budget, together):
    with Processes(2) as pool:
        list(pool.run(square, range(8)))  # both have begun
        list(pool.run(partial(span, folder=tmp_path), range(6), [4] * 6, budget))
    assert overlaps(tmp_path) is together


def test_what_takes_more_than_the_budget_runs_alone(tmp_path):
    with Processes(2) as pool:
        list(pool.run(partial(span, folder=tmp_path), range(3), [9, 9, 9], 5))
    assert len(list(tmp_path.iterdir())) == 3
    assert not overlaps(tmp_path)


def test_no_process_outlives_the_pool():
    with Processes(2) as pool:
        (_, first), (_, second) = pool.run(pid, [0, 1])
        next(pool.run(time.sleep, [60, 0]))  # one is in work when the pool ends
    for number in {first, second}:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)


def pid(number):
    time.sleep(0.2)  # so that both get one
    return os.getpid()
