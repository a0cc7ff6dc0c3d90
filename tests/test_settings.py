import dataclasses

import pytest

from nmfsep.errors import UsageError
from nmfsep.registry import Registry
from nmfsep.settings.commands import FactorizeSettings, LearnSettings, OutputSettings
from nmfsep.settings.fields import WINDOWS
from nmfsep.settings.separation import Settings
from nmfsep.signal.stft import STFT

KINDS = (Settings, OutputSettings, LearnSettings, FactorizeSettings)
SETTINGS = [setting for kind in KINDS for setting in dataclasses.fields(kind)]
NAMED = [
    (Settings, "divergence"),
    (Settings, "solver"),
    (Settings, "start"),
    (Settings, "window"),
    (Settings, "channels"),
    (Settings, "mask"),
    (OutputSettings, "format"),
    (OutputSettings, "clip_mode"),
    (LearnSettings, "divergence"),
    (LearnSettings, "window"),
    (FactorizeSettings, "model"),
    (FactorizeSettings, "free"),
]
BOUNDED = [
    (kind, setting.name, setting.metadata["low"], setting.metadata["high"])
    for kind in KINDS
    for setting in dataclasses.fields(kind)
    if setting.metadata["low"] is not None
]
NUMBERS = [(kind, name) for kind, name, _, _ in BOUNDED]


def settings_of(kind, name, value):
    # a hop of the largest size needs a frame of twice that
    if name == "level":  # of as many levels as that takes
        return kind(levels=tuple(range(100, 0, -1)), level=value)
    return kind(n_fft=2**20, hop_length=value) if name == "hop_length" else kind(**{name: value})


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_says_what_it_does_in_a_sentence(setting):
    assert setting.metadata["summary"][0].isupper()
    assert setting.metadata["summary"].endswith(".")


@pytest.mark.parametrize(("kind", "name", "low", "high"), BOUNDED, ids=lambda value: str(value)[:20])
def test_both_ends_of_every_range_are_in_it(kind, name, low, high):
    if (name, low) != ("duration", 0):  # the one open end
        assert getattr(settings_of(kind, name, low), name) == low
    if high is not None:
        assert getattr(settings_of(kind, name, high), name) == high


@pytest.mark.parametrize(("kind", "name", "low", "high"), BOUNDED, ids=lambda value: str(value)[:20])
def test_values_beyond_either_end_are_refused(kind, name, low, high):
    beyond = [low - 1] if high is None else [low - 1, high * 2 + 2]
    for value in beyond:
        with pytest.raises(UsageError, match=f"{name} must be at least"):
            settings_of(kind, name, value)


@pytest.mark.parametrize(("kind", "name"), [*NUMBERS, (Settings, "divergence")])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_refused(kind, name, value):
    with pytest.raises(UsageError, match=f"{name} must be a finite number"):
        kind(**{name: value})


@pytest.mark.parametrize("name", ["seed", "components", "max_iter"])
def test_integers_beyond_any_double_are_refused(name):
    with pytest.raises(UsageError, match=f"{name} must be at least"):
        Settings(**{name: 10**400})


@pytest.mark.parametrize(("kind", "name"), NAMED)
def test_unknown_names_are_refused_and_known_ones_listed_or_guessed(kind, name):
    with pytest.raises(UsageError, match=f"{name.partition('_')[0]}.* 'zzz' is unknown; choose from"):
        kind(**{name: "zzz"})


@pytest.mark.parametrize(("kind", "name"), NAMED)
def test_every_known_name_is_accepted(kind, name):
    names = kind.__dataclass_fields__[name].metadata["names"]
    for value in [*names, *(names.aliases if isinstance(names, Registry) else ())]:
        found = names.resolve(value) if isinstance(names, Registry) else value
        assert getattr(kind(**{name: value}), name) == found
        if isinstance(names, Registry):  # in any case
            assert getattr(kind(**{name: value.upper()}), name) == found


@pytest.mark.parametrize(("name", "automatic"), [("solver", True), ("start", True), ("mask", False), ("window", False)])
def test_auto_is_a_name_only_where_it_is_the_default(name, automatic):
    if automatic:
        assert getattr(Settings(**{name: "auto"}), name) == "auto"
    else:
        with pytest.raises(UsageError, match="'auto' is unknown"):
            Settings(**{name: "auto"})


