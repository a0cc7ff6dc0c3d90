import dataclasses
import errno
import ntpath
import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from nmfsep.errors import InputError, UsageError
from nmfsep.guidance.dictionary import Dictionaries, Dictionary
from nmfsep.guidance.guide import Guide
from nmfsep.guidance.templates import Templates
from nmfsep.jobs.inputs import Input
from nmfsep.jobs.manifest import verify
from nmfsep.jobs.plan import plan
from nmfsep.jobs.run_options import RunOptions
from nmfsep.jobs.track import separate_file
from nmfsep.settings.commands import OutputSettings
from nmfsep.settings.separation import Settings
from nmfsep.signal.stft import STFT

ALIKE = "{parent} would not tell them apart: separate one by one, each with another -o"
TWO = Settings(components=2, n_fft=256, max_iter=2, threads=1)


@pytest.fixture(autouse=True)
def song(tmp_path, monkeypatch):
    """A folder to work in, with one input."""
    monkeypatch.chdir(tmp_path)
    return make("song.wav")


def make(path):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (800, 1))
    with open(os.fsencode(path), "wb") as file:
        sf.write(file, samples, 8000, "PCM_16", format="WAV")
    return path


def of(*inputs, settings=TWO, **output):
    return plan(inputs or ("song.wav",), RunOptions(settings, OutputSettings(**output)))


def separate(settings=TWO, **output):
    separate_file(of(settings=settings, **output)[0], RunOptions(settings, OutputSettings(**output))).result()


def test_stems_and_manifest_lie_in_a_folder_of_the_track():
    (job,) = of()
    assert job.targets == (Path("separated/song/component-1.wav"), Path("separated/song/component-2.wav"))
    assert job.manifest == Path("separated/song/song.nmfsep.json")
    assert (job.track, job.names, job.selected) == ("song", ("component-1", "component-2"), (0, 1))


def test_planning_writes_nothing(tmp_path):
    of()
    assert os.listdir(tmp_path) == ["song.wav"]


@pytest.mark.parametrize(
    ("template", "targets", "manifest"),
    [
        ("{stem}.{ext}", ("o/component-1.flac", "o/component-2.flac"), "o/song.nmfsep.json"),
        ("{index}/{track}.{ext}", ("o/1/song.flac", "o/2/song.flac"), "o/song.nmfsep.json"),
        ("{k}-{seed}/{index}", ("o/2-0/1", "o/2-0/2"), "o/2-0/song.nmfsep.json"),
        ("{parent}/{stem}", ("o/album/component-1", "o/album/component-2"), "o/album/song.nmfsep.json"),
    ],
)
def test_the_template_decides_the_names(template, targets, manifest):
    (job,) = of(make("album/song.wav"), filename=template, out="o", format="flac")
    assert [path.as_posix() for path in job.targets] == list(targets)
    assert job.manifest == Path(manifest)


@pytest.mark.parametrize("only", [("component-2",), ("component-2", "component-2")])
def test_only_selected_stems_are_planned_in_their_order(only):
    (job,) = of(only=only)
    assert job.selected == (1,)
    assert job.names == ("component-1", "component-2")
    assert [path.name for path in job.targets] == ["component-2.wav"]


def test_selected_stems_keep_the_order_of_all():
    assert of(only=("component-2", "component-1"))[0].selected == (0, 1)


@pytest.mark.parametrize(
    ("name", "hint"), [("componnt-2", "did you mean 'component-2'"), ("vocals", "choose from component-1, component-2")]
)
def test_an_unknown_stem_is_answered_with_the_nearest(name, hint):
    with pytest.raises(UsageError, match=f"--only '{name}' is no stem; {hint}"):
        of(only=(name,))


def test_the_residual_is_the_last_stem_and_can_be_selected():
    settings = Settings(components=2, residual="rest")
    assert RunOptions(settings).stem_names == ("component-1", "component-2", "rest")
    assert of(settings=settings, only=("rest",))[0].selected == (2,)


