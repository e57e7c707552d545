"""Losses of the guided upsampler beside mean absolute error, LPIPS and the distance of face descriptors."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

COLOUR_SQUARE = 16
HARM_SQUARE = 8
HARM_FLOOR = 0.02
INNER_FACE = (0.37, 0.25)
"""Top and left of the inner face, half as wide and high as the aligned face, in fractions of its side."""


def inner_face(faces: Tensor) -> Tensor:
    """The part of faces (n, 3, S, S), aligned to the FFHQ template, with eyes, nose and mouth: (n, 3, S/2, S/2)."""
    side = faces.shape[-1]
    top, left = round(INNER_FACE[0] * side), round(INNER_FACE[1] * side)
    return faces[..., top : top + side // 2, left : left + side // 2]


def colour_error(output: Tensor, truth: Tensor) -> Tensor:
    """(n,): mean absolute error of the colours without their brightness, over squares of `COLOUR_SQUARE` pixels."""
    coarse = functional.avg_pool2d(output - truth, COLOUR_SQUARE)
    return (coarse - coarse.mean(1, keepdim=True)).abs().mean((1, 2, 3))


def harm(output: Tensor, original: Tensor, truth: Tensor) -> Tensor:
    """(n,): by how much results are farther from the truth than the originals were, all (n, 3, S, S) in [0, 1].

    Over squares of `HARM_SQUARE` pixels, the mean of `max(0, e - e0) f / (e0 + f)^2`, f = `HARM_FLOOR`: e and e0 are
    the absolute errors of output and original over 2 x 2 pixels, so that the grain of skin, which nobody can know,
    counts little. Where the original was right an error costs most; where little was left of it, next to nothing.
    """

    def error(pictures: Tensor) -> Tensor:
        coarse = functional.avg_pool2d(pictures - truth, 2).abs().mean(1, keepdim=True)
        return functional.avg_pool2d(coarse, HARM_SQUARE // 2)

    before = error(original)
    cost = HARM_FLOOR / (before + HARM_FLOOR) ** 2
    return (functional.relu(error(output) - before) * cost).mean((1, 2, 3))
