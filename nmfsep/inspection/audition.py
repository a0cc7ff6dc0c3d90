"""Writing the sounds of templates."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import soundfile as sf

from ..access import require_free
from ..manifest import SCHEMA, Origin, encode, versions, vouched_files
from ..naming import fit_name, manifest_name
from ..separation.audition import audition
from ..signal.publish import Output, publish
from .report import Inspection

KIND = "audition"  # of manifest


def write_auditions(found: Inspection, folder: Path, force: bool) -> list[Path]:
    """Write the sound of each template to a WAV file, with a manifest that vouches for them.

    Parameters
    ----------
    found : Inspection
    folder : Path
        The files go to a folder of the track's name in it.
    force : bool
        Whether what another program wrote may be replaced.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    UsageError
        A file of another program is in the way.
    OutputError
        A file cannot be written; none was then.
    """
    below = folder / fit_name(found.track)
    targets = [below / fit_name(f"{component.name}.wav") for component in found.components]
    manifest = below / manifest_name(found.track)
    origin = Origin(found.path, found.sha256, KIND)

    def stale() -> list[Path]:
        return require_free(targets, manifest, [found.path], force, origin=origin)

    stale()
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(Output(path)) for path in targets]
        for n, file in enumerate(files):
            file.write(_wav(found, n))
        listed = [{"file": file.path.name, "bytes": file.size(), "sha256": file.sha256()} for file in files]
        document = {
            "schema": SCHEMA,
            "kind": KIND,
            "complete": True,
            "versions": versions(),
            "input": origin.entry(below),
            "files": listed,
        }
        note, vouch = (stack.enter_context(Output(manifest, role)) for role in ("note", "file"))
        note.write(encode(document | {"complete": False, "former": vouched_files(manifest)}))
        vouch.write(encode(document))
        publish(files, note, vouch, stale)
    return targets


def _wav(found: Inspection, component: int) -> bytes:
    sound = audition(found.W[:, component], found.stft, found.sample_rate)
    buffer = io.BytesIO()
    whole = np.rint(sound.samples.T * 32767).astype(np.int16)
    sf.write(buffer, whole, found.sample_rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()
