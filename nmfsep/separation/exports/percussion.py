"""The keys of drums, by their names: the percussion key map of General MIDI, level 1."""

from __future__ import annotations

import re

# the first that is found in a name counts; words are divided by a space, and a plural ends in s
KEYS = (
    (r"open ?(hi ?)?hats?|ohh?", 46),
    (r"(pedal|foot) ?(hi ?)?hats?|phh", 44),
    (r"(closed? ?)?(hi ?)?hats?|c?hh|hats?closed", 42),
    (r"side ?sticks?|rim ?(shots?|clicks?)?|rims|cross ?sticks?", 37),
    (r"(hand ?)?clap(s|ping)?", 39),
    (r"snares?( ?drums?)?|sd|snr", 38),
    (r"(bass|kick) ?drums?|kicks?|bd|kik", 36),
    (r"floor ?toms?|low ?floor ?toms?", 41),
    (r"(high|hi) ?toms?", 50),
    (r"(mid|middle|medium) ?toms?", 47),
    (r"(low ?)?(tom ?)?toms?", 45),
    (r"splash(es)?", 55),
    (r"(china|chinese)( ?cymbals?)?", 52),
    (r"(ride ?)?bells?", 53),
    (r"rides?( ?cymbals?)?", 51),
    (r"crash(es)?( ?cymbals?)?|cymbals?", 49),
    (r"tambourines?", 54),
    (r"cow ?bells?", 56),
    (r"vibra ?slaps?", 58),
    (r"bongos?", 60),
    (r"congas?", 63),
    (r"timbales?", 65),
    (r"agogos?", 67),
    (r"cabasas?", 69),
    (r"maracas?|shakers?", 70),
    (r"guiros?", 74),
    (r"claves?", 75),
    (r"wood ?blocks?", 76),
    (r"triangles?", 81),
)
KIT = r"drums?|percussion|perc|(drum ?)?kits?|beats?"


def key_of(name: str) -> int | None:
    """Return the key of a drum of that name, 0 for a kit of several, None where a name says nothing of drums.

    Examples
    --------
    >>> key_of("Kick_in"), key_of("hi-hat 2"), key_of("drums"), key_of("atom")
    (36, 42, 0, None)
    """
    words = " ".join(re.findall("[a-z]+", name.casefold()))
    for pattern, key in (*KEYS, (KIT, 0)):
        if re.search(rf"\b(?:{pattern})\b", words):
            return key
    return None
