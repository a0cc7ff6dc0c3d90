"""Tags: what a file says of its sound besides the samples, read from it and put into its stems.

Text has the names of Vorbis comments, whatever the file calls it. Chunks of RIFF that DAWs use (bext, iXML, cue, smpl,
LIST adtl and others) are copied as they are; times in them move along if only a stretch is separated. What describes
the samples of the mixture, such as loudness, is left out, since it is false of its stems.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from .containers import Container, chunks
from .id3 import frames_of, id3
from .mpeg import sound_start
from .publish import Output
from .view import View, bytes_at
from .write import set_serial

LIMIT = 1 << 23  # bytes of all tags; larger ones are left behind
MOST = 1 << 10  # chunks or comments
SLACK = 1 << 7  # bytes kept free around the name of a stem in its title
OPUS_ROOM = 60_000  # bytes of tags that libsndfile writes in front of Opus at the most
# chunks that are the sound itself, fill gaps, or are true of the mixture only
NOT_TAGS = (b"fmt ", b"data", b"ds64", b"fact", b"PEAK", b"JUNK", b"junk", b"FLLR", b"PAD ", b"levl", b"MD5 ", b"SSND",
            b"COMM", b"FVER")  # fmt: skip
JOINED = (b"RIFF", b"RF64", b"BW64", b"FORM")
OF_THE_MIXTURE = ("replaygain_", "r128_", "itun", "encod", "software", "acoustid_fingerprint", "major_brand",
                  "minor_version", "compatible_brands", "creation_time", "tlen", "handler_name", "vendor_id",
                  "language")  # fmt: skip
INFO = {b"INAM": "title", b"IART": "artist", b"IPRD": "album", b"ICRD": "date", b"IGNR": "genre", b"ICMT": "comment",
        b"ICOP": "copyright", b"ITRK": "tracknumber", b"ISFT": "software", b"ISRC": "source"}  # fmt: skip
AIFF_TEXT = {b"NAME": "title", b"AUTH": "artist", b"(c) ": "copyright", b"ANNO": "comment"}
FFMPEG = {"album_artist": "albumartist", "track": "tracknumber", "disc": "discnumber"}
MASK = "waveformatextensible_channel_mask"  # of FLAC
PLAIN = bytes.fromhex("000000001000800000aa00389b71")  # how the name of a sample format ends, but for ambisonics
USUAL = {1: (0, 4), 2: (0, 3)}  # masks that say no more than the number of channels


@dataclass(frozen=True, slots=True)
class Tags:
    """What a file says of its sound."""

    text: dict[str, str] = field(default_factory=dict)
    cover: tuple[str, bytes] | None = None  # its media type, and the picture
    chunks: tuple[tuple[bytes, bytes], ...] = ()  # of RIFF: name and body
    left: tuple[str, ...] = ()  # what was left behind in reading, in words
    layout: bytes = b""  # which speaker each channel is for: a mask, and how the name of the format ends

    def __bool__(self) -> bool:
        """Whether there is something to write."""
        return bool(self.text or self.cover or self.chunks or self.layout)

    @property
    def room(self) -> int:
        """Bytes that are kept free for them."""
        size = len(_comments(self.text)) + len(self.cover[1] if self.cover else b"") * 4 // 3
        return size + SLACK + 4 * len(self.text.get("title", "")) if self.text or self.cover else 0

    def within(self, form: str) -> tuple[Tags, list[str]]:
        """Return what a format can keep, and what it cannot, in words; "-" is standard output."""
        lost, kept = [*self.left], self
        if form not in ("wav", "rf64"):
            lost += [name.decode("ascii").strip() for name, _ in self.chunks]
            kept = replace(kept, chunks=())
        if form in ("w64", "-"):
            lost += [*(["tags"] if self.text else []), *(["the cover"] if self.cover else [])]
            kept = replace(kept, text={}, cover=None)
        if form == "opus" and kept.cover and kept.room > OPUS_ROOM:
            lost.append("the cover")
            kept = replace(kept, cover=None)
        if self.layout and form == "flac" and self.layout[4:] == PLAIN:
            mask = f"0x{int.from_bytes(self.layout[:4], 'little'):04X}"
            kept = replace(kept, text={**kept.text, MASK: mask}, layout=b"")
        elif self.layout and form not in ("wav", "rf64"):
            lost.append("the places of the channels")
            kept = replace(kept, layout=b"")
        return kept, list(dict.fromkeys(lost))

    def of_stem(self, name: str, track: str, first: int, length: int, whole: bool) -> Tags:
        """Return the tags of a stem of a stretch that begins with sample `first`; of the whole file they stay."""
        text = self.text
        if self.cover or text.keys() - {MASK}:
            text = {**text, "title": f"{text.get('title') or track} ({name})"}
        moved = tuple((kind, body if whole and kind != b"bext" else _moved(kind, body, first, length))
                      for kind, body in self.chunks)  # fmt: skip
        return replace(self, text=text, chunks=moved)


def read(file: BinaryIO, size: int, container: Container) -> Tags:
    """Return what a file of that size in bytes says of its sound; what cannot be understood is left behind."""
    start = sound_start(file, size)
    tags = _of_frames(bytes_at(file, 0, min(start, LIMIT))) if start else Tags()
    if start > LIMIT:
        tags = replace(tags, left=(*tags.left, "larger tags"))
    bare, rest, kind = View(file, [range(start, size)]).buffered(), size - start, container.kind
    if kind in ("WAV", "RF64", "W64", "AIFF"):
        tags = _of_chunks(bare, rest, container, tags)
    elif kind == "FLAC":
        tags = _of_flac(bare, rest, tags)
    elif kind == "OGG":
        tags = _of_ogg(bare, tags)
    text = {key: value for key, value in tags.text.items() if not key.startswith(OF_THE_MIXTURE)}
    return replace(tags, text=text)


def of_ffmpeg(metadata: dict[str, str], cover: bytes) -> Tags:
    """Return the tags that ffmpeg found, and the first picture."""
    text = {FFMPEG.get(key.lower(), key.lower()): value for key, value in metadata.items() if len(value) < LIMIT}
    text = {key: value for key, value in text.items() if not key.startswith(OF_THE_MIXTURE)}
    left = ("a large cover",) if len(cover) >= LIMIT else ()
    return Tags(text, (_media_type(cover), cover) if cover and not left else None, left=left)


def write(output: Output, tags: Tags, form: str, room: int) -> None:
    """Put tags into a file that is complete but for them, and has that many bytes free for them."""
    if tags.layout:
        _set_layout(output, tags.layout)
    if form in ("wav", "rf64"):
        _append(output, [*tags.chunks, *_info(tags)], "little")
    elif form == "aiff" and room:
        _append(output, [(b"ID3 ", id3(tags.text, tags.cover))], "big")
    elif form == "mp3" and room:
        output.seek(0)
        output.write(id3(tags.text, tags.cover, room))
    elif form == "flac" and room:
        _into_flac(output, tags)
    elif form in ("ogg", "opus") and room:
        _into_ogg(output, tags)


# Chunks.


def _of_chunks(file: BinaryIO, size: int, container: Container, tags: Tags) -> Tags:
    text, cover, left, layout = dict(tags.text), tags.cover, [*tags.left], b""
    kept, total = list[tuple[bytes, bytes]](), 0
    for name, start, length in _all_chunks(file, size, container):
        if name in JOINED or not all(32 <= byte < 127 for byte in name) or len(kept) > MOST:
            break
        if name == b"fmt " and length >= 40:
            layout = _layout(bytes_at(file, start, 40))
        if name in NOT_TAGS or not 0 <= length <= size - start or container.kind == "W64":
            continue
        if total + length > LIMIT:
            left.append(f"a large chunk {name.decode('ascii').strip()}")
            continue
        total += length
        body = bytes_at(file, start, length)
        if name.lower() == b"id3 ":
            found = _of_frames(body)
            text, cover, left = {**text, **found.text}, cover or found.cover, [*left, *found.left]
        elif name == b"LIST" and body[:4] == b"INFO":
            text |= {INFO.get(key, key.decode("latin-1").lower()): value for key, value in _info_of(body)}
        elif container.kind == "AIFF":
            text |= {AIFF_TEXT[name]: _text(body)} if name in AIFF_TEXT else {}
        elif name != b"LIST" or body[:4] != b"wavl":
            kept.append((name, body))
    return Tags(text, cover, tuple(kept), tuple(left), layout)


def _all_chunks(file: BinaryIO, size: int, container: Container) -> Iterator[tuple[bytes, int, int]]:
    """Yield the chunks of a file, also those behind samples whose chunk does not say how many they are."""
    for chunk in chunks(file, container.kind, size):
        if chunk[0] == b"data":
            break
        yield chunk
    if container.kind in ("WAV", "RF64") and container.data_start is not None and container.data_size is not None:
        end = container.data_start + container.data_size
        yield from chunks(file, container.kind, size, end + end % 2)


def _layout(body: bytes) -> bytes:
    """Return the mask and the end of the format's name, nothing if they say no more than the number of channels."""
    tag, channels = struct.unpack("<HH", body[:4])
    mask, tail = body[20:24], body[26:40]
    usual = int.from_bytes(mask, "little") in USUAL.get(channels, (0,)) and tail == PLAIN
    return b"" if tag != 0xFFFE or usual else mask + tail


