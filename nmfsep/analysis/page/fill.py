"""Filling of the page of a report: one HTML file with its style, scripts and data inside, which requests nothing.

All names are data: they stand in a block of JSON in which no tag can begin, and the scripts show them as text. The
policy of the page forbids every request, and every script and style but those whose hashes it lists.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

SCRIPTS = ("colours.js", "player.js", "view.js", "regroup.js", "findings.js", "page.js")  # in this order
ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def fill(document: Mapping[str, Any]) -> bytes:
    """Return the page that shows a document, as UTF-8."""
    style, script = _text("page.css"), "".join(map(_text, SCRIPTS))
    policy = (
        f"default-src 'none'; img-src data:; media-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    data = re.sub("[<>&]", lambda match: ESCAPES[match[0]], json.dumps(document, separators=(",", ":")))
    title = str(document["track"]).encode("utf-8", "replace").decode()
    parts = {"policy": policy, "title": html.escape(title), "style": style, "data": data, "script": script}
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _text("page.html")).encode()


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the source expression by which a policy allows a script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
