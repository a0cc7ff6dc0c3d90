"""Which estimate is held against which stem."""

import numpy as np
import pytest

from nmfsep.analysis.evaluate import pair
from nmfsep.errors import UsageError

SDR = np.array([[1.0, 9.0, 8.0], [0.0, 8.5, 2.0]])


def test_the_best_assignment_has_the_largest_sum_not_the_largest_figure():
    assert pair("ab", "xyz", SDR) == ("best", [2, 1])


def test_names_decide_where_every_stem_has_one():
    assert pair("ab", "xba", SDR) == ("name", [2, 1])
    assert pair("ab", "axb", SDR) == ("name", [0, 2])
    assert pair("ab", "axb", SDR, "best") == ("best", [2, 1])


def test_names_do_not_decide_where_one_is_missing_unless_asked():
    assert pair("ab", "axy", SDR) == ("best", [2, 1])
    assert pair("ab", "axy", SDR, "name") == ("name", [0, None])


def test_no_name_in_common_is_refused():
    with pytest.raises(UsageError, match="no estimate has the name of a true stem; use --match best"):
        pair("ab", "xyz", SDR, "name")


def test_too_few_estimates_leave_stems_without():
    assert pair("abc", "xy", SDR.T) == ("best", [None, 1, 0])


def test_silence_is_chosen_last():
    sdr = np.array([[np.nan, -90.0, -95.0], [np.nan, -50.0, -60.0]])
    assert pair("ab", "xyz", sdr)[1] == [1, 2] or pair("ab", "xyz", sdr)[1] == [2, 1]
    assert 0 not in pair("ab", "xyz", sdr)[1]
    sdr = np.array([[np.nan, np.nan], [3.0, 5.0]])  # a silent stem must not take the best estimate
    assert pair("ab", "xy", sdr)[1] == [0, 1]
