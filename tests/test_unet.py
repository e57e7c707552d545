"""The network built here is diffusers' own: names, shapes and, through the same lean blocks, every bit it says."""

import pytest
import torch
from diffusers import UNet2DModel

from odekit.parts.priors.fast.blocks import use_fast_blocks
from odekit.parts.priors.fast.unet import UNet, supports
from odekit.parts.priors.network import diffusers_network

SMALL = {
    "sample_size": 16, "block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 4,
    "attention_head_dim": 8, "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
}  # fmt: skip
KNOWN = {
    "as trained here": {"resnet_time_scale_shift": "scale_shift", "in_channels": 12, "out_channels": 12},
    "as google/ddpm-*": {
        "downsample_padding": 0, "norm_eps": 1e-6, "attention_head_dim": None, "flip_sin_to_cos": False,
        "freq_shift": 1, "mid_block_scale_factor": 1, "layers_per_block": 2, "act_fn": "silu",
    },
    "three levels, three blocks": {
        "block_out_channels": (8, 16, 24), "layers_per_block": 3,
        "down_block_types": ("AttnDownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    },
    "no middle attention": {"add_attention": False},
    "variances learned": {"out_channels": 6},
    "one level": {
        "block_out_channels": (16,), "down_block_types": ("DownBlock2D",), "up_block_types": ("AttnUpBlock2D",)
    },
}  # fmt: skip
UNKNOWN = {
    "resampling residual blocks": {"downsample_type": "resnet", "upsample_type": "resnet"},
    "another activation": {"act_fn": "mish"},
    "half the middle": {"mid_block_scale_factor": 2.0},
    "skip blocks": {"down_block_types": ("SkipDownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "SkipUpBlock2D")},
    "a key of the future": {"rotary": True},
    "an odd width": {"block_out_channels": (15, 30), "norm_num_groups": 5},
    "levels that do not agree": {"block_out_channels": (16,)},
}  # fmt: skip


def filled(network, values=None):
    torch.manual_seed(0)
    if values is not None:
        network.load_state_dict(values, strict=True)
        return network.eval().requires_grad_(False)
    for parameter in network.requires_grad_(False).parameters():  # biases and scales too
        parameter.copy_(0.3 * torch.randn(parameter.shape) / max(1, parameter[0].numel()) ** 0.5)
    return network.eval()


@pytest.mark.parametrize("kind", KNOWN)
def test_names_shapes_and_outputs_are_diffusers_own(kind):
    config = SMALL | KNOWN[kind]
    assert supports(config)
    theirs = filled(UNet2DModel(**config))
    ours = filled(UNet(theirs.config), theirs.state_dict())
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}
    x = torch.randn((2, config.get("in_channels", 3), 16, 16), generator=torch.Generator().manual_seed(1))
    for t in (torch.tensor([417.5]), torch.tensor([3.0, 999.0])):
        with torch.inference_mode():
            plain = theirs(x, t, return_dict=False)[0]
            told, said = (use_fast_blocks(one)(x, t, return_dict=False)[0] for one in (theirs, ours))
        assert plain.std() > 1e-3 and torch.equal(said, told)
        assert (said - plain).abs().max() <= 1e-5 * plain.abs().max()


@pytest.mark.parametrize("kind", UNKNOWN)
def test_what_is_not_known_is_left_to_diffusers(kind):
    assert supports(SMALL) and not supports(SMALL | UNKNOWN[kind])


def test_a_silent_configuration_means_diffusers_defaults():
    assert supports({})
    with torch.device("meta"):
        ours, theirs = UNet({}), diffusers_network({})
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}
