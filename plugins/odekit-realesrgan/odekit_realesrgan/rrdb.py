"""The layout of RRDBNet's published files (arXiv:1809.00219, section 3.1), to check a file name by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

SYSTEM = "Real-ESRGAN (RRDBNet)"
Layout = dict[str, tuple[int, ...]]


def layout(inputs: int = 3, blocks: int = 23, features: int = 64, growth: int = 32) -> Layout:
    """Tensor names and shapes; `inputs` is 3 for scale 4, 12 for scale 2 (pixels folded 2 x 2 into channels)."""
    convs = {"conv_first": (inputs, features)}
    for block in range(blocks):
        for dense in (1, 2, 3):
            for conv in range(1, 6):
                in_channels = features + (conv - 1) * growth
                convs[f"body.{block}.rdb{dense}.conv{conv}"] = (in_channels, features if conv == 5 else growth)
    for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
        convs[name] = (features, features)
    convs["conv_last"] = (features, 3)
    shapes: Layout = {}
    for name, (in_channels, out_channels) in convs.items():
        shapes |= {f"{name}.weight": (out_channels, in_channels, 3, 3), f"{name}.bias": (out_channels,)}
    return shapes


def layout_of(tensors: Mapping[str, Any]) -> Layout:
    """The expected layout of a file, from the shapes of its first layers and its number of blocks."""
    features, inputs = tensors["conv_first.weight"].shape[:2]
    growth = tensors["body.0.rdb1.conv1.weight"].shape[0]
    blocks = [int(match[1]) for name in tensors if (match := re.match(r"body\.(\d+)\.", name))]
    return layout(inputs, max(blocks) + 1, features, growth)
