"""Python by hand: stems by name, counted components, the commands as functions, short reprs, players and plots."""

import base64
import io
import re

import numpy as np
import pytest
import soundfile as sf

import nmfsep
from nmfsep.errors import UsageError

RATE = 8000


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    """A file of three tones one after the other, twice."""
    t = np.arange(RATE // 2) / RATE
    tones = [0.3 * np.sin(2 * np.pi * hertz * t) * np.exp(-4 * t) for hertz in (220, 330, 523)]
    sound = np.concatenate([tones[n] for n in (0, 1, 2, 0, 2, 1, 1, 0)])
    path = tmp_path_factory.mktemp("notes") / "notes.wav"
    sf.write(path, sound + np.random.default_rng(0).normal(0, 1e-3, len(sound)), RATE, "PCM_16")
    return path


@pytest.fixture(scope="module")
def stems(notes):
    return nmfsep.separate(notes, 3, atoms=1)


def test_stems_are_a_mapping_from_names_to_sounds(stems):
    assert list(stems) == list(stems.names) == ["component-1", "component-2", "component-3"]
    np.testing.assert_array_equal(stems["component-2"].samples, stems.samples[1])
    assert [audio.sample_rate for audio in stems.values()] == [RATE] * 3
    assert "component-3" in stems
    with pytest.raises(KeyError, match="did you mean 'component-"):
        stems["component-4"]


@pytest.mark.parametrize("in_memory", [False, True])
def test_auto_counts_what_recurs(notes, in_memory):
    sound = nmfsep.read(notes) if in_memory else notes
    count = nmfsep.rank(sound, seed=0).recommended
    assert count >= 3
    found = nmfsep.separate(sound, components="auto")
    assert len(found) == count
    np.testing.assert_array_equal(found.samples, nmfsep.separate(sound, count, atoms=1).samples)
    with pytest.raises(UsageError, match="components='auto' counts"):
        nmfsep.separate(sound, "auto", preset="drums")


def test_inspect_takes_files_sounds_and_stems(notes, stems, tmp_path):
    found = [nmfsep.inspect(notes, 3), nmfsep.inspect(nmfsep.read(notes), 3)]
    stems.write(tmp_path)
    found.append(nmfsep.inspect(tmp_path))
    for each in found:
        assert {part.pitch.name for part in each.components} == {"A3", "E4", "C5"}
    with pytest.raises(UsageError, match="how many components is not said"):
        nmfsep.inspect(notes)


def test_evaluate_takes_folders_and_files(stems, tmp_path):
    paths = stems.write(tmp_path)
    perfect = nmfsep.evaluate(tmp_path / "notes", paths)
    assert perfect.mean["si_sdr"] == 100
    assert nmfsep.evaluate(paths, tmp_path / "notes", filter_length=1).mean["sdr"] == 100
    with pytest.raises(UsageError, match="is not a size"):
        nmfsep.evaluate(paths, paths, max_memory="much")


def test_reprs_are_one_short_line(notes, stems):
    kit = nmfsep.learn({"tone": nmfsep.read(notes)}, components="2")
    lazy = nmfsep.separate(notes, 2)
    deep = nmfsep.deep_nmf(np.random.default_rng(0).random((20, 30)), (6, 2), max_iter=5)
    shown = {
        r"Stems\(component-1, component-2, component-3 of notes.wav\)": stems,
        r"Stems\(component-1, component-2 of notes.wav\)": lazy,
        r"Audio\(4.000 s, 8000 Hz, mono\)": stems["component-1"],
        r"Fit\(Factors\(W \d+ x 3, Z 3 x \d+\), \w+ \w+ after \d+ iterations, loss \S+ to \S+\)": stems.fits[0],
        r"DeepFit\(Factors\(W 20 x 2, Z 2 x 30\), .*\)": deep,
        r"Dictionary\(tone 2\+2 templates, 8000 Hz\)": kit,
        r"Ranking\('notes': 3 components, of 2 to 3\)": nmfsep.rank(notes, (2, 3)),
        r"Inspection\('notes', 4.00 s: component-1 .*\)": nmfsep.inspect(notes, 3),
    }
    for expected, value in shown.items():
        assert re.fullmatch(expected, repr(value)), repr(value)
        assert len(repr(value)) < 160
    assert "_rendered" not in vars(lazy)  # nothing was separated to show it


def test_players_play_the_stems_as_loud_as_they_are(stems):
    page = stems._repr_html_()
    assert re.findall(r"<td>(component-\d)</td>", page) == list(stems.names)
    for name, data in zip(stems.names, re.findall(r'src="data:audio/wav;base64,([^"]+)"', page), strict=True):
        played, rate = sf.read(io.BytesIO(base64.b64decode(data)), always_2d=True)
        assert rate == RATE
        np.testing.assert_allclose(played.T, stems[name].samples, atol=2**-14)


def test_players_are_short_never_clip_and_names_are_text():
    loud = nmfsep.Audio(np.full((2, 40 * 100), 2.0, np.float32), 100)
    page = loud._repr_html_()
    assert "(the first 30 s)" in page
    played = sf.read(io.BytesIO(base64.b64decode(re.search(r'base64,([^"]+)"', page)[1])))[0]
    assert (played.shape, played.max()) == ((3000, 2), pytest.approx(1, abs=1e-4))
    from nmfsep.signal.audio import players

    assert "<img" not in players({"<img src=x onerror=alert(1)>": loud})


def test_plots_are_drawn_on_the_axes_that_are_given(notes, stems):
    figure = pytest.importorskip("matplotlib.figure")
    found, ranking = nmfsep.inspect(notes, 3), nmfsep.rank(notes, (2, 3))
    plots = {
        nmfsep.plot_spectrogram: stems["component-1"],
        nmfsep.plot_templates: found,
        nmfsep.plot_activations: found,
        nmfsep.plot_losses: stems.fits[0],
        nmfsep.plot_ranking: ranking,
    }
    for plot, what in plots.items():
        one, other = figure.Figure().subplots(1, 2)
        assert plot(what, ax=one) is one
        assert one.has_data()
        assert not other.has_data()
        assert plot(what).figure is not one.figure
