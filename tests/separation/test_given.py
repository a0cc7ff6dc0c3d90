"""What the user gives reaches the method that is chosen, and only what grouping cannot do chooses another."""

import numpy as np
import pytest
import soundfile as sf

from nmfsep import Audio, learn, separate
from nmfsep.errors import UsageError
from nmfsep.grouping.atoms import find, method_note, most_atoms
from nmfsep.grouping.choice import may_group
from nmfsep.guidance.cue import Context
from nmfsep.guidance.dictionary import Dictionaries
from nmfsep.guidance.excerpt_cue import Excerpts
from nmfsep.guidance.guide import Guide
from nmfsep.guidance.label_cue import Labels, Region
from nmfsep.separation import pipeline
from nmfsep.separation.fit import resolved
from nmfsep.separation.mixture import all_frames
from nmfsep.separation.obstacles import obstacle
from nmfsep.settings.separation import Settings
from nmfsep.signal.read import Source
from nmfsep.signal.stft import STFT
from nmfsep.signal.stream import Stream

RATE = 8000
OPTIONS = {
    "max_iter": 3, "tol": 0.5, "time_limit": 1e-9, "sparsity": 2.0, "smoothness": 2.0, "seed": 1, "restarts": 3,
}  # fmt: skip
METHODS = {
    "one component": {"atoms": 1, "start": "random"},
    "timbre": {"grouping": "timbre", "atoms": 2, "restarts": 2},
    "foreground": {"grouping": "foreground", "atoms": 3},
    "voice": {"preset": "voice"},
    "noise": {"preset": "noise"},
    "drums": {"preset": "drums"},
}
UNKNOWN = {"drums": {"sparsity", "smoothness", "restarts", "seed"}}  # refused, or of what there is nothing random


