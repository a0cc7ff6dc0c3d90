"""The files that sound is read from and that stems can be written to."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError
from ..registry import suggestion

BITS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
LOSSLESS = {**BITS, "ULAW": 16, "ALAW": 16}  # bits that hold a sample of an input exactly
LOSSY_BITS = 24  # of stems of a lossy input, which has no bits of its own
WAV_SUBTYPES = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
# what is taken for a sound where it is not named itself
SUFFIXES = {
    ".wav", ".wave", ".bwf", ".rf64", ".w64", ".aif", ".aiff", ".aifc", ".caf", ".flac", ".ogg", ".oga", ".opus",
    ".mp3", ".m4a", ".m4b", ".aac", ".wma", ".webm", ".mka", ".wv",
}  # fmt: skip
OPUS_RATE = 48000  # to which sound is converted that has none of OPUS_RATES
OPUS_RATES = (8000, 12000, 16000, 24000, OPUS_RATE)
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
WAV_LIMIT = (1 << 32) - (1 << 20)  # bytes; beyond, sizes no longer fit a WAV header and RF64 is written


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A container that stems can be written to."""

    container: str  # libsndfile's name
    extension: str
    subtypes: tuple[str, ...]  # the sample formats it holds
    max_channels: int = 1024
    lossless: bool = True  # samples are kept exactly, so that the files add up to the mixture


FORMATS = {
    "wav": FileFormat("WAV", "wav", WAV_SUBTYPES),
    "rf64": FileFormat("RF64", "wav", WAV_SUBTYPES),
    "w64": FileFormat("W64", "w64", WAV_SUBTYPES),
    "aiff": FileFormat("AIFF", "aiff", ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
    "flac": FileFormat("FLAC", "flac", ("PCM_S8", "PCM_16", "PCM_24"), 8),
    "ogg": FileFormat("OGG", "ogg", ("VORBIS",), 255, lossless=False),
    "opus": FileFormat("OGG", "opus", ("OPUS",), 255, lossless=False),
    "mp3": FileFormat("MP3", "mp3", ("MPEG_LAYER_III",), 2, lossless=False),
}


@dataclass(frozen=True, slots=True)
class SampleFormat:
    """A container and the sample format in it, as resolved for one track."""

    name: str  # key of FORMATS
    subtype: str  # libsndfile's name

    @property
    def file(self) -> FileFormat:
        """The container."""
        return FORMATS[self.name]

    @property
    def bits(self) -> int:
        """Bits of an integer sample; 0 for floating point and for lossy codecs."""
        return BITS.get(self.subtype, 0)

    @property
    def bytes(self) -> int:
        """Bytes of a sample on disk, an upper bound for what is compressed."""
        return {"DOUBLE": 8, "FLOAT": 4}.get(self.subtype, self.bits // 8 or 4)


def is_lossy(subtype: str) -> bool:
    """Whether samples of an input come out of a codec that loses some of the sound."""
    return subtype not in (*LOSSLESS, "FLOAT", "DOUBLE")


def resolve(name: str, subtype: str | None, source: str, channels: int, sample_rate: int) -> SampleFormat:
    """Return the sample format of a track's stems.

    Parameters
    ----------
    name : str
        Key of FORMATS.
    subtype : str or None
        The format asked for; None keeps the input's, or takes the nearest that loses nothing, 24 bits if it is lossy.
    source : str
        Subtype of the input.
    channels, sample_rate : int

    Raises
    ------
    UsageError
        The container cannot hold this.
    """
    if name not in FORMATS:
        raise UsageError(f"format {name!r} is unknown", suggestion(name, list(FORMATS)))
    able = FORMATS[name]
    if channels > able.max_channels:
        raise UsageError(f"{name} holds at most {able.max_channels} channels, not {channels}", "use --format wav")
    # libsndfile's Vorbis encoder crashes beyond 200 kHz; FLAC's frame header holds tens of hertz beyond 16 bits
    broken = {
        "ogg": sample_rate > 200_000,
        "flac": sample_rate > 65_535 and (sample_rate % 10 or sample_rate > 655_350),
        "mp3": sample_rate not in MP3_RATES,
        "opus": sample_rate > 16 * OPUS_RATE,
    }
    if broken.get(name):
        raise UsageError(f"{name} cannot hold a sample rate of {sample_rate} Hz", "use --format wav")
    if subtype is not None:
        wanted = subtype.upper()
        if wanted == "PCM_U8" and wanted not in able.subtypes:
            wanted = "PCM_S8"
        if wanted not in able.subtypes:
            raise UsageError(f"{name} cannot hold {subtype}", f"it holds {', '.join(able.subtypes)}")
        return SampleFormat(name, wanted)
    if source in able.subtypes:
        return SampleFormat(name, source)
    if not able.lossless:
        return SampleFormat(name, able.subtypes[0])
    bits = LOSSY_BITS if is_lossy(source) else LOSSLESS.get(source)
    same = [each for each in able.subtypes if bits and BITS.get(each) == bits]
    if same:  # signed and unsigned bytes are the same samples
        return SampleFormat(name, same[0])
    # what this container lacks: float if it can, else its widest integers
    return SampleFormat(name, "FLOAT" if "FLOAT" in able.subtypes else max(able.subtypes, key=BITS.__getitem__))
