"""Every official name maps to one tensor of the diffusers modules, with its shape, and back; no weights are needed."""

import json
from pathlib import Path

import pytest
import torch
from odekit_diffbir.checkpoint import layout
from odekit_diffbir.names import Names
from odekit_diffbir.networks import build
from odekit_diffbir.shapes import SD21, TINY
from odekit_diffbir.stage1 import FACE, KINDS, load, swinir

KEYS = Path(__file__).parents[3] / "tests" / "data" / "keys"
FILES = {
    ("controlnet", SD21): "diffbir_controlnet_sd21", ("controlnet", TINY): "diffbir_tiny_controlnet",
    ("unet", SD21): "diffbir_unet_sd21", ("unet", TINY): "diffbir_tiny_unet",
    ("vae", SD21): "diffbir_vae_sd21", ("vae", TINY): "diffbir_tiny_vae",
}  # fmt: skip
COUNTS = {"diffbir_controlnet_sd21": 324, "diffbir_unet_sd21": 686, "diffbir_vae_sd21": 248}


def published(name):
    return {key: tuple(shape) for key, shape in json.loads((KEYS / f"{name}.json").read_text()).items()}


@pytest.mark.parametrize(("network", "shape"), list(FILES), ids=FILES.values())
def test_official_names_and_shapes_are_those_of_the_network(network, shape):
    file = FILES[network, shape]
    official, names = published(file), Names(network, shape)
    assert layout(build(network, shape), names, network) == official
    assert [names.official(names.target(name)) for name in official] == list(official)
    assert len({names.target(name) for name in official}) == len(official) == COUNTS.get(file, len(official))


@pytest.mark.parametrize(
    "name", ["input_blocks.12.0.in_layers.0.weight", "label_emb.0.weight", "input_hint_block.0.bias"]
)
def test_a_name_of_another_network_is_none_of_this_one(name):
    with pytest.raises(KeyError):
        Names("controlnet", SD21).target(name)


def test_there_are_thirteen_control_tensors():
    assert SD21.controls == 13 and TINY.controls == 10
    assert SD21.factor == 8 and SD21.multiple == 64


def test_swinir_has_the_published_names_and_shapes():
    state = swinir(FACE).state_dict()
    ours = {name.replace("conv_first.", "conv_first.1."): tuple(tensor.shape) for name, tensor in state.items()}
    assert ours == published("diffbir_swinir_face")


@pytest.mark.parametrize("name", ["bsrnet", "scunet"])
def test_stage_1_of_v2_accepts_the_published_layouts(name):
    tensors = {key: torch.zeros(shape) for key, shape in published(f"diffbir_{name}").items()}
    network = load(tensors, KINDS[name], name)
    assert sum(p.numel() for p in network.parameters()) == {"bsrnet": 16_697_987, "scunet": 17_946_072}[name]
