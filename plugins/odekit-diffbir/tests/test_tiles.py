"""Tiles: exact for local operations, one tile if a picture fits, and close to the whole picture for networks."""

import numpy as np
import pytest
import torch
from odekit_diffbir.colour import coarse, transfer_coarse_colours
from odekit_diffbir.tiles import gaussian_window, starts, tiled


@pytest.mark.parametrize(("length", "size", "expected"), [
    (64, 64, [0]), (96, 64, [0, 32]), (100, 64, [0, 32, 36]), (160, 64, [0, 32, 64, 96]),
])  # fmt: skip
def test_tiles_overlap_by_half_and_end_at_the_edge(length, size, expected):
    assert starts(length, size) == expected


def test_the_gaussian_window_is_symmetric_and_positive():
    weights = gaussian_window(64, 48)
    assert torch.equal(weights, weights.flip(0)) and torch.equal(weights, weights.flip(1))
    assert weights.min() > 1e-12 and weights[31, 23] == weights.max()


def numbers(*shape):
    return torch.from_numpy(np.random.Generator(np.random.Philox(1)).random(shape, dtype=np.float32))


@pytest.mark.parametrize(("call", "up", "down"), [
    (lambda x: 2 * x, 1, 1),
    (lambda x: x.repeat_interleave(4, 2).repeat_interleave(4, 3), 4, 1),
    (lambda x: torch.nn.functional.avg_pool2d(x, 8), 1, 8),
], ids=["same", "up", "down"])  # fmt: skip
def test_pointwise_operations_are_the_same_in_tiles(call, up, down):
    x = numbers(2, 3, 160, 128)
    seen = []

    def watched(tile):
        seen.append(tuple(tile.shape[-2:]))
        return call(tile)

    assert torch.allclose(tiled(watched, (x,), 64, up, down), call(x), atol=1e-6)
    assert seen == [(64, 64)] * 12


def test_a_picture_that_fits_is_one_call_and_several_inputs_are_cut_alike():
    x, y = numbers(1, 1, 64, 48), numbers(1, 1, 64, 48)
    assert torch.equal(tiled(lambda a, b: a - b, (x, y), 64), x - y)
    assert torch.equal(tiled(lambda a, b: a - b, (x, y), None), x - y)
    assert torch.allclose(tiled(lambda a, b: a - b, (x, y), 32), x - y, atol=1e-6)


@pytest.mark.filterwarnings("ignore::odekit.errors.OdekitWarning")
@pytest.mark.parametrize("name", ["tile", "vae_tile", "stage1_tile"])
def test_tiles_change_the_result_a_little(make, run, picture, name):
    image = picture(64, 128)
    whole, cut = (run(make(steps=2, **{name: size}), image)[0] for size in (None, 64))
    assert 0 < np.abs(whole - cut).mean() < 0.15


def test_a_side_below_the_tile_is_not_padded_to_it(make, run, picture):
    shapes = []
    upsampler = make(stage1="general", stage2="none", stage1_tile=64)
    network = upsampler.stage1.guarded.network
    network.register_forward_pre_hook(lambda _, args: shapes.append(tuple(args[0].shape[-2:])))
    run(upsampler, picture(64, 192))
    assert shapes == [(64, 64)] * 5


def test_coarse_colours_are_the_average_over_63_pixels():
    impulse = torch.zeros(1, 1, 129, 129, dtype=torch.float64)
    impulse[..., 64, 64] = 1
    spread = coarse(impulse)
    assert spread.sum().item() == pytest.approx(1)
    assert (spread[0, 0, 64] > 0).nonzero().flatten().tolist() == list(range(33, 96))
    # The variance along an axis of (1, 2, 1)/4 at distance d is d^2/2: 1/2 (1 + 4 + 16 + 64 + 256).
    place = torch.arange(129, dtype=torch.float64) - 64
    assert (spread[0, 0].sum(0) * place**2).sum().item() == pytest.approx(170.5)


def test_recolouring_takes_colours_from_one_picture_and_detail_from_the_other():
    detail, colours = numbers(1, 3, 64, 64), numbers(1, 3, 64, 64).flip(3)
    out = transfer_coarse_colours(detail + 0.3, colours)
    assert torch.allclose(out, transfer_coarse_colours(detail, colours), atol=1e-5)
    assert torch.allclose(transfer_coarse_colours(colours, colours), colours, atol=1e-6)
    assert (out.mean() - colours.mean()).abs() < 0.01