def test_a_residual_named_like_a_stem_is_refused():
    with pytest.raises(UsageError, match="--residual component-2 is the name of another stem"):
        of(settings=Settings(components=2, residual="component-2"))


@pytest.mark.parametrize("residual", ["Component-2", "COMPONENT-1"])
def test_stems_whose_names_differ_in_case_only_are_refused(residual):
    with pytest.raises(UsageError, match=r"would be written for 'song\.wav' too"):
        of(settings=Settings(components=2, residual=residual))


def test_groups_decide_the_names():
    settings = Settings(components=4, group=("voice=1,3",), residual="left")
    (job,) = of(settings=settings, only=("voice", "left"))
    assert job.names == ("voice", "component-2", "component-4", "left")
    assert [path.name for path in job.targets] == ["voice.wav", "left.wav"]


@pytest.mark.parametrize(
    ("filename", "model"), [("{track}/{stem}.{ext}", "o/song/song.nmf.npz"), ("{index}/{track}", "o/song.nmf.npz")]
)
def test_a_model_lies_beside_the_manifest(filename, model):
    (job,) = of(out="o", filename=filename, save_model=True)
    assert (job.model, job.kept) == (Path(model), None)
    assert job.model.parent == job.manifest.parent
    assert of(out="o", filename=filename)[0].model is None


def test_a_stem_cannot_have_the_name_of_the_model():
    settings = Settings(components=2, group=("song.nmf=1",))
    with pytest.raises(UsageError, match=r"song\.nmf\.npz' would be written for"):
        of(settings=settings, filename="{stem}.npz", save_model=True)
    assert of(settings=settings, filename="{stem}.npz")


@pytest.mark.parametrize("path", ["none.wav", "none/song.wav", "dangling"])
def test_a_missing_input_is_found_before_any_work(path):
    Path("dangling").symlink_to("nowhere")
    with pytest.raises(UsageError, match="no such file or directory; check the name") as caught:
        of(path)
    assert caught.value.path == path


def refusals(jobs):
    """What is wrong with each job, None where nothing is."""
    return [None if job.refused is None else job.refused.message for job in jobs]


def test_what_one_input_cannot_do_is_no_obstacle_for_the_others():
    Path("folder").mkdir()
    Path("separated/mine").mkdir(parents=True)
    Path("separated/mine/component-1.wav").write_text("mine")
    jobs = of("none.wav", "song.wav", "folder", make("mine.wav"), make("last.wav"))
    assert refusals(jobs) == [
        "no such file or directory", None, "is a folder", "exists and was not written by nmfsep, or was changed since",
        None,
    ]  # fmt: skip


def test_an_input_that_may_not_be_read_is_found_before_any_work(monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.R_OK)  # root may read everything
    with pytest.raises(UsageError, match="permission denied"):
        of()


def test_names_that_are_not_utf8_are_planned():
    name = os.fsdecode(b"caf\xe9.wav")
    make(name)
    (job,) = of(name)
    assert os.fsencode(job.targets[0]) == b"separated/caf\xe9/component-1.wav"


@pytest.mark.parametrize(
    ("one", "other", "remedy"),
    [
        ("a/song.wav", "b/song.wav", "use --filename '{parent}/{track}/{stem}.{ext}', or other folders with -o"),
        ("song.wav", "./a/song.wav", "use --filename '{parent}/{track}/{stem}.{ext}', or other folders with -o"),
        ("a/song.wav", "a/song.flac", ALIKE),
        ("a/song.wav", "a/SONG.wav", ALIKE),
        (unicodedata.normalize("NFC", "a/Café.wav"), unicodedata.normalize("NFD", "a/Café.wav"), ALIKE),
        ("one/2024/song.wav", "two/2024/song.wav", ALIKE),
    ],
)
def test_tracks_of_one_name_are_refused_with_a_remedy_that_works(one, other, remedy):
    inputs = (make(one), make(other))
    with pytest.raises(UsageError, match=r"would be written for .* too") as caught:
        of(*inputs)
    assert (caught.value.path, caught.value.hint) == (other, remedy)
    if "--filename" in remedy:
        assert len(of(*inputs, filename=remedy.split("'")[1])) == 2
    else:
        assert len({of(path, out=out)[0].targets for path, out in zip(inputs, "po", strict=True)}) == 2


