"""Doctor: what nmfsep finds where it runs. Versions, BLAS, codecs, extras, cores, memory, and places on disk."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import sys
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import install_command
from ..files.formats import FORMATS
from ..memory import allowance, available, show_size
from ..system import cpu_count, free_space

TESTS = ("test", "browser")  # the extras that are for those who work on nmfsep
CODECS = {"FLAC": "PCM_16", "OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}  # what a build of libsndfile may lack


def examine() -> dict[str, Any]:
    """Return what there is, as JSON; `problems` has a sentence for each thing without which nmfsep does less.

    Returns
    -------
    dict
        `versions`, `blas` and `extras` by name, `codecs`, `formats`, `cores`, `memory` (bytes free, and that a run
        takes at the most), `cache` (where compiled loops are kept), `temporary` and `problems`.
    """
    problems: list[str] = []
    required, extras = _requirements()
    versions = {name: _version(name) for name in required}
    for name in [name for name, version in versions.items() if version is None]:
        problems.append(f"{name} is missing; {install_command(name)}")
    codecs, blas, (compiled, cache) = _codecs(problems), _blas(), _compiled(problems)
    about = {}
    for extra, packages in extras.items():
        found, install = {name: _version(name) for name in packages}, install_command(*packages, extra=extra)
        about[extra] = {"installed": None not in found.values(), "packages": found, "install": install}
    temporary = tempfile.gettempdir()
    return {
        "nmfsep": __version__,
        "folder": str(Path(__file__).parents[1]),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions,
        "blas": blas,
        "compiled": compiled,
        "cache": cache,
        "codecs": codecs,
        "formats": list(FORMATS),
        "extras": about,
        "cores": cpu_count(),
        "memory": {"free": available(), "taken": allowance(None)},
        "temporary": {"folder": temporary, "free": free_space(Path(temporary))},
        "problems": problems,
    }


def lines(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what `examine` found for people: a word, and what there is."""
    free, taken, place = about["memory"]["free"], about["memory"]["taken"], about["temporary"]
    memory = "not known" if free is None else f"{show_size(free)} free, of which a run takes {show_size(taken)}"
    room = "" if place["free"] is None else f", {show_size(place['free'])} free"
    rows = [
        ("nmfsep", f"{about['nmfsep']} in {about['folder']}"),
        ("Python", f"{about['python']} on {about['platform']}"),
        *((name, version or "missing") for name, version in about["versions"].items()),
        *(("BLAS", f"{one['name']} {one['version']}, {one['threads']} threads") for one in about["blas"]),
        ("compiled", f"yes, kept in {about['cache'] or 'memory only'}" if about["compiled"] else "no"),
        ("cores", str(about["cores"])),
        ("memory", memory),
        ("temporary", f"{place['folder']}{room}"),
        ("codecs", ", ".join(name for name, there in about["codecs"].items() if there)),
        ("formats", ", ".join(about["formats"])),
    ]
    for extra, found in about["extras"].items():
        packages = ", ".join(f"{name} {version or 'missing'}" for name, version in found["packages"].items())
        rows.append((f"[{extra}]", packages if found["installed"] else f"{packages}; {found['install']}"))
    return rows


def _requirements() -> tuple[list[str], dict[str, list[str]]]:
    """Return the packages that nmfsep needs here, and those of each extra."""
    needed, extras = [], dict[str, list[str]]()
    for text in metadata.requires("nmfsep") or []:
        name, _, condition = text.partition(";")
        name = re.split(r"[^\w.-]", name.strip())[0]
        if extra := re.search(r"extra == ['\"]([\w-]+)", condition):
            extras.setdefault(extra[1], []).append(name)
        elif "ARM64" not in condition or (sys.platform, platform.machine()) != ("win32", "ARM64"):
            needed.append(name)
    for name in TESTS:
        extras.pop(name, None)
    return needed, extras


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _codecs(problems: list[str]) -> dict[str, bool]:
    """Return which codecs the library that reads sound has."""
    try:
        import soundfile
    except (ImportError, OSError) as error:
        problems.append(f"sound cannot be read: {error}; {install_command('soundfile')}")
        return dict.fromkeys(CODECS, False)
    found = {name: codec in soundfile.available_subtypes(name) for name, codec in CODECS.items()}
    problems += [f"libsndfile {soundfile.__libsndfile_version__} has no {name}" for name in found if not found[name]]
    return found


def _blas() -> list[dict[str, Any]]:
    """Return the libraries of linear algebra that are loaded with numpy."""
    import numpy  # noqa: F401 - loads them

    if importlib.util.find_spec("threadpoolctl") is None:
        return []
    from threadpoolctl import threadpool_info

    found = [one for one in threadpool_info() if one["user_api"] == "blas"]
    return [{"name": one["internal_api"], "version": one["version"], "threads": one["num_threads"]} for one in found]


def _compiled(problems: list[str]) -> tuple[bool, str | None]:
    """Return whether there are compiled loops, and the folder that they are kept in."""
    from ..kernels.select import missing

    if reason := missing():
        problems.append(f"there are no compiled loops, so that fits take longer: {reason}")
        return False, None
    from ..kernels.numba_loops import cache_folder

    folder = cache_folder()
    if folder is None or not os.access(folder if os.path.isdir(folder) else os.path.dirname(folder), os.W_OK):
        problems.append(
            "compiled loops cannot be kept, so that each run compiles them; set NUMBA_CACHE_DIR to a folder"
        )
    return True, folder
