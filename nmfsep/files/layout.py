"""Which sounds a file consists of, each as the decoder shall see it.

Tags are taken off first, so that what is behind them is known for what it is. Then all sound is found, also what no
header promises: files that were joined, chains of Ogg, frames that were not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from ..errors import InputError
from . import flac, mpeg, pages
from .containers import ADMITTED, JOINED, Container, after, identify
from .tags import sound_start
from .view import View, beyond_4_gib, buffered

UNKNOWN = 0xFFFFFFFF  # a size field that means "to the end of the file"


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file consists of.

    Attributes
    ----------
    container : Container
        Of the first sound.
    sounds : list of View
        In their order; none where the decoder gets the file as it is.
    warnings : list of str
        What is odd about the file.
    """

    container: Container
    sounds: list[View]
    warnings: list[str]


def survey(file: BinaryIO, size: int) -> Layout:
    """Return what a seekable file of that size in bytes consists of.

    Raises
    ------
    InputError
        Nothing that this program opens.
    """
    start = sound_start(file, size)
    if start and start == size:
        raise InputError("holds nothing but a tag", "it was cut")
    bare = buffered(View(file, [range(start, size)])) if start else file
    container = identify(bare, size - start, start > 0)
    find = {"MP3": mpeg.runs, "OGG": _ogg, "FLAC": _flac}.get(container.kind, _chunked)
    sounds, warnings = find(bare, size - start)
    if start and not sounds:
        raise InputError("is not audio of a kind that is known", ADMITTED)
    if len(sounds) == 1 and sounds[0].parts == [range(size)]:
        sounds = []
    return Layout(container, [sound.moved(file, start) if start else sound for sound in sounds], warnings)


def _ogg(file: BinaryIO, size: int) -> tuple[list[View], list[str]]:
    links, warnings = pages.links(file, size)
    sounds = []
    for view, is_flac in links:
        if is_flac:
            view, more = flac.complete(buffered(view), range(view.size))
            warnings += more
        sounds.append(view)
    return sounds, warnings


def _flac(file: BinaryIO, size: int) -> tuple[list[View], list[str]]:
    found = [flac.complete(file, part) for part in flac.parts(file, size)]
    return [view for view, _ in found], [warning for _, warnings in found for warning in warnings]


def _chunked(file: BinaryIO, size: int) -> tuple[list[View], list[str]]:
    """Return the sounds of a file of the WAV family, of AIFF or of CAF, one unless several were joined."""
    sounds, warnings, begin = list[View](), list[str](), 0
    while begin < size:
        rest = buffered(View(file, [range(begin, size)]))
        container = identify(rest, size - begin)
        view, end = _of_chunks(rest, size - begin, container, warnings)
        sounds.append(view.moved(file, begin) if view else View(file, [range(begin, begin + end)]))
        begin += end
    return sounds, warnings


def _of_chunks(file: BinaryIO, size: int, container: Container, warnings: list[str]) -> tuple[View | None, int]:
    """Return a sound, None if it is as it should be, and where the next one begins, `size` if there is none."""
    if container.data_size is None or container.data_start is None:
        return None, size
    there, promised = size - container.data_start, container.data_size
    if container.kind == "CAF" and promised == -1:
        size_at = container.data_start - 12
        head, length = range(size_at), (there + 4).to_bytes(8, "big")
        return View(file, [head, length, range(size_at + 8, size)]), size
    if promised > there:
        streamed = promised == UNKNOWN or 0x7FFFF000 <= promised <= 0x7FFFFFFF or promised >= 1 << 62
        if there < container.block:
            raise InputError("holds no samples")
        if not streamed:
            warnings.append(
                f"the header promises {promised} bytes of samples, the file has {there}; "
                "it was cut, and what is there is used"
            )
        return None, size
    unfinished = promised < 0 or (promised == 0 and container.kind not in ("AIFF", "CAF"))
    if unfinished and there >= container.block:
        hint = "repair it first, as with 'sox --ignore-length IN OUT'"
        raise InputError(f"has a header that was never finished: it promises no samples, {there} bytes follow", hint)
    wrapped = size > 1 << 32 and there - promised >= (1 << 32) - (1 << 16)
    if container.kind == "WAV" and (wrapped or promised == UNKNOWN):  # the size passed 4 GiB and began again at zero
        if wrapped:
            warnings.append(f"the header says {promised} bytes of samples where {there} follow; all of them are used")
        return beyond_4_gib(file, container, there), size
    end = after(file, container, size)
    file.seek(end)
    if file.read(4) in JOINED[container.kind]:
        return None, end
    file.seek(end)
    lost = sum(len(chunk.rstrip(b"\0")) for chunk in iter(lambda: file.read(1 << 20), b""))
    if lost:
        warnings.append(f"the header promises {promised} bytes of samples; {lost} more follow it and are left out")
        return View(file, [range(end)]), size
    return None, size
