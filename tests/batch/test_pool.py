"""A pool that loses nothing but what a dying process had in work."""

import os
import signal
import time
from functools import partial

import pytest

from nmfsep.batch.pool import Lost, Processes


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


def die_or_watch(number, folder):
    """Die at 0, the first time; return whether nothing else was in work the second time. 7 takes long."""
    mine = folder / f"busy-{number}"
    mine.touch()
    if number == 0 and not (folder / "died").exists():
        (folder / "died").touch()
        mine.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    before = set(folder.glob("busy-*"))
    time.sleep(2 if number == 7 else 0.05)
    after = set(folder.glob("busy-*"))
    mine.unlink()
    return number > 0 or before | after == {mine}


def die(number):
    if number == 2:
        os._exit(3)
    return number


def refuse(number):
    raise ValueError(f"no {number}")


def meets(number, folder):
    """Wait until another item has begun; return whether one has."""
    (folder / str(number)).touch()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if len(list(folder.iterdir())) > 1:
            return True
        time.sleep(0.005)
    return False


def alone(number, folder):
    """Return whether no other item was in work in the meantime."""
    try:
        (folder / "busy").mkdir()
    except FileExistsError:
        return False
    time.sleep(0.05)
    (folder / "busy").rmdir()
    return True


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


@pytest.mark.faults
def test_an_item_whose_process_dies_twice_is_lost_and_no_other():
    with Processes(2) as pool:
        assert dict(pool.run(die, range(5))) == {0: 0, 1: 1, 2: Lost(3), 3: 3, 4: 4}


def test_an_item_of_a_later_run_has_a_second_try_of_its_own(tmp_path):
    with Processes(1) as pool:
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            assert sorted(pool.run(partial(die_once, folder=tmp_path / name), range(2))) == [(0, 0), (1, 1)]
            assert pool.retried == {0}


def test_what_a_function_raises_is_raised_here():
    with Processes(1) as pool, pytest.raises(ValueError, match="no 5"):
        list(pool.run(refuse, [5]))


def test_what_fits_into_the_budget_is_done_together(tmp_path):
    with Processes(2) as pool:
        assert all(dict(pool.run(partial(meets, folder=tmp_path), range(6), [4] * 6, 8)).values())


@pytest.mark.parametrize(("cost", "budget"), [(4, 7), (9, 5)])
def test_what_does_not_fit_into_the_budget_waits(tmp_path, cost, budget):
    with Processes(2) as pool:
        list(pool.run(partial(meets, folder=tmp_path), range(2)))  # both have begun
        assert all(dict(pool.run(partial(alone, folder=tmp_path), range(6), [cost] * 6, budget)).values())


def test_an_item_whose_process_died_is_tried_again_with_nothing_beside_it(tmp_path):
    with Processes(2) as pool:
        assert all(dict(pool.run(partial(die_or_watch, folder=tmp_path), range(8))).values())
    assert pool.retried == {0}


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
