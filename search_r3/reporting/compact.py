"""JSON for files in git: without spaces, but with a line for every part that may change by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def compact_json(data: Mapping[str, Any]) -> str:
    """JSON with a line for every key of an object, and for every entry of a list under it.

    Args:
        data: An object of JSON values; numbers that are infinite or NaN are written as Python does.
    """
    parts = []
    for key, value in data.items():
        if isinstance(value, list) and value:
            text = "[\n" + ",\n".join(map(_line, value)) + "\n]"
        else:
            text = _line(value)
        parts.append(f"{_line(key)}:{text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _line(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