def _info_of(body: bytes) -> Iterator[tuple[bytes, str]]:
    place = 4
    while place + 8 <= len(body):
        length = int.from_bytes(body[place + 4 : place + 8], "little")
        yield body[place : place + 4], _text(body[place + 8 : place + 8 + length])
        place += 8 + length + length % 2


def _info(tags: Tags) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks of text and cover: what has a name of its own in a list, and all as ID3 if some has not."""
    names = {name: key for key, name in INFO.items()}
    pieces, more = b"", tags.cover is not None
    for key, value in tags.text.items():
        own = re.fullmatch("i(?!src)[a-z0-9]{3}", key)  # a name of RIFF that is no Vorbis comment
        name = names.get(key, key.upper().encode() if own else b"")
        more |= not name
        if name:
            body = value.encode() + b"\0"
            pieces += name + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2)
    if pieces:
        yield b"LIST", b"INFO" + pieces
    if more:
        yield b"id3 ", id3(tags.text, tags.cover)


def _append(output: Output, added: list[tuple[bytes, bytes]], order: Any) -> None:
    """Put chunks behind all others, and the new size into the header."""
    if not added:
        return
    output.seek(0, 2)
    output.write(b"\0" * (output.tell() % 2))
    for name, body in added:
        output.write(name + len(body).to_bytes(4, order) + body + b"\0" * (len(body) % 2))
    size = output.tell() - 8
    output.seek(0)
    large = output.read(4) == b"RF64"
    output.seek(20 if large else 4)  # in the chunk ds64
    output.write(size.to_bytes(8 if large else 4, order))


def _set_layout(output: Output, layout: bytes) -> None:
    output.seek(0)
    head = output.read(4096)
    body = head.find(b"fmt ") + 8
    for place, part in ((20, layout[:4]), (26, layout[4:])):
        output.seek(body + place)
        output.write(part)


def _moved(kind: bytes, body: bytes, first: int, length: int) -> bytes:
    """Return a chunk of a stretch of so many samples: its times counted from there, without those out of it."""
    data = bytearray(body)
    if kind == b"bext" and len(data) >= 346:  # by EBU Tech 3285: the time, and since version 2 five loudnesses
        data[338:346] = (int.from_bytes(data[338:346], "little") + first & (1 << 64) - 1).to_bytes(8, "little")
        if int.from_bytes(data[346:348], "little") >= 2 and len(data) >= 422:
            data[412:422] = b"\xff\x7f" * 5  # not said
    elif kind == b"iXML" and first:
        return _moved_xml(body, first)
    elif kind == b"cue ":
        return _entries(body, 4, 0, (4, 20), first, length)
    elif kind == b"smpl":
        return _entries(body, 36, 28, (8, 12), first, length)
    return bytes(data)


def _entries(body: bytes, start: int, count_at: int, places: tuple[int, ...], first: int, length: int) -> bytes:
    """Return a table of entries of 24 bytes, whose sample numbers are at those places of each."""
    kept = b""
    count = min(int.from_bytes(body[count_at : count_at + 4], "little"), (len(body) - start) // 24)
    for at in range(start, start + 24 * max(0, count), 24):
        entry = bytearray(body[at : at + 24])
        moved = [int.from_bytes(entry[place : place + 4], "little") - first for place in places]
        if all(0 <= number < length for number in moved[-1:]) and moved[0] < length:
            for place, number in zip(places, moved, strict=True):
                entry[place : place + 4] = max(0, number).to_bytes(4, "little")
            kept += entry
    rest = body[start + 24 * max(0, count) :]
    return body[:count_at] + (len(kept) // 24).to_bytes(4, "little") + body[count_at + 4 : start] + kept + rest


def _moved_xml(body: bytes, first: int) -> bytes:
    """Return iXML whose time since midnight is later by so many samples."""
    pattern = rb"(<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_%s>\s*)(\d{1,20})"
    found = {part: re.search(pattern % part, body) for part in (b"LO", b"HI")}
    if found[b"LO"] is None:
        return body
    high, low = (int(match[2]) if (match := found[part]) else 0 for part in (b"HI", b"LO"))
    time = (high << 32) + low + first
    for part, value in ((b"LO", time & 0xFFFFFFFF), (b"HI", time >> 32)):
        text = str(value).encode()
        body = re.sub(pattern % part, lambda match, text=text: match[1] + text, body)  # type: ignore[misc]
    return body


# Comments, as FLAC and Ogg have them, and frames, as MP3 has them.


def _of_frames(data: bytes) -> Tags:
    text, cover, left = frames_of(data)
    return Tags(text, cover, left=tuple(left))


def _of_flac(file: BinaryIO, size: int, tags: Tags) -> Tags:
    place, last = 4, False
    while not last and place + 4 <= size:
        head = bytes_at(file, place, 4)
        kind, length, last = head[0] & 0x7F, int.from_bytes(head[1:], "big"), bool(head[0] & 0x80)
        if length <= LIMIT and kind == 4:
            tags = _of_comments(bytes_at(file, place + 4, length), tags)
        elif kind == 6 and length > LIMIT:
            tags = replace(tags, left=(*tags.left, "a large cover"))
        elif kind == 6:
            tags = replace(tags, cover=tags.cover or _picture_of(bytes_at(file, place + 4, length)))
        place += 4 + length
    return tags


def _of_ogg(file: BinaryIO, tags: Tags) -> Tags:
    data = b"".join(bytes_at(file, part.start, len(part)) for part in _second_packet(file))
    for magic in (b"\x03vorbis", b"OpusTags", b"\x04"):  # of Ogg FLAC a block of metadata
        if data.startswith(magic):
            return _of_comments(data[len(magic) if len(magic) > 1 else 4 :], tags)
    return tags


def _second_packet(file: BinaryIO | Output) -> list[range]:
    """Return where the second packet of the first stream of an Ogg file lies."""
    parts, place, packet, total = list[range](), 0, 0, 0
    file.seek(0)
    serial = file.read(18)[14:]
    while packet < 2 and total < 2 * LIMIT:
        file.seek(place)
        head = file.read(27 + 255)
        if head[:4] != b"OggS" or len(head) < 27:
            break
        at = place + 27 + head[26]
        sizes = head[27 : 27 + head[26]]
        for size in sizes if head[14:18] == serial else b"":
            if packet == 1 and size:
                parts.append(range(at, at + size))
            at += size
            packet += size < 255
        place += 27 + head[26] + sum(sizes)
        total += sum(sizes)
    return parts


def _of_comments(data: bytes, tags: Tags) -> Tags:
    text, cover = dict(tags.text), tags.cover
    place = 8 + int.from_bytes(data[:4], "little")
    for _ in range(min(MOST, int.from_bytes(data[place - 4 : place], "little"))):
        length = int.from_bytes(data[place : place + 4], "little")
        key, equals, value = _text(data[place + 4 : place + 4 + length]).partition("=")
        place += 4 + length
        if key.lower() == "metadata_block_picture":
            try:
                cover = cover or _picture_of(base64.b64decode(value, validate=True))
            except (binascii.Error, ValueError):
                continue
        elif equals and key.isascii() and key.isprintable():
            text[key.lower()] = f"{text[key.lower()]}; {value}" if key.lower() in text else value
        if place >= len(data):
            break
    return replace(tags, text=text, cover=cover)


def _comments(text: dict[str, str]) -> bytes:
    """Return a block of comments."""
    comments = [f"{key.upper()}={value}".encode() for key, value in text.items() if "=" not in key]
    body = b"".join(len(each).to_bytes(4, "little") + each for each in comments)
    return struct.pack("<I6sI", 6, b"nmfsep", len(comments)) + body


def _picture_of(data: bytes) -> tuple[str, bytes] | None:
    """Return the picture in a block of FLAC."""
    place = 4
    for more in (0, 16):  # behind the type and a text; its sides, depth and colours follow the latter
        place += 4 + int.from_bytes(data[place : place + 4], "big") + more
    picture = data[place + 4 :][: int.from_bytes(data[place : place + 4], "big")]
    return (_media_type(picture), picture) if picture else None


def _picture(cover: tuple[str, bytes]) -> bytes:
    """Return a block of FLAC with a front cover."""
    kind = cover[0].encode()
    return struct.pack(">II", 3, len(kind)) + kind + bytes(20) + len(cover[1]).to_bytes(4, "big") + cover[1]


def _into_flac(output: Output, tags: Tags) -> None:
    """Write blocks in place of those between the first, of the sound, and the frames."""
    end, last = 42, False
    while not last:
        output.seek(end)
        head = output.read(4)
        end, last = end + 4 + int.from_bytes(head[1:], "big"), bool(head[0] & 0x80)
    blocks = [(4, _comments(tags.text)), *([(6, _picture(tags.cover))] if tags.cover else [])]
    free = end - 42 - sum(4 + len(body) for _, body in blocks) - 4
    output.seek(42)
    for kind, body in (*blocks, (0x81, bytes(free))):  # the last one is padding
        output.write(bytes([kind]) + len(body).to_bytes(3, "big") + body)


def _into_ogg(output: Output, tags: Tags) -> None:
    """Write comments in place of those in the second packet, which is filled up with zeros."""
    text = dict(tags.text)
    if tags.cover:
        text["metadata_block_picture"] = base64.b64encode(_picture(tags.cover)).decode()
    parts = _second_packet(output)
    output.seek(parts[0].start)
    vorbis = output.read(7) == b"\x03vorbis"
    data = (b"\x03vorbis" if vorbis else b"OpusTags") + _comments(text) + (b"\x01" if vorbis else b"")
    data = data.ljust(sum(map(len, parts)), b"\0")
    for part in parts:
        output.seek(part.start)
        output.write(data[: len(part)])
        data = data[len(part) :]
    set_serial(output)


def _text(data: bytes) -> str:
    """Return text up to its NUL, in the code it is most likely in."""
    data = data.split(b"\0")[0]
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _media_type(picture: bytes) -> str:
    return "image/png" if picture[:4] == b"\x89PNG" else "image/jpeg"
