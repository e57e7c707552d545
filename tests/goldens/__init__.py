"""Layouts and goldens of the tests (tests/data/README.md); the rule itself is `odekit.testing.goldens`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.testing.goldens import Arrays, Golden, Layout, relative_deviation, synthetic_arrays

__all__ = [
    "DATA",
    "Arrays",
    "Layout",
    "golden",
    "golden_input",
    "layout",
    "read_golden",
    "relative_deviation",
    "synthetic_arrays",
]

DATA = Path(__file__).parent.parent / "data"


def layout(network: str, data: Path = DATA) -> Layout:
    """Names and shapes of a published state dict: `keys/<network>.json`."""
    raw = json.loads((data / "keys" / f"{network}.json").read_text(encoding="utf-8"))
    return {name: tuple(shape) for name, shape in raw.items()}


def read_golden(stem: str, data: Path = DATA) -> Golden:
    """`golden/<stem>.npz`, `adm_small.A` say."""
    return Golden.read(data / "golden" / f"{stem}.npz")


def golden(stem: str, data: Path = DATA) -> dict[str, NDArray[Any]]:
    """Everything stored in `golden/<stem>.npz`."""
    return dict(read_golden(stem, data).arrays)


def golden_input(stored: Mapping[str, NDArray[Any]], shape: Sequence[int]) -> NDArray[np.float32]:
    """The input of a golden from its seed, checked against the stored first values."""
    return Golden("golden", "", stored, DATA / "golden").input(shape)
