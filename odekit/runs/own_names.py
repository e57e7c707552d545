"""Names at the top of an output folder that a run uses itself: no result may have them, or lie in such a folder."""

from __future__ import annotations

import functools
import os
import re

from odekit.runs.inputs import name_key

_TAG = r"(-\d+-of-\d+)?"
LIKE_RECORDS = re.compile(rf"run\.json|failures{_TAG}\.json")
"""Files that have the names of records."""
SCRATCH = re.compile(r"\.odekit-tmp.*")
"""Folders that are deleted when a run begins."""
STAGES = "stages"
"""The folder of the pictures of `--keep-stages`."""
_OWN = re.compile(rf"{LIKE_RECORDS.pattern}|{SCRATCH.pattern}|run\.json\.lock|run{_TAG}\.(jsonl|lock)|report\.html")


def own_name(name: str, keeps_stages: bool = False) -> str:
    """What of a run a result of this name, or its record, would replace, or be lost in; empty if nothing.

    Args:
        name: of the result, relative to the output folder.
        keeps_stages: the run writes `stages/`.
    """
    first, _, rest = name.partition(os.sep)
    return _own_folder(first, keeps_stages) if rest else _own(first) or _own(f"{first}.json")


@functools.lru_cache(maxsize=8192)
def _own_folder(name: str, keeps_stages: bool) -> str:
    """`own_name` of what lies in a folder at the top. Millions of results lie in a few thousand of them."""
    return name if keeps_stages and name_key(name) == STAGES else _own(name)


def _own(name: str) -> str:
    """A name at the top if it is the run's own, also on disks that ignore case; else empty."""
    return name if _OWN.fullmatch(name_key(name)) else ""
