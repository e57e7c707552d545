"""The layout of RRDBNet's published files (arXiv:1809.00219, section 3.1), so that a file is checked name by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

SYSTEM = "Real-ESRGAN (RRDBNet)"
Layout = dict[str, tuple[int, ...]]


def layout(inputs: int = 3, blocks: int = 23, features: int = 64, growth: int = 32) -> Layout:
    """Names and shapes; `inputs` is 3 for scale 4, 12 for scale 2 (pixels folded 2 x 2 into channels)."""
    convs = {"conv_first": (inputs, features)}
    for block in range(blocks):
        for dense in (1, 2, 3):
            for conv in range(1, 6):
                seen = features + (conv - 1) * growth
                convs[f"body.{block}.rdb{dense}.conv{conv}"] = (seen, features if conv == 5 else growth)
    for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
        convs[name] = (features, features)
    convs["conv_last"] = (features, 3)
    shapes: Layout = {}
    for name, (seen, made) in convs.items():
        shapes |= {f"{name}.weight": (made, seen, 3, 3), f"{name}.bias": (made,)}
    return shapes


def layout_of(tensors: Mapping[str, Any]) -> Layout:
    """The layout that a file with such tensors should have, going by its first layers and the number of its blocks."""
    features, inputs = tensors["conv_first.weight"].shape[:2]
    growth = tensors["body.0.rdb1.conv1.weight"].shape[0]
    blocks = [int(found[1]) for name in tensors if (found := re.match(r"body\.(\d+)\.", name))]
    return layout(inputs, max(blocks) + 1, features, growth)
