"""Print how fast templates are learned: python tests/benchmarks/learning.py [SECONDS OF SOUND].

`nmfsep learn` of two labels, 20 templates each, against a script of librosa and scikit-learn that learns as many (KL,
multiplicative updates, all else at its defaults). Each is a process of its own, and they run in turn; nmfsep learns
templates at two lengths of frames, the script at one.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from growth import RATE, piece

LONGEST, ROUNDS, TEMPLATES = 600, 3, 20
SCRIPT = """
import sys, warnings
import librosa, numpy as np
from sklearn.decomposition import NMF

warnings.simplefilter("ignore")
kit = {}
for argument in sys.argv[3:]:
    label, path = argument.split("=")
    sound, rate = librosa.load(path, sr=None)
    X = np.abs(librosa.stft(sound))
    model = NMF(int(sys.argv[1]), solver="mu", beta_loss="kullback-leibler", max_iter=200)
    kit[label] = model.fit(X.T).components_.T
np.savez(sys.argv[2], **kit)
"""


def strokes(path, seconds):
    """Write drum-like sounds: bursts of noise in bands, low and high, that fade."""
    rng = np.random.default_rng(1)
    sound = 0.001 * rng.standard_normal(seconds * RATE)
    octaves = np.log2(np.fft.rfftfreq(RATE // 2, 1 / RATE) + 1)
    for start in rng.integers(0, len(sound) - RATE // 2, 6 * seconds):
        hiss = np.fft.rfft(rng.standard_normal(RATE // 2))
        band = np.fft.irfft(hiss * np.exp(-((octaves - rng.uniform(6, 14)) ** 2)))
        sound[start : start + len(band)] += 0.3 * band / abs(band).max() * np.exp(-np.arange(len(band)) / 2000)
    soundfile.write(path, sound, RATE, "PCM_16")


def took(*command):
    """Return the seconds of a process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *map(str, command)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main(seconds):
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder, name + ".wav") for name in ("notes", "strokes")}
        piece(files["notes"], seconds // 2, 1)
        strokes(files["strokes"], seconds // 2)
        labels = [f"{name}={path}" for name, path in files.items()]
        kit = Path(folder, "kit.npz")
        found = [
            (
                took("-m", "nmfsep", "learn", *labels, "-k", TEMPLATES, "-o", kit, "-q", "--force"),
                took("-c", SCRIPT, TEMPLATES, Path(folder, "script.npz"), *labels),
            )
            for _ in range(ROUNDS)
        ]
    ours, theirs = (statistics.median(each) for each in zip(*found, strict=True))
    ratio = statistics.median(script / nmfsep for nmfsep, script in found)
    print(f"learn {seconds} s, 2 x {TEMPLATES} templates: {ours:.1f} s; the script {theirs:.1f} s; {ratio:.1f}x")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else LONGEST)
