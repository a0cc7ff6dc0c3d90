import numpy as np
import pytest

from nmfsep.api import separate
from nmfsep.errors import UsageError
from nmfsep.separation.arrange import arrange, parse
from nmfsep.settings.separation import Settings
from nmfsep.signal.audio import Audio

FIVE = tuple(f"component-{index}" for index in range(1, 6))


def stems(*group, components=5, labels=(), **settings):
    return arrange(Settings(components=components, group=group, **settings), labels)


def test_without_groups_each_component_is_a_stem():
    found = stems(components=2)
    assert (found.names, found.members) == (("component-1", "component-2"), ((0,), (1,)))


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("a=1", (0,)),
        ("a=3,1", (0, 2)),
        ("a=2-4", (1, 2, 3)),
        ("a=5,1-2", (0, 1, 4)),
        ("a=3-3", (2,)),
        ("a=component-2,4", (1, 3)),
        ("a=rest", (0, 1, 2, 3, 4)),
        ("a=2,rest", (0, 1, 2, 3, 4)),
        ("a=b=1", None),
    ],
)
def test_members_are_numbers_ranges_and_names(text, members):
    if members is None:
        with pytest.raises(UsageError, match="'b=1' is no stem"):
            parse([text], FIVE)
    else:
        assert parse([text], FIVE) == {"a": members}


def test_groups_come_first_in_their_order_then_what_is_in_none_then_the_residual():
    found = stems("b=4,2", "a=5", residual="left")
    assert found.names == ("b", "a", "component-1", "component-3", "left")
    assert found.members == ((1, 3), (4,), (0,), (2,))


def test_the_rest_is_what_no_other_group_has_wherever_it_stands():
    assert stems("all=rest", "a=2").members == ((0, 2, 3, 4), (1,))


def test_labels_are_grouped_by_name_or_by_number():
    labels = ("kick", "snare", "808", "rest")
    found = stems("low=808,1", "b=rest", components=4, labels=labels)
    assert found.names == ("low", "b", "snare")  # a label of the name goes before the word and the number
    assert found.members == ((0, 2), (3,), (1,))


def test_free_templates_are_one_more_that_can_be_grouped_and_belong_to_the_rest():
    found = stems("drums=1-2", "other=rest", components=3, labels=("a", "b", "c"), free=4, residual="residual")
    assert (found.names, found.members) == (("drums", "other"), ((0, 1), (2, 3)))


def test_a_group_may_have_the_name_of_what_it_takes():
    assert stems("component-1=1,2").names == ("component-1", "component-3", "component-4", "component-5")


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["voice"], "'voice' is not NAME=MEMBERS; give such as voice=1,3-5"),
        (["voice="], "is not NAME=MEMBERS"),
        (["=1"], "cannot be the name of a stem"),
        (["a/b=1"], "cannot be the name of a stem"),
        (["..=1"], "cannot be the name of a stem"),
        (["a=1,"], "'' is no stem"),
        (["a=0"], "there is no stem 0; they are numbered from 1 to 5"),
        (["a=6"], "there is no stem 6"),
        (["a=1-999999999"], "there is no stem 999999999"),
        (["a=4-2"], "4-2 goes backwards; write 2-4"),
        (["a=1_0"], "'1_0' is no stem"),
        (["a=\N{ARABIC-INDIC DIGIT ONE}"], "is no stem"),
        (["a=componet-2"], "did you mean 'component-2'"),
        (["a=1,1"], "'component-1' is twice in 'a'"),
        (["a=1-3", "b=3"], "'component-3' is in 'a' and in 'b'"),
        (["a=1", "a=2"], "names 'a' twice"),
        (["a=rest", "b=rest"], "both take the rest"),
        (["a=1-5", "b=rest"], "nothing is left"),
        (["component-2=1"], "component-2 is the name of a stem that is not in it"),
    ],
)
def test_what_makes_no_sense_is_answered(groups, message):
    with pytest.raises(UsageError) as caught:
        stems(*groups)
    assert message in str(caught.value)


def test_a_group_named_like_the_residual_is_refused():
    with pytest.raises(UsageError, match="--residual rest is the name of another stem"):
        stems("rest=1", residual="rest")
    with pytest.raises(UsageError, match="--residual b is the name of another stem"):
        stems("all=rest", components=2, labels=("a", "b"), free=3, residual="b")


@pytest.mark.parametrize("channels", ["joint", "independent", "mid"])
def test_a_group_is_the_sum_of_its_components_where_the_mask_is_linear(channels):
    samples = np.random.default_rng(0).standard_normal((2, 4000)).astype(np.float32)
    options = {"n_fft": 256, "max_iter": 5, "channels": channels, "residual": "left", "mask": "ratio"}
    alone = separate(Audio(samples, 8000), 4, **options)
    grouped = separate(Audio(samples, 8000), 4, group=("b=2,4",), **options)
    assert grouped.names == ("b", "component-1", "component-3", "left")
    np.testing.assert_allclose(grouped.samples[0], alone.samples[1] + alone.samples[3], atol=1e-5)
    np.testing.assert_allclose(grouped.samples.sum(axis=0), samples, atol=1e-5)
    assert not np.allclose(grouped.samples[1], grouped.samples[2], atol=1e-2)
