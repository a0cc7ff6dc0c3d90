"""Templates from isolated sounds, whatever the order, number and level of the files."""

import hashlib
import itertools
import tracemalloc

import numpy as np
import pytest

from nmfsep.errors import UsageError
from nmfsep.guidance import learn as learning, learn as sounding
from nmfsep.guidance.learn import ActiveFrames, Sound, frames_for, learn
from nmfsep.kernels.threads import Workers
from nmfsep.settings.commands import LearnSettings
from nmfsep.signal.stft import STFT

RATE = 8000
STFTS = [STFT(64), STFT(256)]


def tone(hertz, seconds=0.5, level=0.5, seed=None):
    t = np.arange(int(seconds * RATE)) / RATE
    hiss = 0.02 * np.random.default_rng(int(hertz) if seed is None else seed).standard_normal(len(t))
    return (level * (np.sin(2 * np.pi * hertz * t) + hiss)).astype(np.float32)


def sound(samples, key=None):
    return Sound(key or hashlib.sha256(samples.tobytes()).hexdigest(), lambda: samples)


def sounds(*tones, seconds=0.5):
    return [Sound(f"key{hertz}", lambda hertz=hertz: tone(hertz, seconds)) for hertz in tones]


def teach(sounds, stfts=STFTS, **settings):
    return learn(sounds, RATE, LearnSettings(**({"threads": 1, "components": "3"} | settings)), stfts=stfts)


def assert_same(first, second):
    assert first.labels == second.labels
    for one, other in zip(first.views, second.views, strict=True):
        np.testing.assert_array_equal(one.W, other.W)
        np.testing.assert_array_equal(one.owners, other.owners)


def peaks(view, label=0):
    """Frequency of the largest entry of each template, in hertz."""
    return view.W[:, view.columns(label)].argmax(axis=0) * RATE / view.stft.n_fft


@pytest.fixture
def small(monkeypatch):
    """Let so few magnitudes fit into memory that passes over all frames are needed."""
    monkeypatch.setattr(learning, "KEPT", 129 * 40)


def test_templates_are_where_the_sounds_are():
    kit = teach({"low": sounds(500), "high": sounds(2000, 3000)}, components="2")
    assert kit.labels == ("low", "high")
    assert kit.sample_rate == RATE
    for view in kit.views:
        assert peaks(view, 0) == pytest.approx([500, 500], abs=RATE / view.stft.n_fft)
        assert sorted(peaks(view, 1)) == pytest.approx([2000, 3000], abs=RATE / view.stft.n_fft)
        np.testing.assert_allclose(np.linalg.norm(view.W, axis=0), 1, rtol=1e-5)
        assert view.W.min() > 0


@pytest.mark.parametrize("kept", [129 * 40, 1 << 24])
def test_the_order_of_the_files_does_not_matter(kept, monkeypatch):
    monkeypatch.setattr(learning, "KEPT", kept)
    files = sounds(500, 900, 1400, 2100)
    first = teach({"all": files})
    for order in itertools.islice(itertools.permutations(files), 1, 24, 7):
        assert_same(teach({"all": order}), first)


@pytest.mark.parametrize("kept", [129 * 40, 1 << 24])
@pytest.mark.parametrize("settings", [{}, {"components": "auto"}, {"exemplars": True}, {"divergence": "is"}])
def test_threads_change_no_bit(kept, settings, monkeypatch):
    monkeypatch.setattr(learning, "KEPT", kept)
    files = {"all": sounds(500, 900)}
    assert_same(teach(files, threads=2, **settings), teach(files, threads=1, **settings))


def test_other_labels_change_nothing():
    low, high = sounds(500), sounds(2000, 3000)
    both = teach({"low": low, "high": high})
    assert_same(both, teach({"low": low}).append(teach({"high": high})))


def test_the_seed_decides():
    files = {"all": sounds(500, 900)}
    assert_same(teach(files, seed=1), teach(files, seed=1))
    assert not np.array_equal(teach(files, seed=1).views[0].W, teach(files, seed=2).views[0].W)


@pytest.mark.parametrize(
    ("components", "counts"),
    [("4", (4, 4)), ("low=2", (2, None)), ("low=2,high=5", (2, 5)), ("3,high=7", (3, 7)), ("auto", (None, None))],
)
def test_each_label_has_the_templates_asked_for(components, counts):
    kit = teach({"low": sounds(500), "high": sounds(2000, 3000)}, components=components)
    auto = teach({"low": sounds(500), "high": sounds(2000, 3000)}, components="auto")
    for label, count in enumerate(counts):
        assert kit.components(label) == (auto.components(label) if count is None else (count, count))


def test_more_varied_sounds_get_more_templates_by_themselves():
    hiss = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    kit = teach({"tone": sounds(500), "hiss": [sound(hiss)]}, components="auto")
    for few, many in zip(kit.components(0), kit.components(1), strict=True):
        assert 2 <= few < many <= learning.AUTO


