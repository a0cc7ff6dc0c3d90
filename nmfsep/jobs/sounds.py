"""Sounds that are no stems, such as one-shots and auditions: WAV files in a folder of their own.

The folder has the track's name, and a manifest that lists them, so that a later run may replace them.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile as sf

from ..files.naming import fit_name, manifest_name
from ..files.publish import Output
from ..signal.audio import Audio
from .manifest import SCHEMA, Origin, file_entry, publish_with_manifest, versions
from .safety import identities, require_free


def require_place(track: str, folder: Path, origin: Origin, force: bool) -> None:
    """Raise UsageError where sounds of a track, whose names are not known yet, could not be written."""
    require_free([], folder / fit_name(track) / manifest_name(track), identities([origin.path]), force, origin=origin)


def write_sounds(
    sounds: Mapping[str, Audio], track: str, folder: Path, origin: Origin, force: bool, bits: int = 16
) -> list[Path]:
    """Write sounds to WAV files, by their names, in a folder of the track's name in `folder`; return the files.

    Those of an earlier run from the same origin are replaced, and `force` replaces what another program wrote.

    Raises
    ------
    UsageError
        A file of another program is in the way.
    OutputError
        A file cannot be written; none was then.
    """
    below = folder / fit_name(track)
    targets = [below / fit_name(f"{name}.wav") for name in sounds]
    manifest, protected = below / manifest_name(track), identities([origin.path])

    def require_room() -> list[Path]:
        return require_free(targets, manifest, protected, force, origin=origin)

    require_room()
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(Output(path)) for path in targets]
        for sound, file in zip(sounds.values(), files, strict=True):
            full = 2 ** (bits - 1)
            integers = np.rint(sound.samples.T * np.float32(2.0**sound.exponent * (full - 1))).clip(-full, full - 1)
            wide = 16 if bits <= 16 else 32
            data, buffer = integers.astype(np.int16 if wide == 16 else np.int32) << (wide - bits), io.BytesIO()
            sf.write(buffer, data, sound.sample_rate, format="WAV", subtype=f"PCM_{bits}")
            file.write(buffer.getvalue())
        document = {
            "schema": SCHEMA,
            "kind": origin.kind,
            "complete": True,
            "versions": versions(),
            "input": origin.entry(below),
            "files": [file_entry(file, below) for file in files],
        }
        publish_with_manifest(manifest, document, files, require_room)
    return targets