def test_folders_of_the_same_names_below_two_folders_are_not_told_apart_by_the_parent():
    entries = [Input(make(f"{top}/2024-05/song.wav"), "2024-05", found=True) for top in ("one", "two")]
    with pytest.raises(UsageError) as caught:
        of(*entries)
    assert caught.value.hint == ALIKE
    with pytest.raises(UsageError) as caught:
        of(*entries, filename="{parent}/{track}/{stem}.{ext}")
    assert caught.value.hint == ALIKE


@pytest.mark.parametrize("again", ["song.wav", "./song.wav"])
def test_an_input_given_twice_is_refused_as_that(again):
    with pytest.raises(UsageError, match=r"'song\.wav' is given twice|give each input once"):
        of("song.wav", again)


def test_the_parent_tells_tracks_of_one_name_apart():
    jobs = of(make("a/song.wav"), make("b/song.wav"), filename="{parent}/{track}/{stem}.{ext}")
    assert len({target for job in jobs for target in (*job.targets, job.manifest)}) == 6


def test_tracks_that_share_a_folder_have_manifests_of_their_own():
    jobs = of(make("a.wav"), make("b.wav"), filename="{track}-{stem}.{ext}")
    assert [job.manifest.name for job in jobs] == ["a.nmfsep.json", "b.nmfsep.json"]


def test_standard_output_has_no_files_and_takes_one_input():
    (job,) = of(out="-")
    assert (job.targets, job.manifest) == ((), None)
    with pytest.raises(UsageError, match="-o - takes one input"):
        of("song.wav", make("b.wav"), out="-")


@pytest.mark.parametrize("name", ["flac", "w64", "rf64"])
def test_standard_output_takes_wav_only(name):
    with pytest.raises(UsageError, match="-o - writes WAV only"):
        of(out="-", format=name)


def test_standard_input_can_be_read_once():
    assert of("-")[0].track == "stdin"
    with pytest.raises(UsageError, match="only once"):
        of("-", "-")


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("link", ["itself", "symlink", "hardlink", "symlinked folder"])
def test_an_input_is_never_overwritten_by_whatever_name(link, force):
    stem, source = Path("separated/song/component-1.wav"), "song.wav"
    if link == "itself":
        source = make(str(stem))
        filename = "song/component-{index}.wav"
    else:
        filename = "{track}/{stem}.{ext}"
    if link == "symlinked folder":
        Path("real/song").mkdir(parents=True)
        Path("separated").symlink_to("real")
        os.link(source, "real/song/component-1.wav")
    elif link != "itself":
        stem.parent.mkdir(parents=True)
        stem.symlink_to(Path(source).resolve()) if link == "symlink" else os.link(source, stem)
    with pytest.raises(UsageError, match="is an input and would be overwritten") as caught:
        of(source, filename=filename, force=force)
    assert caught.value.path == str(stem)


def test_the_stem_of_one_track_must_not_be_the_input_of_another():
    make("separated/song/component-2.wav")
    jobs = of("song.wav", "separated/song/component-2.wav", force=True)
    assert refusals(jobs) == ["is an input and would be overwritten", None]


def test_an_input_that_an_earlier_run_wrote_is_not_removed_as_obsolete():
    separate(Settings(components=3, n_fft=256, max_iter=1, threads=1))
    jobs = of("song.wav", "separated/song/component-3.wav")
    assert refusals(jobs) == ["is an input and would be overwritten", None]


