"""Names at the top of an output folder that a run uses itself: no result may have them, or lie in such a folder."""

from __future__ import annotations

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
    key = name_key(first)  # on disks that ignore case
    if rest and keeps_stages and key == STAGES:
        return first
    names = (first,) if rest else (first, f"{first}.json")
    return next((each for each in names if _OWN.fullmatch(name_key(each))), "")
