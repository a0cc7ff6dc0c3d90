"""Names a knob can take, with what they mean, where no registry holds them."""

from __future__ import annotations

CHANNEL_MODES = {
    "joint": "one Z for all channels, a part of W for each",
    "mid": "one W and Z from the sum of the channels, in which what is out of phase cancels",
    "independent": "a W and Z of its own for every channel",
}
WINDOWS = {
    "hann": "raised cosine",
    "hamming": "raised cosine on a pedestal",
    "blackman": "lower side lobes, wider main lobe",
    "cosine": "half a sine",
    "boxcar": "no taper",
}

MIDI_STEMS = {
    "track": "its tracks, or channels where there is but one track",
    "pitch": "its pitches",
}
CONTAINERS = {
    "wav": "WAV, and RF64 beyond 4 GiB",
    "rf64": "RF64",
    "w64": "Sony Wave64",
    "aiff": "AIFF",
    "flac": "FLAC, lossless, half the size",
    "ogg": "Ogg Vorbis, lossy: stems add up before encoding only",
    "mp3": "MP3, lossy: stems add up before encoding only",
}
CLIP_MODES = {
    "clamp": "hold it there and give the excess to the other stems, so that the sum stays exact",
    "rescale": "turn all stems down by one factor",
    "error": "fail",
}
FREE = {
    "W": "the templates",
    "Z": "the activations",
}
TITLES = {
    "number": "component-1, component-2 and so on",
    "auto": "its number and what it sounds like, such as 1-A4 or 2-low-drum-62Hz",
}
MATCHES = {
    "name": "the estimate of the same name",
    "best": "the assignment with the largest sum of SDRs",
}
PRESETS = {"drums": ("kick", "snare", "hihat"), "voice": ("voice", "accompaniment"), "noise": ("signal", "noise")}
