"""Threads take item after item, and none of them waits for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from nmfsep.kernels.threads import Workers
from nmfsep.system import BLAS_VARIABLES


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_order_whoever_was_first(threads: int):
    def late(item: int) -> int:
        time.sleep(0.001 * (7 - item))
        return item * item

    with Workers(threads) as workers:
        assert workers.map(late, range(7)) == [item * item for item in range(7)]
        assert workers.map(late, []) == []


def test_several_threads_work_and_the_caller_is_one_of_them():
    meeting = threading.Barrier(3, timeout=10)  # which no two threads could pass

    def meet(_: int) -> int:
        meeting.wait()
        return threading.get_ident()

    with Workers(3) as workers:
        assert threading.get_ident() in (who := set(workers.map(meet, range(3))))
        assert len(who) == 3


@pytest.mark.parametrize("bad", [0, 4, 9])
def test_an_error_is_raised_and_what_has_not_begun_is_left(bad: int):
    begun: list[int] = []

    def fail(item: int) -> None:
        begun.append(item)
        if item == bad:
            raise IndexError(item)
        time.sleep(0.01)

    with Workers(2) as workers, pytest.raises(IndexError, match=str(bad)):
        workers.map(fail, range(10))
    assert len(begun) <= bad + 2


def test_a_map_within_a_map_does_not_wait_for_itself():
    with Workers(2) as workers:

        def inner(item: int) -> int:
            return sum(workers.map(lambda other: item * other, range(4)))

        assert workers.map(inner, range(6)) == [6 * item for item in range(6)]


def test_blas_has_one_thread_though_it_was_loaded_before_the_command_line_asked_for_it():
    script = """
import numpy
from threadpoolctl import threadpool_info
from nmfsep.cli.options import one_thread_of_blas
from nmfsep.kernels.threads import Workers

one_thread_of_blas()
with Workers(2):
    print(*{library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"})
"""
    env = {name: value for name, value in os.environ.items() if name not in BLAS_VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.stdout == "1\n"
