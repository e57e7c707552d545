"""Tiles cover a picture and overlap as specified; their weights sum to one, and there are no seams."""

import numpy as np
import pytest
import torch
from conftest import ROOT, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from odekit_realesrgan.network import from_tensors
from odekit_realesrgan.options import Spandrel
from odekit_realesrgan.rrdb import layout
from odekit_realesrgan.tiles import blend_weights, cover
from odekit_realesrgan.upsampler import spandrel
from small_rrdb import random

from odekit.core.image import Image
from odekit.testing import StandaloneTools
from odekit.testing.goldens import Golden


@settings(max_examples=200, deadline=None)
@given(
    length=st.integers(16, 3000), tile=st.integers(64, 600), share=st.floats(0, 0.5), fold=st.sampled_from([1, 2, 4, 8])
)
def test_every_pixel_is_covered_by_tiles_that_overlap_enough(length, tile, share, fold):
    length, overlap = length // fold * fold, int(tile * share)
    axis = cover(length, tile, overlap, 8)
    assert axis.starts[0] == 0
    assert axis.starts[-1] + axis.side == length
    assert axis.side <= max(tile, 8)
    assert axis.starts[-1] % fold == 0
    if len(axis.starts) > 1:
        assert axis.side % 8 == 0
        assert all(start % 8 == 0 for start in axis.starts[:-1])
    least = min(overlap, tile // 8 * 8 - 8 - 7)
    assert all(a + axis.side - b >= least for a, b in zip(axis.starts, axis.starts[1:], strict=False))


@settings(max_examples=50, deadline=None)
@given(
    length=st.integers(16, 800), tile=st.integers(64, 300), share=st.floats(0, 0.5), scale=st.sampled_from([1, 2, 4])
)
def test_blend_weights_sum_to_one_everywhere(length, tile, share, scale):
    axis = cover(length, tile, int(tile * share), 8)
    total = np.zeros(length * scale)
    for start, counts in zip(axis.starts, blend_weights(axis, scale), strict=True):
        total[start * scale : (start + axis.side) * scale] += counts
    assert np.abs(total - 1).max() < 1e-6


def test_the_outer_three_eighths_of_an_overlap_are_dropped():
    axis = cover(112, 64, 16, 8)
    first = blend_weights(axis, 1)[0]
    start = axis.starts[1]
    shared = first[start:]
    count = len(shared)
    middle = (count - 1) / 2
    assert np.array_equal(shared[: int(middle - 2)], np.ones(int(middle - 2)))
    assert np.array_equal(shared[int(np.ceil(middle + 2)) + 1 :], np.zeros(count - int(np.ceil(middle + 2)) - 1))
    assert np.all(np.diff(shared) <= 0)


def upsampler(tmp_path, tensors, **options):
    path = tmp_path / "net.pth"
    torch.save(tensors, path)
    return spandrel(Spandrel(weights=str(path), **options), StandaloneTools())


@pytest.mark.parametrize("inputs", [3, 12], ids=["x4", "x2"])
def test_a_small_network_gives_the_same_in_tiles(tmp_path, inputs):
    image = Image.from_uint8(picture(0, 150, 101))
    tensors = random(inputs)
    (whole,) = upsampler(tmp_path, tensors, tile=0).upsample([image], [])
    (tiled,) = upsampler(tmp_path, tensors, tile=96, overlap=48).upsample([image], [])
    assert np.abs(tiled.pixels - whole.pixels).max() <= 1e-3


def test_a_small_overlap_causes_seams():
    """Seams are visible without an overlap, and decrease with it."""
    image = Image.from_uint8(picture(0, 48, 128))
    folder = ROOT / "odekit" / "assets" / "face-x4" / "model.safetensors"
    (whole,) = spandrel(Spandrel(weights=str(folder), tile=0), StandaloneTools()).upsample([image], [])
    errors = [
        np.abs(spandrel(Spandrel(weights=str(folder), tile=96, overlap=overlap), StandaloneTools()).upsample([image], [])[0].pixels - whole.pixels).max()
        for overlap in (0, 8, 48)
    ]  # fmt: skip
    assert errors[0] > errors[1] > 0.003
    assert errors[2] <= 1e-6, "its 14 convolutions see 14 px far; 18 of 48 px are dropped on each side"


def test_network_inputs_are_never_larger_than_a_tile(tmp_path):
    net = upsampler(tmp_path, random(), tile=96, overlap=32)
    seen = []
    net.guarded.network.model.register_forward_pre_hook(lambda _, x: seen.append(tuple(x[0].shape)))
    net.upsample([Image.from_uint8(picture(0, 250, 40)), Image.from_uint8(picture(1, 90, 260))], [])
    assert all(max(shape[2:]) <= 96 for shape in seen)
    assert len(seen) >= 8


@pytest.mark.long
@pytest.mark.parametrize("scale", [2, 4])
def test_the_full_network_gives_the_same_in_tiles_with_the_default_overlap(tmp_path, scale):
    """With the golden's weights, which amplify, so that the results are neither clipped nor small."""
    golden = Golden.read(ROOT / "tests" / "data" / "golden" / f"rrdbnet_x{scale}.B.npz")
    shapes = layout(3 if scale == 4 else 12)
    tensors = {name: torch.from_numpy(value) for name, value in golden.fill(shapes).items()}
    for name in ("conv_last.weight", "conv_last.bias"):
        tensors[name] *= 0.01  # results of about +-30 come back into [0, 1]
    tensors["conv_last.bias"] += 0.5
    image = Image.from_uint8(picture(0, 64, 240))
    (whole,) = upsampler(tmp_path, tensors, tile=0).upsample([image], [])
    (tiled,) = upsampler(tmp_path, tensors, tile=160).upsample([image], [])
    assert 0.05 < whole.pixels.std() < 0.3
    assert np.abs(tiled.pixels - whole.pixels).max() <= 1e-4
    assert from_tensors(tensors, "again").scale == scale
