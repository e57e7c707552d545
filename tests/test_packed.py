"""Weights that are laid out once, and what is computed below float32, against torch's own operations and float64."""

import pytest
import torch
from test_fast_blocks import network, said
from torch import nn
from torch.nn import functional

from odekit.parts.priors.fast import blocks as module
from odekit.parts.priors.fast import kernels
from odekit.parts.priors.fast.blocks import as_four_convolutions, as_transposed_convolution, use_fast_blocks
from odekit.parts.priors.fast.packed import PackedConvolution, PackedLinear, can_prepack, packed_convolution

LAST = torch.channels_last
TYPES = [torch.float32, torch.bfloat16]
ROUNDING = {torch.float32: 1e-6, torch.bfloat16: 2**-8}


def drawn(*shape, dtype=torch.float32, seed=0):
    made = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    return made.contiguous(memory_format=LAST) if len(shape) == 4 else made


def off(some, true):
    """The largest difference, of the largest value."""
    return float((some.double() - true).abs().max() / true.abs().max())


@pytest.fixture(autouse=True)
def unwatched():
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("stride, padding", [(1, 1), (2, 1), (2, 0), (1, 0)])
def test_a_convolution_is_torchs_own_whatever_pictures_came_before(dtype, stride, padding):
    weight, bias = drawn(32, 16, 3, 3, dtype=dtype), drawn(32, dtype=dtype)
    ours = PackedConvolution(weight, stride, padding)
    for shape in ((2, 16, 8, 8), (1, 16, 8, 8), (2, 16, 12, 12), (2, 16, 8, 8)):
        x = drawn(*shape, dtype=dtype)
        true = functional.conv2d(x.double(), weight.double(), bias.double(), stride, padding)
        made = ours(x, bias)
        assert made.dtype == dtype and made.is_contiguous(memory_format=LAST)
        assert off(made, true) <= ROUNDING[dtype]


@pytest.mark.parametrize("dtype", TYPES)
def test_a_transposed_convolution_is_torchs_own(dtype):
    weight, bias = drawn(16, 32, 4, 4, dtype=dtype), drawn(32, dtype=dtype)
    ours = PackedConvolution(weight, 2, 1, transposed=True)
    # a processor without 16-bit arithmetic adds four parts that are rounded already
    rounding = ROUNDING[dtype] * (2 if dtype != torch.float32 else 1)
    for rows in (1, 3, 1):
        x = drawn(rows, 16, 6, 6, dtype=dtype)
        true = functional.conv_transpose2d(x.double(), weight.double(), bias.double(), 2, 1)
        assert off(ours(x, bias), true) <= rounding


@pytest.mark.parametrize("dtype", TYPES)
def test_a_product_adds_what_it_is_given_and_leaves_it_alone(dtype):
    weight, bias = drawn(24, 16, dtype=dtype), drawn(24, dtype=dtype)
    ours = PackedLinear(weight, bias)
    for rows in (40, 5, 40):
        x, plus = drawn(rows, 16, dtype=dtype), drawn(rows, 24, dtype=dtype, seed=1)
        true, before = x.double() @ weight.double().t() + bias.double(), plus.clone()
        assert off(ours(x), true) <= ROUNDING[dtype]
        assert off(ours(x, plus), true + plus.double()) <= 2 * ROUNDING[dtype]
        assert torch.equal(plus, before)


def test_a_module_gives_up_weights_that_are_packed_and_keeps_them_otherwise():
    one, other = nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3)
    assert packed_convolution(one, pack=True).packed is can_prepack(other.weight) and (
        one.weight is None
    ) is can_prepack(other.weight)
    assert not packed_convolution(other, pack=False).packed and other.weight is not None
    for strange in (nn.Conv2d(8, 8, 3, groups=2), nn.Conv2d(8, 8, 3, padding_mode="circular"), nn.Linear(3, 3)):
        assert packed_convolution(strange, pack=True) is None and strange.weight is not None


@pytest.mark.parametrize("pack", [True, False])
def test_an_enlargement_is_that_of_neighbours_and_a_convolution(pack):
    conv = nn.Conv2d(8, 8, 3, padding=1)
    x = drawn(2, 8, 6, 6)
    true = functional.conv2d(
        functional.interpolate(x.double(), scale_factor=2.0), conv.weight.double(), conv.bias.double(), padding=1
    )
    for made in (as_transposed_convolution(conv, pack), as_four_convolutions(conv, pack)):
        assert off(made(x), true) <= 1e-6


@pytest.mark.parametrize("side", [8, 40])
@pytest.mark.parametrize("silu", [True, False])
def test_a_normalisation_in_bfloat16_rounds_once_or_twice(side, silu):
    x, weight, offset = drawn(2, 32, side, side, dtype=torch.bfloat16), drawn(32, seed=1), drawn(32, seed=2)
    true = functional.group_norm(x.double(), 4, weight.double(), offset.double(), 1e-5)
    true = functional.silu(true) if silu else true
    before = x.clone()
    made = kernels.group_norm_silu(x, 4, weight, offset, 1e-5, silu=silu)
    assert made.dtype == torch.bfloat16 and off(made, true) <= 2**-8 and torch.equal(x, before)


@pytest.mark.parametrize("rows, pixels", [(1, 16), (4, 144)])
def test_attention_below_float32_is_attention(rows, pixels):
    many = rows * 2 * pixels * pixels
    assert (kernels.MIN_SCORES <= many <= kernels.MAX_SCORES) is (rows == 4)
    mixed = drawn(rows, pixels, 3 * 2 * 32, dtype=torch.bfloat16).view(rows, pixels, 3, 2, 32)
    query, key, value = mixed.permute(2, 0, 3, 1, 4)
    true = functional.scaled_dot_product_attention(query.double(), key.double(), value.double()).transpose(1, 2)
    made = kernels.softmax_attention(query, key, value)
    assert made.shape == (rows, pixels, 2, 32) and off(made, true) <= 2**-6


@pytest.mark.parametrize("shift", ["scale_shift", "default"])
def test_bfloat16_is_near_float32_whatever_the_timestep(shift):
    wide, narrow = (use_fast_blocks(network(resnet_time_scale_shift=shift).to(dtype)) for dtype in TYPES)
    x = drawn(2, 3, 16, 16)
    for t in (700.0, 3.0, 700.0):
        a, b = (
            net(x.to(d), torch.tensor([t]), return_dict=False)[0] for net, d in ((wide, TYPES[0]), (narrow, TYPES[1]))
        )
        assert b.dtype == torch.bfloat16 and off(b, a.double()) <= 0.05


def test_what_a_timestep_needs_is_kept_for_it_and_for_no_other(monkeypatch):
    monkeypatch.setattr(module, "MAX_CACHED_TIMESTEPS", 2)
    net, fresh, shape = use_fast_blocks(network()), network(), (3, 16, 16)
    asked = []
    for name, one in net.named_modules():
        if name.endswith("time_emb_proj"):
            one.register_forward_hook(lambda *_: asked.append(1))
    for t, new in ((3.0, True), (3.0, False), (700.0, True), (3.0, False), (50.0, True), (3.0, True)):
        asked.clear()
        a, b = said(net, 2, t, shape), said(fresh, 2, t, shape)
        assert bool(asked) is new and off(a, b.double()) <= 1e-5
    asked.clear()
    net(drawn(2, 3, 16, 16), torch.tensor([3.0]), None, return_dict=False)  # with a label one cannot know
    assert asked
