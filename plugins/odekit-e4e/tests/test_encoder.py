"""The encoder: published layout, pyramid, sums of codes, and the size that it takes."""

import json

import numpy as np
import pytest
import torch
from conftest import ROOT
from odekit_e4e.encoder import Encoder, convolutions, enlarged

from odekit.parts.metrics.ir_se50 import IrSe50

from .tiny import CODE, encoder_weights


@pytest.fixture(scope="module")
def encoder():
    network = Encoder(10, 16)
    network.load_state_dict(encoder_weights())
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def face():
    return torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(3)) / 2


def test_the_full_network_has_the_published_layout():
    with torch.device("meta"):
        shapes = {n: list(t.shape) for n, t in Encoder().state_dict().items()}
    assert shapes == json.loads((ROOT / "tests" / "data" / "keys" / "e4e_encoder.json").read_text())
    with torch.device("meta"):
        trunk = {n: list(t.shape) for n, t in IrSe50().state_dict().items() if not n.startswith("output_layer")}
    assert trunk == {n: s for n, s in shapes.items() if n.startswith(("input_layer", "body"))}


def test_blocks_of_a_level_reduce_it_to_one_code():
    assert [convolutions(i) for i in range(18)] == [4] * 3 + [5] * 4 + [6] * 11


def test_the_pyramid_has_three_levels(encoder, face):
    levels = encoder.pyramid(face)
    assert {name: tuple(x.shape[1:]) for name, x in levels.items()} == {
        "c1": (32, 64, 64), "c2": (64, 32, 32), "c3": (128, 16, 16), "p2": (128, 32, 32), "p1": (128, 64, 64)
    }  # fmt: skip
    assert torch.equal(levels["p2"], enlarged(levels["c3"], levels["c2"]) + encoder.latlayer1(levels["c2"]))
    assert torch.equal(levels["p1"], enlarged(levels["p2"], levels["c1"]) + encoder.latlayer2(levels["c1"]))


def test_levels_are_enlarged_with_aligned_corners():
    x = torch.rand(1, 1, 1, 4)
    at = np.linspace(0, 3, 8)
    assert np.allclose(
        enlarged(x.expand(1, 1, 4, 4), torch.empty(1, 1, 8, 8))[0, 0, 5], np.interp(at, np.arange(4), x[0, 0, 0])
    )


def test_every_code_is_the_first_plus_its_own_block(encoder, face):
    levels = encoder.pyramid(face)
    codes = encoder(face)
    assert codes.shape == (1, 10, CODE)
    features = [levels["c3"]] * 3 + [levels["p2"]] * 4 + [levels["p1"]] * 3
    own = [block(x) for block, x in zip(encoder.styles, features, strict=True)]
    assert torch.equal(codes[:, 0], own[0])
    assert all(torch.equal(codes[:, i], own[0] + own[i]) for i in range(1, 10))


@pytest.mark.parametrize("size", [(512, 512), (128, 128), (256, 192)])
def test_a_face_of_another_size_is_an_error_and_not_several_codes(encoder, size):
    with pytest.raises(ValueError, match=f"256x256 px, not {size[1]}x{size[0]}"):
        encoder(torch.zeros(1, 3, *size))
