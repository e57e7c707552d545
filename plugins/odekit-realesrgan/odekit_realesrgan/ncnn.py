"""Reads RRDBNet's weights from a file of ncnn: the numbers of all convolutions, one after another, without names.

Of each convolution: a tag of four bytes that says the type, the weights (out, in, 3, 3), padding to four bytes, and the
biases in float32. The order is that of the network, the layout of `odekit_realesrgan.rrdb`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.errors import WeightsError
from odekit_realesrgan.rrdb import layout

FLOAT16 = 0x01306B47
"""The tag of weights in half precision."""


def x4plus(data: bytes) -> dict[str, NDArray[Any]]:
    """The tensors of Real-ESRGAN x4plus by their published names: weights float16, biases float32.

    Raises:
        WeightsError: not all of the file, or more than it, is used up by the network's convolutions.
    """
    return convolutions(data, layout())


def convolutions(data: bytes, shapes: dict[str, tuple[int, ...]]) -> dict[str, NDArray[Any]]:
    """The tensors of a file: `shapes` lists `NAME.weight` and `NAME.bias` of each convolution in the file's order.

    Raises:
        WeightsError: see `x4plus`; or weights of another type.
    """
    tensors: dict[str, NDArray[Any]] = {}
    at = 0
    for name, shape in shapes.items():
        count, kind = math.prod(shape), "<f4"
        if name.endswith(".weight"):
            tag = int.from_bytes(data[at : at + 4], "little")
            if tag != FLOAT16:
                raise WeightsError(
                    f"{name} has the tag {tag:#x} at byte {at}, not that of float16; is it an ncnn file?"
                )
            at, kind = at + 4, "<f2"
        values = np.frombuffer(data[at : at + count * np.dtype(kind).itemsize], kind)
        if values.size != count:
            raise WeightsError(f"the file ends in {name}, at byte {len(data)}")
        tensors[name] = values.reshape(shape)
        at += -(-values.nbytes // 4) * 4
    if at != len(data):
        raise WeightsError(f"{len(data) - at} bytes are left after the last convolution")
    return tensors