@pytest.fixture
def other():
    """Stems of a/song.wav in place; the name of another input whose stems would replace them."""
    separate_file(of(make("a/song.wav"))[0], RunOptions(TWO)).result()
    with open(make("b/song.wav"), "ab") as file:  # other bytes
        file.write(b"LIST\4\0\0\0junk")
    return "b/song.wav"


def test_stems_of_another_input_are_not_replaced(other):
    with pytest.raises(UsageError, match=r"would replace the stems of 'a/song\.wav' in 'separated/song'") as caught:
        of(other)
    assert caught.value.path == other
    assert "--filename '{parent}/{track}/{stem}.{ext}'" in caught.value.hint
    for remedy in ({"force": True}, {"out": "elsewhere"}, {"filename": "{parent}/{track}/{stem}.{ext}"}):
        assert of(other, **remedy)


def test_an_input_is_the_same_by_its_path_or_by_its_bytes(other, tmp_path, monkeypatch):
    shutil.move("a", "moved")
    assert of("moved/song.wav")
    assert of(str(tmp_path / "moved" / "song.wav"))
    with open(make("a/song.wav"), "ab") as file:
        file.write(b"LIST\4\0\0\0news")
    assert of("a/song.wav")
    monkeypatch.chdir("a")
    assert of("song.wav", out="../separated")
    Path("../link").symlink_to(".")
    assert of("../link/a/song.wav", out="../link/separated")


def test_what_came_meanwhile_from_another_input_is_not_replaced_either(other):
    (early,) = of(other, out="new")
    separate_file(of("a/song.wav", out="new")[0], RunOptions(TWO, OutputSettings(out="new"))).result()
    before = Path("new/song/song.nmfsep.json").read_bytes()
    with pytest.raises(InputError, match="would replace the stems of"):
        separate_file(early, RunOptions(TWO, OutputSettings(out="new"))).result()
    assert Path("new/song/song.nmfsep.json").read_bytes() == before
    verify(Path("new/song/song.nmfsep.json"))


def test_a_file_of_another_program_is_refused_unless_forced():
    Path("separated/song").mkdir(parents=True)
    Path("separated/song/component-2.wav").write_bytes(b"precious")
    with pytest.raises(UsageError, match=r"exists and was not written by nmfsep.*--force") as caught:
        of()
    assert caught.value.path == "separated/song/component-2.wav"
    assert of(force=True)[0].targets


def test_a_dangling_link_in_the_place_of_a_stem_is_refused():
    Path("separated/song").mkdir(parents=True)
    Path("separated/song/component-1.wav").symlink_to("nowhere")
    with pytest.raises(UsageError, match="exists and was not written by nmfsep"):
        of()


def test_own_files_are_replaced_without_asking():
    separate()
    assert of()[0].targets


def test_own_files_that_were_changed_since_are_refused():
    separate()
    with open("separated/song/component-1.wav", "r+b") as file:
        file.write(b"RIFX")
    with pytest.raises(UsageError, match="was changed since"):
        of()


def test_own_files_without_their_manifest_are_refused():
    separate()
    os.unlink("separated/song/song.nmfsep.json")
    with pytest.raises(UsageError, match="was not written by nmfsep"):
        of()


@pytest.mark.parametrize("force", [True, False])
def test_a_folder_in_the_place_of_a_stem_is_refused(force):
    Path("separated/song/component-2.wav").mkdir(parents=True)
    with pytest.raises(UsageError, match="is a folder where a file should go"):
        of(force=force)


def test_a_file_of_another_program_in_the_place_of_the_manifest_is_refused():
    Path("separated/song").mkdir(parents=True)
    Path("separated/song/song.nmfsep.json").write_bytes(b"my notes")
    with pytest.raises(UsageError, match="was not written by nmfsep"):
        of()


def test_a_folder_in_the_place_of_the_manifest_is_refused():
    Path("separated/song/song.nmfsep.json").mkdir(parents=True)
    with pytest.raises(UsageError, match="is a folder"):
        of(force=True)


