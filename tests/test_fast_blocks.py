"""The lean network says what diffusers' own says, whatever its options, up to the order of sums."""

import pytest
import torch
from conftest import ROOT
from diffusers import UNet2DModel

from odekit.parts.priors.fast.blocks import use_fast_blocks
from odekit.parts.priors.fast.packed import can_prepack
from odekit.parts.priors.network import DiffusersPrior, set_heads

SMALL = {
    "sample_size": 16, "block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 4,
    "attention_head_dim": 8, "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
}  # fmt: skip
KINDS = {
    "as trained here": {"resnet_time_scale_shift": "scale_shift"},
    "as google/ddpm-*": {"downsample_padding": 0, "norm_eps": 1e-6, "attention_head_dim": None},
    "resampling residual blocks": {"downsample_type": "resnet", "upsample_type": "resnet"},
    "SiLU's elder sister": {"act_fn": "mish"},
    "half the middle": {"mid_block_scale_factor": 2.0},
    "no middle attention": {"add_attention": False},
}


def network(**options):
    torch.manual_seed(0)
    made = UNet2DModel(**SMALL | options).eval().requires_grad_(False)
    for parameter in made.parameters():  # biases and scales too, which start as zeros and ones
        parameter.copy_(0.3 * torch.randn(parameter.shape) / max(1, parameter[0].numel()) ** 0.5)
    return made.to(memory_format=torch.channels_last)


def said(net, rows, t, shape):
    x = torch.randn((rows, *shape), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return net(
            x.contiguous(memory_format=torch.channels_last),
            torch.tensor(t if isinstance(t, list) else [t]),
            return_dict=False,
        )[0]


@pytest.mark.parametrize("rows, t", [(1, 0.0), (3, 417.5)])
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_those_of_the_plain_network(kind, rows, t):
    plain, ours = network(**KINDS[kind]), use_fast_blocks(network(**KINDS[kind]))
    a, b = (said(net, rows, t, (3, 16, 16)) for net in (plain, ours))
    assert a.std() > 1e-3
    assert (a - b).abs().max() <= 1e-5 * a.abs().max()


@pytest.mark.parametrize("kind", ["as trained here", "as google/ddpm-*"])
def test_rows_may_be_at_timesteps_of_their_own(kind):
    plain, ours = network(**KINDS[kind]), use_fast_blocks(network(**KINDS[kind]))
    a, b = (said(net, 3, [5.0, 400.0, 990.5], (3, 16, 16)) for net in (plain, ours))
    assert (a - b).abs().max() <= 1e-5 * a.abs().max()
    alone = said(ours, 3, 400.0, (3, 16, 16))[1]
    assert (b[1] - alone).abs().max() <= 1e-5 * a.abs().max() and (b[0] - alone).abs().max() > 1e-3 * a.abs().max()


def test_heads_that_were_set_are_kept():
    plain, ours, other = network(), network(), network()
    for net in (plain, ours, other):
        for name, parameter in net.named_parameters():
            if "to_q" in name or "to_k" in name:
                parameter.mul_(300)  # so that it matters which channels are compared together
        set_heads(net, 4 if net is other else 2, ROOT)
    a, b = said(plain, 2, 30.0, (3, 16, 16)), said(use_fast_blocks(ours), 2, 30.0, (3, 16, 16))
    assert (a - b).abs().max() <= 1e-5 * a.abs().max()
    assert (a - said(other, 2, 30.0, (3, 16, 16))).abs().max() > 20 * (a - b).abs().max()


def test_the_built_in_prior_uses_fast_blocks_and_agrees():
    folder = ROOT / "odekit" / "assets" / "face64"
    prior, plain = DiffusersPrior.load(folder), UNet2DModel.from_pretrained(folder).eval()
    a, b = said(plain, 2, 500.0, (12, 32, 32)), said(prior.network, 2, 500.0, (12, 32, 32))
    assert (a - b).abs().max() <= 2e-6 * a.abs().max()
    changed = [name for name, module in prior.network.named_modules() if "forward" in vars(module)]
    # The network, residual blocks, attentions, enlargements; where weights are packed, also convolutions between them.
    assert len(changed) == 1 + 17 + 11 + 2 + 4 * can_prepack(next(plain.parameters()))


def test_a_picture_keeps_its_bytes_whatever_the_other_slots_hold():
    net = use_fast_blocks(network())
    x = torch.randn((3, 3, 16, 16), generator=torch.Generator().manual_seed(2))
    other = x.clone()
    other[1:] = 0
    with torch.inference_mode():
        a, b = (net(one, torch.tensor([9.0]), return_dict=False)[0][0] for one in (x, other))
    assert torch.equal(a, b)


def test_the_input_is_left_alone():
    net, x = use_fast_blocks(network()), torch.ones((1, 3, 16, 16))
    with torch.inference_mode():
        net(x, torch.tensor([9.0]))
    assert torch.equal(x, torch.ones_like(x))
