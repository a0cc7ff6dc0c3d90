"""A factorization that is kept, read back and rendered gives the very stems, whatever it was made by."""

import dataclasses
import io
import json
import zipfile

import numpy as np
import pytest

from nmfsep.errors import UsageError
from nmfsep.files.publish import Output, publish_one
from nmfsep.guidance.dictionary import Dictionaries, Dictionary
from nmfsep.guidance.guide import Guide
from nmfsep.guidance.templates import Templates
from nmfsep.separation import pipeline, saved as saved_file
from nmfsep.separation.mixture import identity_of
from nmfsep.separation.saved import Saved
from nmfsep.settings.separation import Settings
from nmfsep.signal.audio import Audio
from nmfsep.signal.stft import STFT

RATE = 8000


@pytest.fixture(scope="module")
def audio():
    rng = np.random.default_rng(0)
    t = np.arange(6000) / RATE
    low, high = np.sin(2 * np.pi * 300 * t) * (t < 0.5), np.sin(2 * np.pi * 1100 * t) * (t > 0.3)
    samples = np.stack([low + 0.4 * high, 0.2 * low + high]) + 0.05 * rng.standard_normal((2, len(t)))
    return Audio((0.3 * samples).astype(np.float32), RATE)


def guide_of(*labels):
    """A dictionary of two lengths of frames, with three templates a label in the shorter and two in the longer."""
    rng, views = np.random.default_rng(1), []
    for n_fft, each in ((256, 3), (512, 2)):
        W = rng.random((n_fft // 2 + 1, each * len(labels))).astype(np.float32) ** 4
        owners = np.repeat(np.arange(len(labels)), each)
        views.append(Templates(STFT(n_fft), W / np.linalg.norm(W, axis=0), owners))
    return Guide((Dictionaries((Dictionary(tuple(views), labels, RATE),), ("folder/kit.npz",), ("0" * 64,)),))


def separate(audio, guide=None, **given):
    options = {"n_fft": 256, "max_iter": 6, "threads": 2} | given
    if guide is None:
        settings = Settings(**({"components": 3} | options))
        return pipeline.separate(audio, settings)[0], settings
    del options["n_fft"]
    guide = dataclasses.replace(guide, given=options)
    settings = guide.settings()
    return pipeline.separate(audio, settings, guide)[0], settings


def keep(path, audio, guide=None, **given):
    """Separate and save; return the separation."""
    separation, settings = separate(audio, guide, **given)
    with Output(path) as output:
        about = guide.about([256, 512]) if guide else ()
        mixture = identity_of("music/song.wav", audio, 0, True)
        saved_file.write(output, separation, settings, mixture, about, {"nmfsep": "1"})
        publish_one(output)
    return separation


def rendered(separation, audio):
    return np.concatenate(list(pipeline.render(separation, audio)), axis=-1)


CASES = {
    "joint": {"channels": "joint"},
    "independent": {"channels": "independent"},
    "mid": {"channels": "mid"},
    "one": {"components": 1},
    "residual": {"residual": "left"},
    "independent residual": {"channels": "independent", "residual": "left"},
    "grouped": {"components": 5, "group": ("b=2,4-5",), "residual": "left"},
    "frobenius": {"divergence": "frobenius", "window": "hamming", "hop_length": 100},
    "beta": {"divergence": 0.5, "solver": "mu", "start": "random", "seed": 3},
    "wiener": {"mask": "wiener"},
    "power": {"mask_power": 3.5},
}
GUIDED = {
    "plain": {},
    "independent": {"channels": "independent", "adapt": 0.5},
    "mid": {"channels": "mid", "residual": "left"},
    "free": {"free": 4, "adapt": 0.1},
    "free named": {"free": 2, "residual": "noise", "group": ("all=a,noise",)},
    "grouped": {"group": ("x=1,3",), "mask": "binary"},
}


@pytest.mark.parametrize("case", CASES)
def test_what_was_kept_renders_to_the_same_bits(tmp_path, audio, case):
    separation = keep(tmp_path / "m", audio, **CASES[case])
    saved = saved_file.read(tmp_path / "m")
    again = saved.model(audio, saved.settings)
    assert again.names == separation.names
    assert rendered(again, audio).tobytes() == rendered(separation, audio).tobytes()
    assert not again.warnings


@pytest.mark.parametrize("case", GUIDED)
def test_so_does_what_was_separated_with_a_dictionary_of_several_layers(tmp_path, audio, case):
    separation = keep(tmp_path / "m", audio, guide_of("a", "b", "c"), **GUIDED[case])
    saved = saved_file.read(tmp_path / "m")
    again = saved.model(audio, saved.settings)
    assert len(saved.resolutions) == 2
    assert again.names == separation.names
    assert rendered(again, audio).tobytes() == rendered(separation, audio).tobytes()


@pytest.mark.parametrize(
    "change",
    [
        {"group": ("b=2,4",)},
        {"group": ("b=1", "a=rest")},
        {"residual": "left"},
        {"residual": None},
        {"mask": "binary"},
        {"mask": "wiener", "group": ("b=1-2",), "residual": "left"},
        {"mask_power": 2.5},
    ],
)
@pytest.mark.parametrize("before", [{}, {"group": ("x=1,2",), "residual": "gone", "mask_power": 3.0}])
def test_other_options_give_what_split_gives_with_them(tmp_path, audio, change, before):
    keep(tmp_path / "m", audio, components=4, **before)
    saved = saved_file.read(tmp_path / "m")
    again = saved.model(audio, saved.settings_with(change))
    options = {"components": 4} | before | change
    if "mask" in change:
        options["mask_power"] = 1.0
    fresh, _ = separate(audio, **options)
    assert again.names == fresh.names
    assert rendered(again, audio).tobytes() == rendered(fresh, audio).tobytes()


@pytest.mark.parametrize("guide", [None, guide_of("a", "b")], ids=["blind", "dictionary"])
def test_the_number_of_threads_changes_no_byte(tmp_path, audio, guide):
    keep(tmp_path / "one", audio, guide, threads=1)
    keep(tmp_path / "two", audio, guide, threads=2)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_all_that_matters_comes_back(tmp_path, audio):
    guide = guide_of("a", "b")
    keep(tmp_path / "m", audio, guide, free=2, seed=7)
    saved = saved_file.read(tmp_path / "m")
    assert saved.labels == ("a", "b")
    assert saved.components == ("a", "b", "residual")
    assert (saved.settings.seed, saved.settings.free, saved.settings.threads) == (7, 2, None)
    assert [layer.stft for layer in saved.resolutions] == [STFT(256), STFT(512)]
    assert saved.mixture == identity_of("song.wav", audio, 0, True)
    assert saved.guidance == (
        {"kind": "dictionary", "path": "kit.npz", "sha256": "0" * 64, "labels": ["a", "b"], "n_fft": [256, 512]},
    )
    assert [fit["solver"] for fit in saved.fits] == ["mue", "mue"]
    assert all(len(fit["losses"]) == 2 for fit in saved.fits)
    assert saved.versions == {"nmfsep": "1"}


@pytest.mark.parametrize(
    ("options", "guide", "shapes"),
    [
        ({"channels": "joint"}, None, ((2, 129, 3), (1, 3, 94))),
        ({"channels": "independent"}, None, ((2, 129, 3), (2, 3, 94))),
        ({"channels": "mid"}, None, ((1, 129, 3), (1, 3, 94))),
        ({}, guide_of("a", "b"), ((1, 129, 6), (2, 6, 94))),
    ],
)
def test_what_channels_share_is_kept_once(tmp_path, audio, options, guide, shapes):
    keep(tmp_path / "m", audio, guide, **options)
    with np.load(tmp_path / "m", allow_pickle=False) as file:
        assert (file["W0"].shape, file["Z0"].shape) == shapes
        assert file["W0"].dtype == file["Z0"].dtype == np.float32


def test_silence_and_less_than_a_frame_can_be_kept(tmp_path):
    for samples in (np.zeros((1, 3000)), np.ones((1, 5)) / 2):
        sound = Audio(samples.astype(np.float32), RATE)
        separation = keep(tmp_path / "m", sound)
        saved = saved_file.read(tmp_path / "m")
        assert saved.warnings == separation.warnings
        again = rendered(saved.model(sound, saved.settings), sound)
        assert again.tobytes() == rendered(separation, sound).tobytes()


# damaged and hostile files


@pytest.fixture(scope="module")
def members(tmp_path_factory, audio):
    """The description and the arrays of a good file."""
    path = tmp_path_factory.mktemp("kept") / "m"
    keep(path, audio, channels="independent")
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name != "meta"}
        return json.loads(str(file["meta"])), arrays


def put(path, about, arrays, compression=zipfile.ZIP_STORED):
    np_members = {"meta": np.array(json.dumps(about))} | arrays
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, array in np_members.items():
            body = io.BytesIO()
            np.lib.format.write_array(body, array, allow_pickle=True)
            archive.writestr(f"{name}.npy", body.getvalue())
    return path


def refusal(path):
    with pytest.raises(UsageError) as caught:
        saved_file.read(path)
    assert caught.value.path == str(path)
    return str(caught.value)


def test_the_good_file_is_good(tmp_path, members):
    assert isinstance(saved_file.read(put(tmp_path / "m", *members)), Saved)


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


BAD_ARRAYS = {
    "nan in W": ("W0", lambda a: changed(a, (0, 0, 0), np.nan), "W0 holds NaN"),
    "inf in Z": ("Z0", lambda a: changed(a, (0, 0, 0), np.inf), "Z0 holds NaN or infinite"),
    "negative W": ("W0", lambda a: -a, "W0 holds negative"),
    "negative Z": ("Z0", lambda a: changed(a, (1, 1, 1), -1), "Z0 holds negative"),
    "a frame less": ("Z0", lambda a: a[..., 1:], "does not fit 6000 samples"),
    "a frame more": ("Z0", lambda a: np.repeat(a, 2, axis=-1), "does not fit 6000 samples"),
    "a component less": ("Z0", lambda a: a[:, 1:], "does not fit 6000 samples"),
    "a bin less": ("W0", lambda a: a[:, 1:], "does not fit n_fft 256"),
    "a template less": ("W0", lambda a: a[..., 1:], "does not fit n_fft 256"),
    "three channels": ("W0", lambda a: np.repeat(a[:1], 3, axis=0), "for 3 channels, the mixture has 2"),
    "two dimensions": ("W0", lambda a: a[0], "3 dimensions"),
    "empty": ("Z0", lambda a: a[:0], "not empty"),
    "complex": ("W0", lambda a: a + 1j, "must be real numbers"),
    "text": ("W0", lambda a: a.astype(str), "must be real numbers"),
    "objects": ("W0", lambda a: a.astype(object), "must be real numbers"),
    "double that overflows": ("Z0", lambda a: a.astype(float) + 1e300, "larger than single precision"),
    "owners beyond": ("owners0", lambda a: a + 1, "not indices of 3 components"),
    "owners between": ("owners0", lambda a: a + 0.5, "not indices of 3 components"),
    "owners negative": ("owners0", lambda a: a - 1, "owners0 holds negative"),
    "a component without a template": ("owners0", np.zeros_like, "component 2 has no template"),
    "too few owners": ("owners0", lambda a: np.arange(2), "component 3 has no template"),
    "too many owners": ("owners0", lambda a: np.repeat(a, 2), "does not fit n_fft 256, 6 templates"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_arrays_that_make_no_sense_are_refused(tmp_path, members, case):
    name, damage, message = BAD_ARRAYS[case]
    about, arrays = members
    assert message in refusal(put(tmp_path / "m", about, arrays | {name: damage(arrays[name])}))


@pytest.mark.parametrize("name", ["W0", "Z0", "owners0"])
def test_a_missing_array_is_refused(tmp_path, members, name):
    about, arrays = members
    left = {key: value for key, value in arrays.items() if key != name}
    assert f"has no {name}" in refusal(put(tmp_path / "m", about, left))


NONSENSE = "makes no sense for a model"
BAD_DESCRIPTIONS = {
    "schema": ({"schema": "nmfsep.dictionary"}, "holds 'nmfsep.dictionary', not 'nmfsep.model'"),
    "future": ({"version": 99}, "knows up to 1; upgrade nmfsep"),
    "version": ({"version": "1"}, "no version that makes sense"),
    "labels": ({"labels": ["a", "b"]}, "has 2 labels for 3 components"),
    "label twice": ({"labels": ["a", "b", "A"]}, "would be one file"),
    "label of a path": ({"labels": ["a", "../b", "c"]}, "cannot be the name of a stem"),
    "label that is a number": ({"labels": [1, 2, 3]}, NONSENSE),
    "labels text": ({"labels": "abc"}, NONSENSE),
    "no layers": ({"layers": []}, NONSENSE),
    "many layers": ({"layers": [{"n_fft": 256, "hop_length": 64, "window": "hann"}] * 9}, NONSENSE),
    "a second layer": ({"layers": [{"n_fft": 256, "hop_length": 64, "window": "hann"}] * 2}, "has no owners1"),
    "window": ({"layers": [{"n_fft": 256, "hop_length": 64, "window": "kaiser"}]}, NONSENSE),
    "odd n_fft": ({"layers": [{"n_fft": 255, "hop_length": 64, "window": "hann"}]}, "n_fft 255"),
    "n_fft": ({"layers": [{"n_fft": 512, "hop_length": 64, "window": "hann"}]}, "does not fit n_fft 512"),
    "hop": ({"layers": [{"n_fft": 256, "hop_length": 32, "window": "hann"}]}, "does not fit 6000 samples"),
    "no hop": ({"layers": [{"n_fft": 256, "window": "hann"}]}, "lacks a part"),
    "layers text": ({"layers": ["x"]}, NONSENSE),
    "fit": ({"fit": [{"solver": "mue"}]}, "lacks a part"),
    "losses": ({"fit": [{"solver": "mue", "n_iter": 1, "converged": True, "losses": [1]}]}, NONSENSE),
    "warnings": ({"warnings": [1]}, NONSENSE),
    "versions": ({"versions": {"nmfsep": 1}}, NONSENSE),
    "guidance": ({"guidance": [{"kind": "learn", "path": 1, "labels": [], "n_fft": []}]}, NONSENSE),
    "cue": ({"guidance": [{"kind": "magic", "labels": [], "n_fft": []}]}, NONSENSE),
    "settings list": ({"settings": []}, NONSENSE),
    "setting unknown": ({"settings": {"components": 3, "speed": 1}}, "'speed' that this nmfsep does not know"),
    "setting kind": ({"settings": {"components": "3"}}, "a setting components that makes no sense: '3'"),
    "setting true": ({"settings": {"components": 3, "seed": True}}, "a setting seed that makes no sense"),
    "setting range": ({"settings": {"components": 3, "mask_power": 1e9}}, "mask_power must be at least"),
    "setting nan": ({"settings": {"components": 3, "mask_power": float("nan")}}, "a description that is no JSON"),
    "setting name": ({"settings": {"components": 3, "mask": "ration"}}, "did you mean 'ratio'"),
    "components": ({"settings": {"components": 4}}, "component 4 has no template"),
    "many components": ({"settings": {"components": 10**6}}, "component 4 has no template"),
    "group": ({"settings": {"components": 3, "group": ["a=9"]}}, "there is no stem 9"),
    "group kind": ({"settings": {"components": 3, "group": [1]}}, "a setting group that makes no sense"),
    "mixture": ({"mixture": {}}, "lacks a part"),
    "mixture list": ({"mixture": [1]}, NONSENSE),
}


@pytest.mark.parametrize("case", BAD_DESCRIPTIONS)
def test_a_description_that_makes_no_sense_is_refused(tmp_path, members, case):
    change, message = BAD_DESCRIPTIONS[case]
    about, arrays = members
    assert message in refusal(put(tmp_path / "m", about | change, arrays))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 1),
        ("sha256", "x" * 64),
        ("sha256", "../../etc"),
        ("sample_rate", 0),
        ("sample_rate", 1e9),
        ("channels", 0),
        ("channels", 10**6),
        ("offset", -1),
        ("length", 0),
        ("length", 2**70),
        ("length", "6000"),
        ("to_end", 1),
    ],
)
def test_a_mixture_that_there_cannot_be_is_refused(tmp_path, members, field, value):
    about, arrays = members
    assert NONSENSE in refusal(put(tmp_path / "m", about | {"mixture": about["mixture"] | {field: value}}, arrays))


