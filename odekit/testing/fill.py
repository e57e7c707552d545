"""Synthetic weights of the goldens: a function of a network's layout (tensor name -> shape), a seed and a rule.

1. names are sorted as plain strings; one `Generator(PCG64(seed))` fills the whole network in this order;
2. tensors whose last name component is in `DERIVED` are skipped and use no random numbers;
3. values are `standard_normal(shape)` in float64, cast to float32, times s in float32: rule A has s = 0.02; rule B has
   s = 1/sqrt(fan_in) for weights of two or more dimensions (fan_in is the product of all dimensions but the first, or
   of all but the first two if there are five), else 0.02; rule E has rule B's s except for the names in `EQUALISED`;
4. 1 is added to one-dimensional weights with a sibling `bias`; `running_var` becomes its absolute value + 1; in rule E,
   1 is added to the bias of a modulation.

Rule E is for networks that divide their weights by sqrt(fan_in) when they run (StyleGAN2): with A and B their
activations vanish.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from odekit.errors import InputError

DERIVED = ("attn_mask", "relative_position_index", "num_batches_tracked", "kernel")
"""Last components of the names of tensors that a network computes itself."""
RULES = ("A", "B", "E")
EQUALISED = (
    (r"(.*\.)?modulation\.weight|input\.input|(.*\.)?noise_\d+|styles\.\d+\.linear\.weight", 1.0),
    (r"style\.\d+\.weight", 100.0),
    (r"style\.\d+\.bias", 10.0),
    (r"(.*\.)?(noise\.weight|activate\.bias)|to_rgb1\.bias|to_rgbs\.\d+\.bias", 0.1),
)
"""Rule E's s by name; it is 1 for tensors of five dimensions."""

Layout = dict[str, tuple[int, ...]]
Arrays = dict[str, NDArray[np.float32]]


def synthetic_arrays(shapes: Mapping[str, Sequence[int]], seed: int, rule: str) -> Arrays:
    """Synthetic float32 weights by rule `A`, `B` or `E`, without derived tensors.

    Raises:
        InputError: another rule.
    """
    if rule not in RULES:
        raise InputError(f"unknown fill rule '{rule}': use {', '.join(RULES[:-1])} or {RULES[-1]}")
    rng = np.random.Generator(np.random.PCG64(seed))
    weights: Arrays = {}
    for name in sorted(shapes):
        shape, last = tuple(shapes[name]), name.rpartition(".")[2]
        if last in DERIVED:
            continue
        value = rng.standard_normal(shape).astype(np.float32) * np.float32(_scale(name, shape, rule))
        sibling = name.endswith("weight") and len(shape) == 1 and name.removesuffix("weight") + "bias" in shapes
        if sibling or (rule == "E" and name.endswith("modulation.bias")):
            value = value + np.float32(1)
        if last == "running_var":
            value = np.abs(value) + np.float32(1)
        weights[name] = value
    return weights


def _scale(name: str, shape: tuple[int, ...], rule: str) -> float:
    if rule == "E":
        if len(shape) == 5:
            return 1.0
        for pattern, scale in EQUALISED:
            if re.fullmatch(pattern, name):
                return scale
    if rule == "A" or name.rpartition(".")[2] not in ("weight", "in_proj_weight") or len(shape) < 2:
        return 0.02
    return 1 / math.sqrt(math.prod(shape[2 if len(shape) == 5 else 1 :]))
