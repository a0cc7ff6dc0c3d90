"""What every cue in the registry must hold to; a new entry needs an example here, and is then tested by itself."""

import json

import numpy as np
import pytest

import nmfsep
from nmfsep.errors import UsageError
from nmfsep.guidance.cue import Context
from nmfsep.guidance.dictionary import write
from nmfsep.guidance.guide import Guide
from nmfsep.registry import CUES
from nmfsep.separation import pipeline
from nmfsep.signal.audio import Audio

cues = pytest.mark.parametrize("name", CUES)
RATE, SECONDS = 8000, 3.0
TIMES = np.arange(int(RATE * SECONDS)) / RATE


@pytest.fixture(scope="module")
def mixture():
    """A tone in the first second, another in the second, both in the third."""
    low, high = (0.3 * np.sin(2 * np.pi * hertz * TIMES) for hertz in (440.0, 1760.0))
    sound = (low * ((TIMES < 1) | (TIMES > 2)) + high * (TIMES > 1)).astype(np.float32)
    sound.flags.writeable = False
    return Audio(sound[None], RATE)


@pytest.fixture(scope="module")
def examples(tmp_path_factory, mixture):
    """What the option of each cue is given: two labels, low and high."""
    mido = pytest.importorskip("mido")
    folder = tmp_path_factory.mktemp("cues")
    parts = {"low": mixture.samples[:, :RATE], "high": mixture.samples[:, RATE : 2 * RATE]}
    kit = nmfsep.learn({label: Audio(samples, RATE) for label, samples in parts.items()}, components="2", max_iter=5)
    write(kit, folder / "kit.npz")
    (folder / "labels.txt").write_text("0.0\t1.0\tlow\n2.0\t3.0\tlow\n1.0\t3.0\thigh\n")
    score = mido.MidiFile(ticks_per_beat=500)  # of half a second
    for label, note, begin, length in (("low", 69, 0, 1000), ("high", 93, 1000, 2000)):
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=label)])
        track += [mido.Message("note_on", note=note, time=begin), mido.Message("note_off", note=note, time=length)]
        score.tracks.append(track)
    score.save(folder / "score.mid")
    return {
        "dictionary": [str(folder / "kit.npz")],
        "learn": ["low=0:00-0:01", "high=0:01-0:02"],
        "midi": [str(folder / "score.mid")],
        "labels": [str(folder / "labels.txt")],
    }


def read(examples, name):
    assert name in examples, "this test needs an example of the new cue"
    return CUES.load(name).read(examples[name], {})


@cues
def test_its_summary_says_what_its_option_takes(name):
    takes, _, text = CUES[name].partition(": ")
    assert takes.replace("[", "")[0].isupper()
    assert text[0].isupper()
    assert text.endswith(".")


@cues
def test_labels_are_names_of_stems_and_know_their_origin(name, examples):
    cue = read(examples, name)
    assert set(cue.labels) == {"low", "high"}
    assert all(cue.origin(label) for label in cue.labels)
    assert Guide((cue,)).settings().components == 2


@cues
def test_what_makes_no_sense_is_refused_in_a_sentence(name, tmp_path):
    (tmp_path / "nothing").write_bytes(b"\xff\x00 nothing of this kind\n")
    for text in (str(tmp_path / "missing"), str(tmp_path / "nothing"), ""):
        with pytest.raises(UsageError) as error:
            CUES.load(name).read([text], {})
        assert "\n" not in str(error.value)


@cues
def test_templates_fit_the_frames_and_are_no_more_than_was_said(name, examples, mixture):
    cue = read(examples, name)
    guide = Guide((cue,))
    settings = guide.settings()
    stfts = guide.stfts(RATE, settings)
    sizes = cue.sizes(RATE, stfts, cue.labels)
    assert all(isinstance(note, str) for note in cue.check(RATE, stfts, 0.0, SECONDS))
    context = Context(mixture, 0.0, settings)
    found = cue.propose(context, stfts, cue.labels)[0]
    assert len(found) == len(stfts) == len(sizes)
    for stft, most, templates in zip(stfts, sizes, found, strict=True):
        assert templates.stft == stft
        assert templates.W.shape == (stft.bins, len(templates.owners))
        assert len(templates.owners) <= most
        assert set(templates.owners.tolist()) == {0, 1}
        assert np.isfinite(templates.W).all()
        assert templates.W.min() >= 0
        for which, cost in cue.costs(context, templates, cue.labels).items():
            k, frames = len(templates.owners), stft.n_frames(mixture.length)
            assert cost.shape == {"W": (stft.bins, k), "Z": (k, frames)}[which]
            assert cost.min() >= 0


@cues
def test_it_is_described_as_json_with_its_kind_and_frames(name, examples):
    entries = json.loads(json.dumps(read(examples, name).about([512])))
    assert entries
    for entry in entries:
        assert entry["kind"] == name
        assert entry["n_fft"] == [512]


@cues
def test_its_stems_have_its_labels_and_add_up_to_the_mixture(name, examples, mixture):
    guide = Guide((read(examples, name),), {"max_iter": 20, "threads": 1})
    model, pieces = pipeline.separate(mixture, guide.settings(), guide)
    stems = dict(zip(model.names, np.concatenate(list(pieces), axis=-1), strict=True))
    assert {"low", "high"} <= set(stems)
    np.testing.assert_allclose(sum(stems.values()), mixture.samples, atol=1e-5)
    energy = {label: (stems[label][:, : RATE // 2] ** 2).sum() for label in ("low", "high")}
    assert energy["low"] > 10 * energy["high"]  # where the low tone is alone