@pytest.mark.parametrize("key", ["mixture", "settings", "labels", "layers", "fit", "warnings", "versions", "guidance"])
def test_a_missing_part_of_the_description_is_refused(tmp_path, members, key):
    about, arrays = members
    assert "lacks a part" in refusal(put(tmp_path / "m", {k: v for k, v in about.items() if k != key}, arrays))


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.99])
def test_a_file_that_was_cut_is_refused(tmp_path, members, share):
    whole = put(tmp_path / "m", *members).read_bytes()
    (tmp_path / "m").write_bytes(whole[: int(share * len(whole))])
    assert "is not a container of arrays (.npz), or is damaged" in refusal(tmp_path / "m")


def test_a_flipped_bit_is_found(tmp_path, members):
    whole = bytearray(put(tmp_path / "m", *members).read_bytes())
    whole[len(whole) // 2] ^= 16
    (tmp_path / "m").write_bytes(whole)
    assert "has a damaged" in refusal(tmp_path / "m")


def test_a_bomb_is_not_unpacked(tmp_path, members):
    about, arrays = members
    large = np.zeros((2, 129, 100_000), np.float32)  # 103 MB of zeros, packed into 100 kB
    path = put(tmp_path / "m", about, arrays | {"W0": large}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    assert "out of proportion" in refusal(path)


def test_a_file_that_memory_cannot_hold_is_refused_before_it_is_read(tmp_path, members, monkeypatch):
    path = put(tmp_path / "m", *members)
    monkeypatch.setattr("nmfsep.memory.available", lambda: 1000)
    assert "of memory and may take" in refusal(path)


def test_what_another_program_wrote_is_refused(tmp_path):
    np.savez(tmp_path / "m.npz", W=np.ones((3, 2)))
    assert "does not say that it holds 'nmfsep.model'" in refusal(tmp_path / "m.npz")
    (tmp_path / "m.wav").write_bytes(b"RIFF\x04\0\0\0WAVE")
    assert "is a sound, not a model" in refusal(tmp_path / "m.wav")