@pytest.fixture(scope="module")
def sound() -> Audio:
    """Return two and a half seconds of tones and clicks that come and go."""
    rng = np.random.default_rng(1)
    t = np.arange(5 * RATE // 2) / RATE
    tones = sum(
        np.sin(2 * np.pi * f * t) * (np.sin(2 * np.pi * s * t) > 0) for f, s in ((220, 1), (330, 1.7), (900, 3))
    )
    noise = rng.standard_normal(len(t)) * (np.arange(len(t)) % 2000 < 300)
    return Audio((0.1 * (tones + noise))[None].astype(np.float32), RATE)


@pytest.fixture(scope="module")
def plain(sound) -> dict[str, np.ndarray]:
    """Return the stems of each method without any option."""
    return {name: separate(sound, n_fft=256, threads=1, **own).samples for name, own in METHODS.items()}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("method", METHODS)
def test_every_option_reaches_every_method(sound, plain, method, option):
    own = {"n_fft": 256, "threads": 1, **METHODS[method]}
    if option in UNKNOWN.get(method, ()):
        if option != "seed":
            with pytest.raises(UsageError, match=f"--preset drums decides about --{option}"):
                separate(sound, **own, **{option: OPTIONS[option]})
        return
    asked = separate(sound, **{**own, option: OPTIONS[option]})
    assert asked.samples.shape == plain[method].shape
    assert not np.array_equal(asked.samples, plain[method])
    np.testing.assert_allclose(asked.samples.sum(axis=0), sound.samples, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_time_limit_that_is_not_reached_changes_no_bit(sound, plain, method):
    limited = separate(sound, n_fft=256, threads=1, time_limit=600.0, **METHODS[method])
    np.testing.assert_array_equal(plain[method], limited.samples)


def test_none_of_them_decides_the_method(sound):
    stft = STFT(256)
    X = all_frames(sound.samples, stft, 1).Xt.T
    choices = set()
    limits = {name: value for name, value in OPTIONS.items() if name not in ("seed", "smoothness")}
    for given in ({}, limits, {"smoothness": 2.0, "divergence": "kl"}):
        settings = Settings(threads=1, n_fft=256, given=given, **given)
        assert most_atoms(settings) > 0
        assert method_note(settings) is None
        choices.add(str(find(X, stft, RATE, settings)[0]))
    assert len(choices) == 1


@pytest.mark.parametrize(
    ("asked", "option"),
    [
        ({"solver": "mu"}, "--solver mu"),
        ({"start": "random"}, "--start random"),
        ({"divergence": "frobenius"}, "--divergence frobenius"),
        ({"divergence": 0.5}, "--divergence 0.5"),
        ({"model": "nmf"}, "--model nmf"),  # a default, but given: the plain factorization of that name
        ({"model": "deep", "levels": (4, 2)}, "--model deep"),
        ({"channels": "independent"}, "--channels independent"),
        ({"components": 13}, "-k 13"),
        ({"atoms": 1}, None),  # which asks for just that
        ({"components": 1}, None),
        ({"preset": "voice"}, None),
        ({"solver": "auto", "start": "auto"}, None),  # leave it open
        ({"divergence": 1.0}, None),
        ({"divergence": "kullback-leibler"}, None),
    ],
    ids=str,
)
def test_what_grouping_cannot_do_is_one_component_a_stem_and_named(asked, option):
    settings = Settings(given=asked, **asked)
    if option is None:
        assert method_note(settings) is None
    else:
        assert most_atoms(settings) == 0
        assert (method_note(settings) or "").startswith(option)
        assert (method_note(settings) or "").endswith("one component a stem, not groups of atoms")


def test_a_default_that_is_given_holds_where_another_would_suit(sound):
    given = separate(sound, 2, grouping="timbre", atoms=2, max_iter=200, threads=1)
    left = separate(sound, 2, grouping="timbre", atoms=2, threads=1)
    assert (given.fits[0].n_iter, left.fits[0].n_iter) == (200, 60)
    assert Settings(max_iter=200, given={"max_iter"}).asked(("max_iter", "tol")) == {"max_iter": 200}
    assert Settings(max_iter=200).asked(("max_iter", "tol")) == {}
    assert Settings(solver="auto", given={"solver"}).asked(("solver",)) == {}
    deep = Settings(model="kmeans", tol=1e-4, given={"tol"})
    assert resolved(deep)["tol"] == 1e-4  # for which k-means has 1e-6 by itself
    assert resolved(Settings(model="kmeans"))["tol"] == 1e-6


def test_the_manifest_tells_the_options_of_either_fit():
    assert resolved(Settings())["atoms_fit"] == {"max_iter": 60, "tol": 0.0}
    assert resolved(Settings(max_iter=200, given=("max_iter",)))["atoms_fit"] == {"max_iter": 200, "tol": 0.0}
    assert resolved(Settings(solver="mu"))["atoms_fit"] is None
    assert resolved(Settings(), guided=True)["atoms_fit"] is None
    assert "given" not in resolved(Settings())
    assert not may_group(Settings(solver="mu"))


def test_how_a_fit_of_atoms_ended_is_told(sound):
    fit = pipeline.separate(sound, Settings(grouping="timbre", atoms=2, max_iter=500, tol=0.01, threads=1))[0].fits[0]
    assert fit.converged
    assert 10 <= fit.n_iter < 500


def test_fits_that_go_before_that_of_the_mixture_take_no_more_iterations_than_are_given(sound):
    regions = (Region("a", 0.0, 1.0, 0.0, np.inf),)
    for cue in (Excerpts({"a": [(0.0, 1.0)]}), Labels(regions)):
        found = []
        for given in ({}, {"max_iter": 1}, {"max_iter": 5000}):
            context = Context(sound, 0.0, Settings(threads=1, given=given, **given))
            found.append(cue.propose(context, [STFT(256)], ("a",))[0][0].W)
        assert not np.allclose(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])


def test_a_solver_is_refused_where_strokes_have_one_of_their_own(sound):
    kit = Dictionaries((learn({"a": sound}, components="2", template_frames=3, n_fft=256, max_iter=2),))
    with pytest.raises(UsageError, match="leave out --solver"):
        Guide((kit,), {"solver": "mu", "free": 2}).settings()
    assert Guide((kit,), {"solver": "auto", "free": 2}).settings().free == 2


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_reaches_groups_of_atoms_of_a_sound_that_stays_on_disk(sound, tmp_path, option):
    path, own = tmp_path / "sound.wav", {"n_fft": 256, "threads": 1, **METHODS["timbre"]}
    sf.write(path, sound.samples.T, RATE, "FLOAT")
    if option == "smoothness":
        assert obstacle(Settings(smoothness=1.0)) == "smoothness couples all frames"
        return
    with Source(path) as source:
        found = []
        for more in ({}, {option: OPTIONS[option]}, {"time_limit": 600.0}):
            stream = Stream(source, 0.0, None)
            separation = pipeline.separate(stream, Settings(**{**own, **more}))[0]
            assert separation.choice.grouping == "timbre"
            found.append(np.concatenate(list(pipeline.render(separation, stream)), axis=-1))
    assert not np.array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