def test_there_are_never_more_templates_than_frames():
    kit = teach({"click": [sound(tone(500, 0.02))]}, components="500")
    frames = [stft.n_frames(160) for stft in STFTS]
    assert all(count <= there for count, there in zip(kit.components(0), frames, strict=True))


def test_a_number_for_a_label_that_is_not_learned_is_refused():
    with pytest.raises(UsageError, match="-k names 'lwo', which is not learned; choose from low"):
        teach({"low": sounds(500)}, components="lwo=3")


@pytest.mark.parametrize("kept", [129 * 40, 1 << 24])
def test_exemplars_are_frames_of_the_sounds(kept, monkeypatch):
    monkeypatch.setattr(learning, "KEPT", kept)
    files = sounds(500, 900)
    (view,) = teach({"all": files}, exemplars=True, components="7", stfts=[STFT(256)]).views
    assert view.W.shape == (129, 7)
    frames = np.concatenate([np.abs(view.stft.forward_block(f.load()[None], 0, 63)[0]) for f in files])
    frames /= np.linalg.norm(frames, axis=1, keepdims=True)
    assert (frames @ view.W).max(axis=0) == pytest.approx(1, abs=1e-5)
    assert len(np.unique(view.W, axis=1).T) == 7


def test_there_are_at_most_so_many_exemplars_by_themselves():
    hiss = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    kit = teach({"hiss": [sound(hiss)]}, exemplars=True, components="auto")
    assert kit.components(0) == (learning.AUTO_EXEMPLARS, STFTS[1].n_frames(RATE))


def test_the_level_of_a_sound_says_nothing():
    plain = teach({"tone": [sound(tone(500), "key")]})
    for scale in (2.0**-20, 64.0):
        assert_same(teach({"tone": [sound(tone(500) * np.float32(scale), "key")]}), plain)


def test_quiet_files_count_as_much_as_loud_ones():
    files = [sound(tone(500), "a"), sound(np.float32(0.001) * tone(2000), "b")]
    (view,) = teach({"both": files}, components="2", stfts=[STFT(256)]).views
    assert sorted(peaks(view)) == pytest.approx([500, 2000], abs=RATE / 256)


def test_silence_around_and_between_sounds_is_not_learned():
    gap = np.zeros(3000, np.float32)
    bare = teach({"tone": [sound(tone(500), "k")]}, components="auto", stfts=[STFT(256)])
    padded = np.concatenate([gap, tone(500), gap])
    kit = teach({"tone": [sound(padded, "k")]}, components="auto", stfts=[STFT(256)])
    assert kit.components(0)[0] <= bare.components(0)[0] + 2  # its edges have a shape of their own
    strongest = kit.views[0].W.max(axis=0)
    assert (strongest > 0.2).all()  # no template is flat, as the shape of silence would be


def test_a_silent_file_among_others_does_no_harm():
    silence = sound(np.zeros(4000, np.float32), "silence")
    assert_same(teach({"tone": [*sounds(500), silence]}), teach({"tone": sounds(500)}))


def test_a_label_of_silence_is_refused_by_name():
    with pytest.raises(UsageError, match="'rest' holds nothing but silence; leave it out"):
        teach({"tone": sounds(500), "rest": [sound(np.zeros(4000, np.float32))]})


@pytest.mark.parametrize("length", [1, 2, 63, 64, 300])
def test_sounds_shorter_than_a_frame_are_learned(length):
    kit = teach({"click": [sound(tone(500)[100 : 100 + length])]})
    assert all(np.isfinite(view.W).all() for view in kit.views)


@pytest.mark.parametrize("divergence", ["kl", "frobenius", "is", 0.5, 1.5])
@pytest.mark.usefixtures("small")
def test_every_divergence_learns_also_in_passes(divergence):
    kit = teach({"both": sounds(500, 2000)}, components="2", divergence=divergence, stfts=[STFT(256)])
    assert kit.divergence == divergence
    assert sorted(peaks(kit.views[0])) == pytest.approx([500, 2000], abs=RATE / 256)


def test_sparsity_is_asked_for_by_itself_with_kl_only():
    files = {"both": sounds(500, 900)}
    assert_same(teach(files), teach(files, sparsity=learning.SPARSITY))
    assert_same(teach(files, divergence=2), teach(files, divergence=2, sparsity=0.0))
    assert not np.array_equal(teach(files).views[0].W, teach(files, sparsity=0.0).views[0].W)


def count_passes(monkeypatch):
    seen = []
    real = learning.sums.statistics
    monkeypatch.setattr(learning.sums, "statistics", lambda X, *rest: seen.append(len(X)) or real(X, *rest))
    return seen


@pytest.mark.usefixtures("small")
def test_what_does_not_fit_into_memory_is_gone_over_in_passes(monkeypatch):
    seen = count_passes(monkeypatch)
    files = sounds(500, 900, 1400, 2100)
    teach({"all": files}, stfts=[STFT(256)])
    assert sum(seen) == learning.PASSES * 4 * STFT(256).n_frames(4000)