@pytest.mark.parametrize(
    ("wrong", "right"),
    [({"divergence": "frobenus"}, "frobenius"), ({"window": "han"}, "hann"), ({"channels": "join"}, "joint")],
)
def test_a_mistyped_name_is_answered_with_the_nearest(wrong, right):
    with pytest.raises(UsageError, match=f"did you mean '{right}'"):
        Settings(**wrong)


@pytest.mark.parametrize("beta", [2, 1, 0, 0.5, -1.0, 3.7])
def test_any_finite_beta_is_a_divergence(beta):
    assert Settings(divergence=beta).divergence == beta


@pytest.mark.parametrize("n_fft", [5, 2047])
def test_odd_frames_are_refused(n_fft):
    with pytest.raises(UsageError, match=f"n_fft must be even, not {n_fft}"):
        Settings(n_fft=n_fft)


def test_frames_must_overlap_by_half():
    assert Settings(n_fft=1024, hop_length=512).frames(44100) == (1024, 512)
    with pytest.raises(UsageError, match="hop_length 513 is more than half of n_fft 1024"):
        Settings(n_fft=1024, hop_length=513)


@pytest.mark.parametrize("n_fft", [4, 6, 2048])
def test_the_default_hop_is_a_quarter_of_a_frame_and_the_transforms(n_fft):
    assert Settings(n_fft=n_fft).frames(44100) == (n_fft, n_fft // 4) == (n_fft, STFT(n_fft).hop_length)


@pytest.mark.parametrize("window", list(WINDOWS))
@pytest.mark.parametrize("hop", [1, 31, 32])
def test_every_window_offered_can_be_inverted(window, hop):
    assert STFT(64, hop, Settings(window=window).window).window == window


@pytest.mark.parametrize("kind", KINDS)
def test_settings_cannot_be_changed_or_given_by_position(kind):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(kind(), dataclasses.fields(kind)[0].name, 3)
    with pytest.raises(TypeError):
        kind(3)


def test_a_duration_of_nothing_is_refused():
    assert OutputSettings(duration=1e-9).duration == 1e-9
    with pytest.raises(UsageError, match="duration of 0"):
        OutputSettings(duration=0)


def test_unknown_settings_are_refused():
    with pytest.raises(TypeError, match="component"):
        Settings(component=3)


@pytest.mark.parametrize("mask", ["wiener", "binary"])
def test_a_power_that_the_mask_would_ignore_is_refused(mask):
    with pytest.raises(UsageError, match="no power"):
        Settings(components=2, mask=mask, mask_power=2.0)


@pytest.mark.parametrize(
    ("components", "counts"),
    [
        ("auto", {}),
        ("8", {None: 8}),
        ("kick=4,snare=8", {"kick": 4, "snare": 8}),
        ("3,kick=4", {None: 3, "kick": 4}),
        ("a=b=4", {"a=b": 4}),
        ("naïve=1", {"naïve": 1}),
        ("999999", {None: 999_999}),
    ],
)
def test_templates_are_counted_for_all_labels_or_each(components, counts):
    assert LearnSettings(components=components).counts() == counts


@pytest.mark.parametrize(
    "components",
    ["", "0", "-1", "kick=0", "kick=", "=4", "kick", "4,5", "kick=4,kick=5", "4.5", "1_000", "４", "kick=4,", "nan",
     " 4", "4\n", "1000000", "auto,kick=4"],
)  # fmt: skip
def test_numbers_of_templates_that_are_none_are_refused(components):
    with pytest.raises(UsageError, match="components"):
        LearnSettings(components=components)


def test_a_hop_alone_says_nothing_of_learning():
    with pytest.raises(UsageError, match="--hop-length needs --n-fft"):
        LearnSettings(hop_length=64)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_know_what_was_given_also_at_its_default(kind):
    name = next(setting.name for setting in dataclasses.fields(kind) if setting.metadata["section"])
    default = kind.__dataclass_fields__[name].default
    assert kind().given == frozenset()
    found = kind(**{name: default}, given=[name])
    assert found.given == {name}
    assert name in found.asked([name]) or default in (None, "auto")
    assert found.values() == kind().values()


def test_what_exemplars_leave_without_meaning_is_refused_where_it_was_given():
    assert LearnSettings(exemplars=True, max_iter=60).exemplars
    with pytest.raises(UsageError, match="--exemplars fits nothing, so --max-iter means nothing"):
        LearnSettings(exemplars=True, max_iter=60, given=["max_iter"])
