"""Where results lie in an output folder: as the inputs do, or in 4,096 folders of about equal size."""

from __future__ import annotations

import hashlib
import os

from odekit.runs.inputs import name_key

TREE, HASHED = "tree", "hashed"
LAYOUTS = (TREE, HASHED)
"""`tree`: as the inputs lie. `hashed`: below a folder that a hash of the name chooses, for inputs of which one folder
holds more than a file system lists in a reasonable time."""
DIGITS = 3
"""Hexadecimal digits of such a folder: 10 million results are 2,441 in each."""


def hashed_name(name: str) -> str:
    """The name of a result in the layout `hashed`: `7f3/` before it.

    The folder depends on the name alone, without regard to case, so that whoever knows the name finds the result.
    """
    digest = hashlib.sha256(os.fsencode(name_key(name))).hexdigest()
    return f"{digest[:DIGITS]}/{name}"


def layout_of(name: str) -> str:
    """The layout in which a record, or a result, has this name."""
    folder, _, rest = name.removesuffix(".json").partition("/")
    return HASHED if rest and hashed_name(rest) == f"{folder}/{rest}" else TREE
