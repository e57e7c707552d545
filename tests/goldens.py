"""Layouts, synthetic weights and stored outputs of public networks (tests/data/README.md), read for comparison.

The fill rule gives identical weights everywhere from a layout and a seed alone:

1. names sorted as plain strings, one `Generator(PCG64(seed))` for the whole network, in that order;
2. tensors whose last name part is in `DERIVED` are skipped without a draw;
3. `standard_normal(shape)` in float64, cast to float32, times s in float32: rule A has s = 0.02; rule B has
   s = 1/sqrt(fan_in) for weights of two or more dimensions (fan_in without the first dimension, without the first two
   where there are five), else 0.02;
4. one-dimensional weights with a sibling `bias` get 1 added; `running_var` becomes |.| + 1.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DATA = Path(__file__).parent / "data"
DERIVED = ("attn_mask", "relative_position_index", "num_batches_tracked")

Layout = dict[str, tuple[int, ...]]
Arrays = dict[str, NDArray[np.float32]]


def layout(network: str, data: Path = DATA) -> Layout:
    """Names and shapes of a published state dict: `keys/<network>.json`."""
    raw = json.loads((data / "keys" / f"{network}.json").read_text(encoding="utf-8"))
    return {name: tuple(shape) for name, shape in raw.items()}


def fill(shapes: Mapping[str, Sequence[int]], seed: int, rule: str) -> Arrays:
    """Synthetic weights by the rule `A` or `B`; derived tensors are left out."""
    rng = np.random.Generator(np.random.PCG64(seed))
    filled: Arrays = {}
    for name in sorted(shapes):
        shape, last = tuple(shapes[name]), name.rpartition(".")[2]
        if last in DERIVED:
            continue
        value = rng.standard_normal(shape).astype(np.float32) * _scale(last, shape, rule)
        if name.endswith("weight") and len(shape) == 1 and name.removesuffix("weight") + "bias" in shapes:
            value = value + np.float32(1)
        if last == "running_var":
            value = np.abs(value) + np.float32(1)
        filled[name] = value
    return filled


def _scale(last: str, shape: tuple[int, ...], rule: str) -> np.float32:
    if rule == "A" or last not in ("weight", "in_proj_weight") or len(shape) < 2:
        return np.float32(0.02)
    fan_in = math.prod(shape[2 if len(shape) == 5 else 1 :])
    return np.float32(1 / math.sqrt(fan_in))


def golden(stem: str, data: Path = DATA) -> dict[str, NDArray[Any]]:
    """Everything stored in `golden/<stem>.npz`, `adm_small.A` say."""
    with np.load(data / "golden" / f"{stem}.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def golden_input(stored: Mapping[str, NDArray[Any]], shape: Sequence[int]) -> NDArray[np.float32]:
    """The input of a golden from its seed, checked against the stored first values."""
    rng = np.random.Generator(np.random.PCG64(int(stored["seed_input"])))
    values: NDArray[np.float32] = rng.standard_normal(tuple(shape)).astype(np.float32) * np.float32(0.5)
    if not np.array_equal(values.ravel()[:8], stored["input_head"]):
        raise ValueError("the input does not start with the values that the golden stores")
    return values


def deviation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """The acceptance metric of the goldens: `max|a-b| / max|b|`, b being the truth."""
    return float(np.abs(a.astype(np.float64) - b).max() / np.abs(b).max())
