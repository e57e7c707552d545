"""Small networks of RRDBNet's make, so that tests take milliseconds."""

import torch
from odekit_realesrgan.rrdb import layout

from odekit.testing.goldens import synthetic_arrays


def random(inputs=3, blocks=2, features=8, seed=0):
    """Filled by rule B: signals stay alive."""
    return {n: torch.from_numpy(v) for n, v in synthetic_arrays(layout(inputs, blocks, features), seed, "B").items()}


def nearest(inputs=3, features=12, blocks=2):
    """Weights that repeat every pixel: each channel goes straight through, its value untouched."""
    tensors = {name: torch.zeros(shape) for name, shape in layout(inputs, blocks, features).items()}
    for name in ("conv_first", "conv_up1", "conv_up2", "conv_hr", "conv_last"):
        weight = tensors[f"{name}.weight"]
        for channel in range(min(weight.shape[:2])):
            weight[channel, channel, 1, 1] = 1.0
    if inputs == 12:  # a fold of 2 x 2: channel 4 c + place; the upper left pixel of each four is taken
        tensors["conv_last.weight"].zero_()
        for colour in range(3):
            tensors["conv_last.weight"][colour, 4 * colour, 1, 1] = 1.0
    return tensors
