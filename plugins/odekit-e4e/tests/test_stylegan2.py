"""The generator against closed forms of the paper, and the published layout."""

import json
import math

import numpy as np
import pytest
import torch
from conftest import ROOT
from odekit_e4e.stylegan2 import Generator, ModulatedConv, activation, blur_kernel, doubled
from scipy.signal import convolve2d

from .tiny import CODE, WIDTHS, generator_weights

KEYS = ROOT / "tests" / "data" / "keys"


@pytest.fixture(scope="module")
def generator():
    network = Generator(WIDTHS, CODE).eval()
    network.load_state_dict({n: t for n, t in generator_weights().items() if not n.endswith(".kernel")})
    return network.requires_grad_(False)


@pytest.fixture
def codes():
    return torch.randn(2, 10, CODE, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    ("name", "widths"),
    [("stylegan2_64", (512,) * 5), ("stylegan2_1024", (512,) * 5 + (256, 128, 64, 32))],
)
def test_the_full_network_has_the_published_layout_without_the_filters(name, widths):
    with torch.device("meta"):
        shapes = {n: list(t.shape) for n, t in Generator(widths).state_dict().items()}
    published = json.loads((KEYS / f"{name}.json").read_text())
    assert shapes == {n: s for n, s in published.items() if not n.endswith(".kernel")}
    assert all(s == [4, 4] for n, s in published.items() if n.endswith(".kernel"))


def direct(conv, x, codes):
    """Equations 1 to 3 of the paper for one row: the weights are scaled, and normalised for each output channel."""
    style = conv.modulation.weight.double() @ codes.double() / math.sqrt(len(codes)) + conv.modulation.bias.double()
    weight = conv.weight[0].double() * conv.scale * style[None, :, None, None]
    if conv.normed:
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
    planes = x.double().numpy()
    if conv.up:  # zeros between the samples, the convolution, then the filter
        wide = np.zeros((len(planes), 2 * planes.shape[1] - 1, 2 * planes.shape[2] - 1))
        wide[:, ::2, ::2] = planes
        out = [sum(convolve2d(p, w) for p, w in zip(wide, rows, strict=True)) for rows in weight.numpy()]
        return np.stack([convolve2d(p, blur_kernel().double().numpy())[2:-2, 2:-2] for p in out])
    pad = conv.padding
    planes = np.pad(planes, ((0, 0), (pad, pad), (pad, pad)))
    return np.stack(
        [
            sum(convolve2d(p, w[::-1, ::-1], "valid") for p, w in zip(planes, rows, strict=True))
            for rows in weight.numpy()
        ]
    )


@pytest.mark.parametrize("options", [{}, {"up": True}, {"normed": False}], ids=["plain", "up", "to RGB"])
def test_a_modulated_convolution_is_the_formula_of_the_paper_for_every_row(options):
    torch.manual_seed(0)
    conv = ModulatedConv(5, 4, 1 if options.get("normed") is False else 3, 7, **options).requires_grad_(False)
    for tensor in conv.parameters():
        tensor.normal_()
    x, codes = torch.randn(2, 5, 6, 6), torch.randn(2, 7)
    out = conv(x, codes)
    for row in range(2):
        expected = direct(conv, x[row], codes[row])
        assert np.abs(out[row].numpy() - expected).max() <= 1e-5 * np.abs(expected).max()


def test_the_filter_keeps_the_mean_and_doubling_is_zeros_and_the_filter():
    picture = torch.randn(1, 3, 5, 5, dtype=torch.float64)
    wide = np.zeros((11, 11))
    wide[1::2, 1::2] = picture[0, 1].numpy()[:5, :5]
    expected = convolve2d(wide, blur_kernel().double().numpy())[2:-2, 2:-2]
    assert np.allclose(doubled(picture)[0, 1].numpy(), expected, atol=1e-12)
    assert torch.allclose(doubled(torch.ones(1, 3, 8, 8))[..., 1:-1, 1:-1], torch.ones(1, 3, 14, 14))


def test_activations_keep_the_variance_of_the_paper():
    assert activation(torch.tensor([1.0, -1.0])).tolist() == pytest.approx([math.sqrt(2), -0.2 * math.sqrt(2)])


def test_the_mapping_does_not_see_the_length_of_z(generator):
    z = torch.randn(2, CODE)
    assert torch.allclose(generator.mapping(z), generator.mapping(3 * z), rtol=1e-4, atol=1e-4)


def test_every_layer_has_its_code_and_every_convolution_its_noise(generator, codes):
    """Code i first shows at the level where the paper's figure has it: 0 and 1 at 4 px, then pairs."""
    before = list(generator.pictures(codes))
    for i in range(10):
        changed = codes.clone()
        changed[:, i] += 1
        same = [torch.equal(a, b) for a, b in zip(before, generator.pictures(changed), strict=True)]
        first = 0 if i < 2 else i // 2
        if i >= 2 and i % 2 == 1:  # a code of toRGB serves the next level's first convolution too
            first = (i - 1) // 2
        assert same == [level < first for level in range(5)], f"code {i}"
    for i in range(len(generator.noise_sides)):
        noise = generator.stored_noise()
        noise[i] = noise[i] + 1
        same = [torch.equal(a, b) for a, b in zip(before, generator.pictures(codes, noise), strict=True)]
        assert same.index(False) == (i + 1) // 2, f"noise {i}"


def test_codes_are_w_and_never_z(generator, codes):
    """The official program's `input_code` means z. Here the mapping network has no part in a picture of codes."""
    before = generator(codes)
    weight = generator.style[1].weight
    kept = weight.clone()
    weight.zero_()
    after = generator(codes)
    weight.copy_(kept)
    assert torch.equal(before, after)


def test_rows_do_not_touch_each_other(generator, codes):
    both, alone = generator(codes), generator(codes[1:])
    assert (both[1:] - alone).abs().max() <= 1e-5 * alone.abs().max()
