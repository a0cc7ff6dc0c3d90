"""Kinds of JSON values: what each takes and refuses."""

import re

import pytest

from nmfsep.files.json_fields import matches

FRAMES = {"n_fft": range(1, 9), "window": {"hann", "hamming"}, "delays?": int}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("a", str),
        (True, bool),
        (3, int),
        (3, float),
        (0.5, float),
        (None, (str, None)),
        ("a", (str, None)),
        (8, range(1, 9)),
        ("hann", {"hann"}),
        ([], [str]),
        (["a", "b"], [str]),
        ({}, {str: int}),
        ({"a": 1}, {str: int}),
        ({"a": [1]}, dict),
        ("0f", re.compile("[0-9a-f]+")),
        ({"n_fft": 4, "window": "hann"}, FRAMES),
        ({"n_fft": 4, "window": "hann", "delays": 2, "others": "are left alone"}, FRAMES),
    ],
)
def test_what_is_of_a_kind_matches(value, kind):
    assert matches(value, kind)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (1, str),
        (True, int),
        (True, float),
        (1, bool),
        (2.0, int),
        (float("nan"), float),
        (float("inf"), float),
        (10**400, float),
        (3, (str, None)),
        (9, range(1, 9)),
        (True, range(1, 9)),
        (2.0, range(1, 9)),
        ("kaiser", {"hann"}),
        ([], {"hann"}),
        ("ab", [str]),
        (["a", 1], [str]),
        ({"a": "1"}, {str: int}),
        ([1], {str: int}),
        ("0fx", re.compile("[0-9a-f]+")),
        (None, FRAMES),
        ([], FRAMES),
        ({"n_fft": 0, "window": "hann"}, FRAMES),
        ({"n_fft": 4, "window": "hann", "delays": "2"}, FRAMES),
    ],
)
def test_what_is_of_another_kind_does_not(value, kind):
    assert not matches(value, kind)


def test_a_field_that_is_missing_is_an_error_of_its_own():
    with pytest.raises(KeyError, match="window"):
        matches({"n_fft": 4}, FRAMES)
