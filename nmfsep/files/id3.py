"""ID3 tags: text and the cover out of versions 2.2 to 2.4, and into 2.4 (id3.org)."""

from __future__ import annotations

from collections.abc import Iterator

NAMES = {
    "TIT2": "title", "TPE1": "artist", "TALB": "album", "TPE2": "albumartist", "TRCK": "tracknumber",
    "TPOS": "discnumber", "TDRC": "date", "TCON": "genre", "TCOM": "composer", "TCOP": "copyright", "TBPM": "bpm",
    "TKEY": "initialkey", "TSRC": "isrc", "TPUB": "organization", "TEXT": "lyricist", "TYER": "date",
}  # fmt: skip
OLD = {
    "TT2": "TIT2", "TP1": "TPE1", "TAL": "TALB", "TP2": "TPE2", "TRK": "TRCK", "TPA": "TPOS", "TYE": "TYER",
    "TCO": "TCON", "TCM": "TCOM", "TCR": "TCOP", "TBP": "TBPM", "TKE": "TKEY", "COM": "COMM", "TXX": "TXXX",
    "PIC": "APIC",
}  # fmt: skip
# of the file or of its listener, not of the sound
TECHNICAL = ("PRIV", "TLEN", "TSSE", "TENC", "TDTG", "PCNT", "POPM", "UFID", "MCDI", "RVA2", "TSS", "TEN", "TLE")
CODES = ("latin-1", "utf-16", "utf-16-be", "utf-8")
FRONT = 3  # the kind of picture that a front cover is


def frames_of(data: bytes) -> tuple[dict[str, str], tuple[str, bytes] | None, list[str]]:
    """Return the text of the tag that data begin with, by Vorbis names, the cover, and what else there is.

    The cover is its media type and bytes; what else there is are names of frames. What makes no sense is left out.
    """
    text, cover, left = dict[str, str](), None, list[str]()
    for name, body in _frames(data):
        if name not in (*NAMES, "COMM", "TXXX", "APIC"):
            left += [f"ID3 {name}"] if name not in (*TECHNICAL, *left) and name.isalnum() else []
            continue
        code = CODES[body[0]] if body and body[0] < len(CODES) else ""
        if not code:
            continue
        if name in ("COMM", "TXXX"):
            title, value = _parted(body[4 if name == "COMM" else 1 :], code)
            key = "comment" if name == "COMM" and not _decoded(title, code) else _decoded(title, code).lower()
            if key and "=" not in key and key.isascii() and key.isprintable():
                text.setdefault(key, _decoded(value, code))
        elif name == "APIC":
            kind, _, rest = body[1:].partition(b"\0") if data[3] > 2 else (body[1:4], b"", body[4:])
            picture = _parted(rest[1:], code)[1]
            if picture and (cover is None or rest[:1] == bytes([FRONT])):
                cover = ("image/png" if b"png" in kind.lower() else "image/jpeg", picture)
        elif name in NAMES:
            text[NAMES[name]] = _decoded(body[1:], code)
    return text, cover, left


def _frames(data: bytes) -> Iterator[tuple[str, bytes]]:
    if data[:3] != b"ID3" or len(data) < 10:
        return
    version, flags = data[3], data[5]
    end = min(len(data), 10 + _synchsafe(data[6:10]))
    body = data[10:end]
    if flags & 0x80 and version < 4:
        body = body.replace(b"\xff\0", b"\xff")
    place = 0
    if flags & 0x40 and version > 2:
        place = _synchsafe(body[:4]) if version == 4 else 4 + int.from_bytes(body[:4], "big")
    wide = 3 if version == 2 else 4  # bytes of a name
    head = 6 if version == 2 else 10
    while place + head < len(body) and body[place]:
        raw = body[place + wide : place + 2 * wide]
        length = _synchsafe(raw) if version == 4 else int.from_bytes(raw, "big")
        name = body[place : place + wide].decode("latin-1")
        frame, form = body[place + head : place + head + length], body[place + 9] if version > 2 else 0
        if place + head + length > len(body):
            return
        if version == 4 and form & 0x02:
            frame = frame.replace(b"\xff\0", b"\xff")
        if version == 4 and form & 0x01:  # its length comes first
            frame = frame[4:]
        if not form & (0x4C if version == 4 else 0xE0):  # neither packed, nor secret, nor in a group
            yield OLD.get(name, name), frame
        place += head + length


def _synchsafe(data: bytes) -> int:
    value = 0
    for byte in data:
        value = value << 7 | byte & 0x7F
    return value


def _parted(data: bytes, code: str) -> tuple[bytes, bytes]:
    """Return a text up to its NUL, and what follows."""
    if not code.startswith("utf-16"):
        first, _, rest = data.partition(b"\0")
        return first, rest
    end = next((at for at in range(0, len(data) - 1, 2) if not data[at] and not data[at + 1]), len(data))
    return data[:end], data[end + 2 :]


def _decoded(data: bytes, code: str) -> str:
    """Return text; several ones, between NULs, with semicolons."""
    text = data.decode(code, "replace").replace("\ufeff", "")
    return "; ".join(part for part in text.split("\0") if part)


def id3(text: dict[str, str], cover: tuple[str, bytes] | None, size: int = 0) -> bytes:
    """Return a tag of version 2.4, filled up with zeros to at least a size in bytes."""
    names = {key: name for name, key in NAMES.items() if name != "TYER"}
    frames = b""
    for key, value in text.items():
        if key == "comment":
            frames += _frame("COMM", b"\x03eng\0" + value.encode())
        elif name := names.get(key):
            frames += _frame(name, b"\x03" + value.encode())
        else:
            frames += _frame("TXXX", b"\x03" + key.upper().encode() + b"\0" + value.encode())
    if cover:
        frames += _frame("APIC", b"\x03" + cover[0].encode() + b"\0" + bytes([FRONT, 0]) + cover[1])
    frames = frames.ljust(size - 10, b"\0")
    return b"ID3\x04\0\0" + _safe(len(frames)) + frames


def _frame(name: str, body: bytes) -> bytes:
    return name.encode() + _safe(len(body)) + b"\0\0" + body


def _safe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))
