"""Whether a stored chain is the one at hand, and where not, in what it differs."""

from __future__ import annotations

from typing import Any

from odekit import yamldoc
from odekit.chain import Chain
from odekit.registry import Catalog


def completed(stored: Any, parts: Catalog) -> Any:
    """A chain's tree with the defaults of options that did not exist when it was stored; anything else as it is."""
    try:
        return Chain.from_document(yamldoc.Document(stored, "", {}), (), parts).tree()
    except Exception:  # a record holds whatever somebody wrote there
        return stored


def difference(there: Any, now: Any, path: str = "") -> str:
    """The first difference of two trees in words; empty where there is none."""
    if isinstance(there, dict) and isinstance(now, dict):
        for key in [*now, *(key for key in there if key not in now)]:
            below = f"{path}.{key}".lstrip(".") if key != "chain" else path
            if found := difference(there.get(key), now.get(key), below):
                return found
        return ""
    if isinstance(there, list) and isinstance(now, list) and len(there) == len(now):
        return next((found for a, b in zip(there, now, strict=True) if (found := difference(a, b, path))), "")
    return "" if there == now else f"{path or 'it'} is {_short(there)} there and {_short(now)} now"


def _short(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
