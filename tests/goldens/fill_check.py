"""The fill rule alone: sums of synthetic weights compared with stored sums, without any network.

A file `fill_check*.json` stores `{"weight_seed": seed, "nets": {"<network>.<rule>": entry}}`; an entry holds the number
of filled tensors and elements, two sums, and the first and last value.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from odekit.testing.goldens import DERIVED, Layout, synthetic_arrays


def read_fill_check(path: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    """(seed, {"<network>.<rule>": entry}) of a file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return int(content["weight_seed"]), dict(content["nets"])


def size(layout: Layout) -> tuple[int, int]:
    """(tensors, elements) that the fill rule fills."""
    shapes = [shape for name, shape in layout.items() if name.rpartition(".")[2] not in DERIVED]
    return len(shapes), sum(math.prod(shape) for shape in shapes)


def check_fill(layout: Layout, seed: int, rule: str, entry: dict[str, Any]) -> None:
    """Raise AssertionError where the filled weights are not those of the entry."""
    stored = entry["filled_tensors"], entry["filled_elements"]
    assert size(layout) == stored, f"the layout has {size(layout)} tensors and elements, the entry {stored}"
    filled = synthetic_arrays(layout, seed, rule)
    total = sum(float(value.astype(np.float64).sum()) for value in filled.values())
    squares = sum(float((value.astype(np.float64) ** 2).sum()) for value in filled.values())
    errors = {
        "sum": abs(total - entry["sum"]) / abs(entry["sum"]),
        "sum_of_squares": abs(squares - entry["sum_of_squares"]) / entry["sum_of_squares"],
    }
    for key, place in (("first", 0), ("last", -1)):
        name, value = entry[key]
        errors[key] = abs(float(filled[name].flat[place]) - value) / abs(value) if name in filled else math.inf
    # Sums of 1e8 numbers in another order differ in the last digits.
    faults = [f"{key} differs by {error:.2e}" for key, error in errors.items() if not error <= 1e-9]
    assert not faults, "; ".join(faults)