def test_what_fits_into_memory_is_not(monkeypatch):
    seen = count_passes(monkeypatch)
    teach({"all": sounds(500, 900, 1400, 2100)})
    assert seen == []


@pytest.mark.usefixtures("small")
def test_exemplars_are_never_gone_over(monkeypatch):
    seen = count_passes(monkeypatch)
    teach({"all": sounds(500, 900, 1400, 2100)}, exemplars=True)
    assert seen == []


def test_passes_bring_templates_nearer_to_all_frames(monkeypatch):
    # of 12 tones the sample is too small to hold every one well
    files = {"all": sounds(*range(300, 3900, 300), seconds=0.2)}
    stft = STFT(256)
    with Workers(1) as workers:
        X = np.concatenate([block for f in files["all"] for _, block in ActiveFrames(f.load(), stft, workers)])

    def misfit():
        from nmfsep import factorize

        W = teach(files, components="12", stfts=[stft]).views[0].W
        return factorize(X.T, 12, W=W, fixed={"W"}, max_iter=100).losses[-1]

    monkeypatch.setattr(learning, "KEPT", 129 * 30)
    learned = misfit()
    monkeypatch.setattr(learning, "PASSES", 0)
    assert learned < 0.97 * misfit()


@pytest.mark.usefixtures("small")
def test_files_of_the_same_contents_are_learned_from_in_passes_too(monkeypatch):
    # of several blocks each, whose keys must not get out of order
    monkeypatch.setattr(sounding, "BLOCK", 8)
    files = sounds(500, 900)
    kit = teach({"all": [*files, *files]}, components="2", stfts=[STFT(256)])
    assert sorted(peaks(kit.views[0])) == pytest.approx([500, 900], abs=RATE / 256)


def test_memory_does_not_depend_on_the_number_of_files(monkeypatch):
    monkeypatch.setattr(learning, "KEPT", 1 << 15)
    monkeypatch.setattr(learning, "FRAMES", 1 << 8)
    monkeypatch.setattr(learning, "PER_LABEL", 8)  # sounds of which strokes and frames are kept

    def peak(count):
        files = [Sound(f"{i}", lambda i=i: tone(300 + 50 * i)) for i in range(count)]
        tracemalloc.start()
        try:
            teach({"all": files}, stfts=[STFT(256)], max_iter=3)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    few, many = peak(10), peak(40)  # of all frames, 0.7 and 2.6 MB
    assert many < 1.05 * few


def test_a_long_file_is_cut_into_blocks_without_seams(monkeypatch):
    files = {"tone": [sound(tone(500, 1.0))]}

    def frames():
        (view,) = teach(files, exemplars=True, components="300", stfts=[STFT(256)]).views
        return {column.tobytes() for column in view.W.T}

    whole = frames()
    assert len(whole) == STFT(256).n_frames(8000)
    monkeypatch.setattr(sounding, "BLOCK", 16)
    assert frames() == whole


@pytest.mark.parametrize(
    ("rate", "lengths"), [(8000, [512, 2048]), (44100, [4096, 8192]), (22050, [2048, 4096]), (11025, [1024, 2048])]
)
def test_frames_are_about_as_long_as_sounds_need(rate, lengths):
    assert [stft.n_fft for stft in frames_for(rate, LearnSettings())] == lengths


def test_frames_asked_for_are_the_only_ones():
    assert frames_for(8000, LearnSettings(n_fft=300, hop_length=70, window="hamming")) == [STFT(300, 70, "hamming")]
    assert frames_for(8000, LearnSettings(n_fft=300)) == [STFT(300, 75)]


@pytest.mark.parametrize(("rate", "length"), [(1, 64), (3, 64), (1 << 24, 1 << 20)])
def test_frames_of_a_rate_that_no_sound_has_are_of_one_sensible_length(rate, length):
    assert [stft.n_fft for stft in frames_for(rate, LearnSettings())] == [length]


def test_progress_counts_the_fits_that_are_done():
    told = []
    learn({"a": sounds(500), "b": sounds(900)}, RATE, LearnSettings(components="2"), stfts=STFTS, progress=told.append)
    assert told == list(range(1, 2 * len(STFTS) + 1))


def test_what_is_known_of_the_sounds_is_kept_with_their_label():
    about = [{"label": "a", "files": 1}, {"label": "b", "files": 2}]
    kit = learn({"a": sounds(500), "b": sounds(900)}, RATE, LearnSettings(components="2"), stfts=STFTS,
                provenance=about)  # fmt: skip
    assert kit.provenance == tuple(about)


@pytest.mark.parametrize("label", ["", "a/b", ".."])
def test_labels_are_checked_before_any_work(label):
    def load():
        raise AssertionError("read")

    with pytest.raises(UsageError, match="cannot be the name of a stem"):
        teach({label: [Sound("k", load)]})


def test_sounds_are_only_read():
    samples = tone(500)
    samples.flags.writeable = False
    teach({"tone": [sound(samples)]})