@pytest.mark.parametrize("place", ["separated", "separated/song"])
def test_a_file_in_the_place_of_the_output_folder_is_refused(place):
    Path(place).parent.mkdir(exist_ok=True)
    Path(place).touch()
    with pytest.raises(UsageError, match="cannot be written to; choose another folder") as caught:
        of()
    assert caught.value.path == "separated/song"


def test_an_error_of_the_system_is_told_in_its_words(monkeypatch):
    def stat(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "stat", stat)
    with pytest.raises(UsageError, match=r"^input/output error$"):
        of()


def guide(*labels, name="kit.npz"):
    view = Templates(STFT(256), np.ones((129, len(labels)), np.float32), np.arange(len(labels)))
    return Guide((Dictionaries((Dictionary((view,), labels, 8000),), (name,), ("0" * 64,)),))


def guided(kit, given=None, **output):
    kit = dataclasses.replace(kit, given=given or {})
    return plan(("song.wav",), RunOptions(kit.settings(), OutputSettings(**output), kit))


def test_stems_are_called_by_the_labels_of_a_dictionary():
    (job,) = guided(guide("kick", "snare"))
    assert job.names == ("kick", "snare")
    assert job.targets == (Path("separated/song/kick.wav"), Path("separated/song/snare.wav"))
    (job,) = guided(guide("kick", "snare"), {"free": 3}, only=("snare", "residual"))
    assert (job.names, job.selected) == (("kick", "snare", "residual"), (1, 2))


@pytest.mark.parametrize(
    "label", ["...", "{stem}", "a\nb", "\udcff", "鼓" * 66, "-k", "~", "..\\..\\evil", "c:evil", "con"]
)
def test_odd_labels_stay_in_the_folder_and_fit_into_it(label):
    (job,) = guided(guide("kick", label))
    target = job.targets[1]
    assert target.parent == Path("separated/song")
    assert ntpath.basename(target.name) == target.name != "con.wav"  # on no system
    assert len(os.fsencode(target.name)) <= 255


def test_a_label_as_long_as_may_be_is_cut_to_a_name_that_fits():
    (job,) = guided(guide("x" * 200, "鼓" * 200))
    assert [len(os.fsencode(path.name)) <= 255 for path in job.targets] == [True, True]
    assert job.targets[1].name.endswith(".wav")


def test_a_label_named_like_the_residual_is_refused_with_what_to_do():
    with pytest.raises(UsageError, match="another stem; give --residual=NAME"):
        guided(guide("kick", "residual"), {"free": 3})
    assert guided(guide("kick", "residual"), {"free": 3, "residual": "rest"})[0].names[-1] == "rest"
    with pytest.raises(UsageError, match="would be written for"):
        guided(guide("kick", "Residual"), {"free": 3})


def test_a_dictionary_is_not_overwritten_by_a_stem():
    os.makedirs("separated/song")
    Path("separated/song/kick.wav").write_bytes(b"a dictionary")
    kit = guide("kick", "snare", name="separated/song/kick.wav")
    with pytest.raises(UsageError, match="is an input and would be overwritten"):
        guided(kit, force=True)


@pytest.mark.parametrize("settings", [Settings(free=2), Settings(adapt=0.5)])
def test_what_only_a_dictionary_gives_a_meaning_is_refused_without(settings):
    with pytest.raises(UsageError, match="with guidance only; give a dictionary with -m"):
        of(settings=settings)


@pytest.mark.parametrize("given", [{"free": 2}, {"adapt": 0.5}, {"sparsity": 1.0}])
def test_a_solver_that_cannot_do_what_a_dictionary_needs_is_refused_before_any_work(given):
    with pytest.raises(UsageError, match="solver 'hals' knows no"):
        guided(guide("kick", "snare"), {"solver": "hals", "divergence": 2} | given)
    assert guided(guide("kick", "snare"), {"solver": "hals", "divergence": 2})
