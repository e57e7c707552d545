"""The filling itself: sums of synthetic weights against the stored ones, without any network."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from odekit.errors import InputError
from odekit.testing.goldens import DERIVED, Layout, fill


def fill_check(path: Path, layouts: Sequence[Layout]) -> Iterator[tuple[str, float | None, str]]:
    """(network.rule, error, note) of every entry: 0 where tensors, sums, first and last value are all as stored.

    An entry says how many tensors and numbers its network has, not which: it is held against the layout with these
    counts among `layouts`, and None is the error where there is none.

    Raises:
        InputError: not such a file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        seed, nets = int(content["weight_seed"]), dict(content["nets"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is no check of the fill rule ({error})") from error
    known = {counts(layout): layout for layout in layouts}
    for name, said in sorted(nets.items()):
        layout = known.get((said["filled_tensors"], said["filled_elements"]))
        if layout is None:
            yield name, None, "no golden here is of a network with so many tensors and numbers"
            continue
        off, note = check(layout, seed, name.rpartition(".")[2], said)
        yield name, off, note


def counts(layout: Layout) -> tuple[int, int]:
    """(tensors, numbers) that the fill rule fills."""
    shapes = [shape for name, shape in layout.items() if name.rpartition(".")[2] not in DERIVED]
    return len(shapes), sum(math.prod(shape) for shape in shapes)


def check(layout: Layout, seed: int, rule: str, said: dict[str, Any]) -> tuple[float, str]:
    """(0, "") where the filled weights are the stored ones; else the largest relative error of the sums, and where."""
    filled = fill(layout, seed, rule)
    total = sum(float(value.astype(np.float64).sum()) for value in filled.values())
    squares = sum(float((value.astype(np.float64) ** 2).sum()) for value in filled.values())
    found = {
        "sum": abs(total - said["sum"]) / abs(said["sum"]),
        "sum_of_squares": abs(squares - said["sum_of_squares"]) / said["sum_of_squares"],
    }
    for key, place in (("first", 0), ("last", -1)):
        name, value = said[key]
        found[key] = abs(float(filled[name].flat[place]) - value) / abs(value) if name in filled else math.inf
    worst = max(found, key=lambda key: found[key])
    # Sums of 1e8 numbers in another order differ in the last digits.
    return (0.0, "") if found[worst] <= 1e-9 else (found[worst], f"{worst} differs")
