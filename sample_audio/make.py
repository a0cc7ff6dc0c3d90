"""Compose the sample pieces and write each mixture together with its true stems, and the sounds of a drum kit.

The stems are rounded to 16 bits before they are added, so that they add up to the mixture bit for bit.
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import instruments as ins
import numpy as np
import soundfile as sf
from instruments import SAMPLE_RATE, Signal
from numpy.typing import NDArray

Stems = dict[str, Signal]

PEAK = 0.85 * 2**15  # of the mixture, in 16-bit steps


def generator(seed: int) -> np.random.Generator:
    """Return a generator whose bit stream numpy promises to keep, unlike that of its default one.

    Parameters
    ----------
    seed : int
        Seed of the stream.
    """
    return np.random.Generator(np.random.PCG64(seed))


def hertz(note: str) -> float:
    """Return the equal-tempered frequency in Hz of a natural note such as ``C4``; A4 is 440 Hz.

    Parameters
    ----------
    note : str
        Letter and octave.
    """
    return 440 * math.pow(2, ("C.D.EF.G.A.B".index(note[0]) - 9) / 12 + int(note[1]) - 4)


def silence(duration: float) -> Signal:
    """Return an empty mono track.

    Parameters
    ----------
    duration : float
        Length in seconds.
    """
    return np.zeros(round(duration * SAMPLE_RATE))


def place(track: Signal, tone: Signal, start: float) -> None:
    """Add a tone to a track in place; what would ring on after the end is dropped.

    Parameters
    ----------
    track, tone : numpy.ndarray
        Mono signals.
    start : float
        Onset in seconds; an onset before the track begins is moved to its beginning.
    """
    first = max(round(start * SAMPLE_RATE), 0)
    part = track[first : first + len(tone)]
    part += tone[: len(part)]


def play(track: Signal, strike: Callable[[], Signal], pattern: str, step: float, rng: np.random.Generator) -> None:
    """Strike a drum on the digits of a pattern, never twice quite as hard or quite in time.

    Parameters
    ----------
    track : numpy.ndarray
        Mono signal to add to, in place.
    strike : callable
        Makes one stroke.
    pattern : str
        One character a step: a velocity from 1 to 9 or a dot for a rest; spaces are ignored.
    step : float
        Length of a step in seconds.
    rng : numpy.random.Generator
        Source of the human touch.
    """
    for i, velocity in enumerate(pattern.replace(" ", "")):
        if velocity != ".":
            place(track, int(velocity) / 9 * rng.uniform(0.9, 1.0) * strike(), i * step + rng.normal(0, 0.003))


def pan(track: Signal, position: float) -> Signal:
    """Place a mono track between two loudspeakers with constant power.

    Parameters
    ----------
    track : numpy.ndarray
        Mono signal.
    position : float
        From -1 (left) over 0 (centre) to 1 (right).

    Returns
    -------
    numpy.ndarray
        Stereo signal of shape (samples, 2).
    """
    angle = (position + 1) * np.pi / 4
    return np.outer(track, [np.cos(angle), np.sin(angle)])


TRIAD = ["C", "E", "G", "CE", "EG", "CG", "CEG", "G", "E", "C", "CG", "CE", "EG", "CEG", "E", "C", "G", "CEG"]
TRIAD_STEP = 0.4  # seconds


def triad() -> Stems:
    """Three piano notes, mono: each several times alone, in pairs and all together."""
    rng = generator(1)
    step = TRIAD_STEP
    stems = {name: silence(len(TRIAD) * step + 1.3) for name in ("C4", "E4", "G4")}
    for i, chord in enumerate(TRIAD):
        duration = 1.6 if i == len(TRIAD) - 1 else 1.05 * step
        for letter in chord:
            velocity = rng.uniform(0.6, 1.0)
            tone = ins.piano(hertz(f"{letter}4"), duration, velocity, rng)
            place(stems[f"{letter}4"], velocity * tone, i * step + rng.uniform(0, 0.01))
    return stems


def drums() -> Stems:
    """Four bars of rock drums, mono: kick, snare and hi-hat."""
    rng = generator(2)
    step = 60 / 112 / 4
    kick = "9......7 9.5..... 9......7 9.5..... 9......7 9.5....4 9......7 9......."
    snare = "....9... ....9..2 ....9..2 ....9... ....9... ....9..2 ....9... ..5.7689"
    closed = "8.4.7.4. 8.4.7.4. 8.4.7.4. 8.4.7... 8.4.7.4. 8.4.7.4. 8.4.7.4. 8......."
    opened = "........ ........ ........ ......7. ........ ........ ........ ........"
    stems = {name: silence(64 * step + 0.3) for name in ("kick", "snare", "hihat")}
    play(stems["kick"], lambda: ins.kick(rng), kick, step, rng)
    play(stems["snare"], lambda: 0.9 * ins.snare(rng), snare, step, rng)
    play(stems["hihat"], lambda: 0.6 * ins.hihat(0.12, rng), closed, step, rng)
    play(stems["hihat"], lambda: 0.6 * ins.hihat(0.5, rng), opened, step, rng)
    return stems


def song() -> Stems:
    """Four bars and a last chord, stereo: guitar on the left, bells on the right, bass and drums in the centre."""
    rng = generator(3)
    beat = 60 / 108
    bar = 4 * beat
    end = 4 * bar + 1.8
    chords = ["A2 E3 A3 C4 E4", "F2 F3 A3 C4 F4", "C3 G3 C4 E4 G4", "G2 D3 G3 B3 D4", "A2 E3 A3 C4 E4"]
    guitar, bass, bells, kit = (silence(end) for _ in range(4))

    for i, strings in enumerate(chords[:-1]):
        for eighth, string in enumerate((0, 2, 3, 4, 1, 3, 4, 2)):
            start = i * bar + eighth * beat / 2
            # A string rings on until the hand changes the chord.
            tone = ins.pluck(hertz(strings.split()[string]), (i + 1) * bar - start)
            place(guitar, rng.uniform(0.7, 1.0) * tone, start + rng.uniform(0, 0.008))
    for i, note in enumerate(chords[-1].split()):
        place(guitar, rng.uniform(0.7, 1.0) * ins.pluck(hertz(note), 1.65), 4 * bar + 0.025 * i)

    rhythm = (0.0, 1.5), (1.5, 0.5), (2.0, 1.0), (3.0, 1.0)  # onsets and lengths in beats
    for i, notes in enumerate(("A1 A1 E2 A1", "F1 F1 C2 F1", "C2 C2 G1 C2", "G1 G1 D2 G1")):
        for note, (onset, length) in zip(notes.split(), rhythm, strict=True):
            tone = ins.bass(hertz(note), 0.95 * length * beat)
            place(bass, rng.uniform(0.8, 1.0) * tone, i * bar + onset * beat + rng.uniform(0, 0.006))
    place(bass, ins.bass(hertz("A1"), 1.7), 4 * bar)

    melody = "E5 . A5 B5  C6 . A5 .  G5 E5 . G5  B5 . D6 .  C6"
    for i, note in enumerate(melody.split()):
        if note != ".":
            place(bells, rng.uniform(0.7, 1.0) * ins.bar(hertz(note), 1.75), i * beat + rng.uniform(0, 0.01))

    sixteenth = beat / 4
    play(kit, lambda: ins.kick(rng), 3 * "9.....6. 8......." + "9.....6. 8....6.. 9", sixteenth, rng)
    play(kit, lambda: 0.8 * ins.snare(rng), 3 * "....9... ....9..2" + "....9... ....9.57", sixteenth, rng)
    play(kit, lambda: 0.4 * ins.hihat(0.12, rng), 4 * "8.5.7.5. 8.5.7.5.", sixteenth, rng)
    play(kit, lambda: 0.35 * ins.hihat(0.9, rng), 64 * "." + "9", sixteenth, rng)
    return {
        "guitar": pan(0.35 * guitar, -0.7),
        "bass": pan(0.7 * bass, 0),
        "bells": pan(0.5 * bells, 0.7),
        "drums": pan(1.0 * kit, 0),
    }


def voice() -> Stems:
    """Sing two phrases over the chords C, F and C of an organ, mono."""
    rng = generator(4)
    chord = 2.7
    stems = {name: silence(3 * chord) for name in ("voice", "organ")}
    for i, keys in enumerate(("C3 G3 C4 E4", "F3 A3 C4 F4", "C3 G3 C4 E4")):
        for key in keys.split():
            place(stems["organ"], 0.2 * ins.organ(hertz(key), chord), i * chord)
    phrases = [(0.3, 3.3, "E3 E3 G3 G3 A3 G3", "aoaeia"), (4.1, 3.5, "A3 A3 G3 F3 E3 E3", "oauieo")]
    for start, duration, notes, vowels in phrases:
        pitches = np.array([hertz(note) for note in notes.split()])
        place(stems["voice"], ins.voice(pitches, vowels, duration, rng), start)
    return stems


def rain() -> Stems:
    """Sing a phrase in the rain, mono; for the first second and a half it only rains."""
    rng = generator(5)
    stems = {name: silence(6.0) for name in ("voice", "rain")}
    place(stems["rain"], 0.8 * ins.rain(6.0, rng), 0)
    pitches = np.array([hertz(note) for note in ["E3", "G3", "A3", "G3", "E3", "D3", "E3"]])
    place(stems["voice"], ins.voice(pitches, "aoeiuoa", 4.2, rng), 1.6)
    return stems


def kit() -> Stems:
    """Strike each drum of the loop by itself, mono: sounds to learn from, of which none is in the loop."""
    rng = generator(6)
    stems = {name: silence(1.8) for name in ("kick", "snare", "hihat")}
    play(stems["kick"], lambda: 0.9 * ins.kick(rng), "9.7.8", 0.35, rng)
    play(stems["snare"], lambda: 0.9 * ins.snare(rng), "9.5.8", 0.35, rng)
    play(stems["hihat"], lambda: 0.6 * ins.hihat(0.12, rng), "85.", 0.35, rng)
    play(stems["hihat"], lambda: 0.6 * ins.hihat(0.5, rng), "...7.", 0.35, rng)
    return stems


KIT_STEP = 0.35  # seconds


def one_shots(name: str, steps: list[int]) -> list[Signal]:
    """Cut the strokes of a drum at these steps of the kit, each up to the next stroke or step, as a sampler has them.

    Parameters
    ----------
    name : str
        Drum.
    steps : list of int
        Where it is struck in the kit.
    """
    sound = quantise(kit())[name] / 2**15
    starts = [max(0, round((step * KIT_STEP - 0.02) * SAMPLE_RATE)) for step in steps]
    lengths = [round(0.7 * SAMPLE_RATE) if name != "hihat" else round(KIT_STEP * SAMPLE_RATE)] * len(steps)
    return [sound[start : start + length] for start, length in zip(starts, lengths, strict=True)]


def sequence(track: Signal, shots: list[Signal], pattern: str, step: float, rng: np.random.Generator) -> None:
    """Play one-shots in turn on the digits of a pattern, with velocities and swing, each at a whole sample.

    Parameters
    ----------
    track : numpy.ndarray
        Mono signal to add to, in place.
    shots : list of numpy.ndarray
        Strokes.
    pattern : str
        As in `play`.
    step : float
        Length of a step in seconds; every second one comes late.
    rng : numpy.random.Generator
        Source of the velocities.
    """
    played = 0
    for i, velocity in enumerate(pattern.replace(" ", "")):
        if velocity != ".":
            swing = 0.16 * step * (i % 2)
            place(track, int(velocity) / 9 * rng.uniform(0.8, 1.0) * shots[played % len(shots)], i * step + swing)
            played += 1


def beat() -> Stems:
    """Four bars that a drum machine plays, mono: strokes of the kit that return exactly, but for velocity."""
    rng = generator(7)
    step = 60 / 96 / 4
    kick = "9..4..7. 9....6.. 9..4..7. 9....6.5 9..4..7. 9....6.. 9..4..7. 9..69..."
    snare = "....9..2 ....9... ....9..2 ..3.9... ....9..2 ....9... ....9..2 ..5.7689"
    closed = "8.4.7.43 8.4.7.4. 8.4.7.43 8.4.7... 8.4.7.43 8.4.7.4. 8.4.7.43 8......."
    opened = "........ ........ ........ ......7. ........ ........ ........ ...7...."
    stems = {name: silence(64 * step + 0.5) for name in ("kick", "snare", "hihat")}
    sequence(stems["kick"], one_shots("kick", [0, 2, 4]), kick, step, rng)
    sequence(stems["snare"], one_shots("snare", [0, 2, 4]), snare, step, rng)
    sequence(stems["hihat"], one_shots("hihat", [0, 1]), closed, step, rng)
    sequence(stems["hihat"], one_shots("hihat", [3]), opened, step, rng)
    return stems


def quantise(stems: Stems) -> dict[str, NDArray[np.int16]]:
    """Scale all stems alike so that their sum peaks at PEAK, and round them to 16 bits.

    Parameters
    ----------
    stems : dict of str to numpy.ndarray
        Signals of one shape.
    """
    peak = np.abs(np.sum(list(stems.values()), axis=0)).max()
    return {name: np.rint(stem * (PEAK / peak)).astype(np.int16) for name, stem in stems.items()}


def write(name: str, stems: dict[str, NDArray[np.int16]], folder: Path) -> None:
    """Write a mixture as NAME.wav and its stems as stems/NAME/STEM.flac.

    Parameters
    ----------
    name : str
        Name of the piece.
    stems : dict of str to numpy.ndarray
        The signals that add up to it.
    folder : pathlib.Path
        Where to write; made if need be.
    """
    mixture = np.sum(list(stems.values()), axis=0, dtype=np.int16)
    save(folder / f"{name}.wav", mixture)
    for stem, signal in stems.items():
        save(folder / "stems" / name / f"{stem}.flac", signal)


def save(path: Path, signal: NDArray[np.int16]) -> None:
    """Write a signal and print its path.

    Parameters
    ----------
    path : pathlib.Path
        Where to write; its folder is made if need be.
    signal : numpy.ndarray
        Samples.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, signal, SAMPLE_RATE, subtype="PCM_16")
    print(path)


def score(path: Path) -> None:
    """Write the notes of the triad as MIDI, one track, and print its path.

    Parameters
    ----------
    path : pathlib.Path
        Where to write.
    """
    import mido

    file = mido.MidiFile(ticks_per_beat=480)
    track = file.add_track("piano")
    track.append(mido.MetaMessage("set_tempo", tempo=round(TRIAD_STEP * 1e6)))
    for chord in TRIAD:
        keys = [{"C": 60, "E": 64, "G": 67}[letter] for letter in chord]
        track += [mido.Message("note_on", note=key, velocity=80) for key in keys]
        track += [mido.Message("note_off", note=key, time=480 * (i == 0)) for i, key in enumerate(keys)]
    file.save(path)
    print(path)


def main() -> None:
    """Write every piece into the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Write the sample pieces and their stems.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent, help="default: beside this file")
    folder = parser.parse_args().folder
    for compose in (triad, drums, song, voice, rain, beat):
        write(compose.__name__, quantise(compose()), folder)
    score(folder / "triad.mid")
    for name, signal in quantise(kit()).items():
        save(folder / "kit" / f"{name}.wav", signal)


if __name__ == "__main__":
    main()
