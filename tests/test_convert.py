"""Other programs' networks say the same after conversion, held against stored outputs of the official classes."""

import json
import math

import numpy as np
import pytest
import torch
from goldens import DATA, golden, golden_input, layout, relative_deviation, synthetic_arrays

from odekit.core.schedule import NoiseSchedule
from odekit.errors import WeightsError
from odekit.parts.priors.convert import ConvertOptions, convert_checkpoint, detect_kind
from odekit.parts.priors.convert.renaming import ConvertedNetwork
from odekit.parts.priors.convert.run import check_converted, to_diffusers
from odekit.parts.priors.metadata import Betas
from odekit.parts.priors.network import DiffusersPrior
from odekit.plugins.weights.load import load_tensors

SEED = 20240817
GOLDENS = {
    "adm_small": ("adm_small_golden", {"num_head_channels": 16}),
    "adm_small_newattn": ("adm_small_golden", {"num_head_channels": 16, "qkv_order": "new"}),
    "ddim_small": ("ddim_small_golden", {}),
}
LAYOUTS = {
    "adm_celeba64_120m": {"image_size": 64, "num_heads": 4},
    "adm_openai64_like_295m_uncond": {"image_size": 64, "num_head_channels": 64},
    "adm_small_golden": {"image_size": 32, "num_head_channels": 16},
    "ddim_celeba64": {"image_size": 64},
    "ddim_celebahq256": {"image_size": 256},
    "ddim_small_golden": {"image_size": 32},
}


def weights(network: str, rule: str = "B") -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in synthetic_arrays(layout(network), SEED, rule).items()}


def empty(network: str) -> dict[str, torch.Tensor]:
    """A layout without memory."""
    return {name: torch.empty(shape, device="meta") for name, shape in layout(network).items()}


def made(tensors, **options) -> ConvertedNetwork:
    return to_diffusers(tensors, detect_kind(tensors), ConvertOptions(**options))


def fault(call, *args, **options) -> str:
    with pytest.raises(WeightsError) as caught:
        call(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def checkpoint(tmp_path):
    """A file as another program writes it."""

    def write(network: str, wrap=lambda t: t):
        path = tmp_path / f"{network}.pt"
        torch.save(wrap(weights(network)), path)
        return path

    return write


@pytest.mark.parametrize("rule", ["A", "B"])
@pytest.mark.parametrize("network", ["adm_small_golden", "ddim_small_golden"])
def test_the_fill_rule_gives_the_published_weights(network, rule):
    said = json.loads((DATA / "golden" / "fill_check.json").read_text())["nets"][f"{network}.{rule}"]
    filled = synthetic_arrays(layout(network), SEED, rule)
    assert len(filled) == said["filled_tensors"]
    assert sum(float(v.astype(np.float64).sum()) for v in filled.values()) == pytest.approx(said["sum"], rel=1e-12)
    squares = sum(float((v.astype(np.float64) ** 2).sum()) for v in filled.values())
    assert squares == pytest.approx(said["sum_of_squares"], rel=1e-12)
    assert float(filled[said["last"][0]].ravel()[-1]) == said["last"][1]


@pytest.mark.parametrize("rule", ["A", "B"])
@pytest.mark.parametrize("stem", GOLDENS)
def test_converted_networks_repeat_the_stored_outputs(stem, rule, tmp_path):
    """From a checkpoint file through the converter and the written folder to the network of the loaded prior."""
    network, options = GOLDENS[stem]
    torch.save(weights(network, rule), tmp_path / "net.pt")
    folder = convert_checkpoint(tmp_path / "net.pt", tmp_path / "out", options=ConvertOptions(image_size=32, **options))
    prior = DiffusersPrior.load(folder)
    stored = golden(f"{stem}.{rule}")
    x = torch.from_numpy(golden_input(stored, (2, 3, 32, 32)))
    with torch.inference_mode():
        out = prior.network(x, torch.from_numpy(stored["timesteps"]), return_dict=False)[0].numpy()
    assert relative_deviation(out, stored["output"]) <= 2e-5
    # And as a prior, one timestep at a time: eps is the first half where the network also says sigma.
    eps = torch.cat([prior.eps(x[i : i + 1].double(), float(t)) for i, t in enumerate(stored["timesteps"])])
    assert relative_deviation(eps.numpy(), stored["output"][:, :3]) <= 2e-5
    assert prior.spec.learned_sigma == ("adm" in stem)


@pytest.mark.parametrize("network", LAYOUTS)
def test_every_published_layout_converts_without_rest(network):
    """All tensors are used, and diffusers' network of that configuration wants exactly these."""
    source = empty(network)
    result = made(source, **LAYOUTS[network])
    check_converted(result, network)
    assert sum(t.numel() for t in result.tensors.values()) == sum(t.numel() for t in source.values())


def test_another_systems_checkpoint_is_named():
    assert "it looks like GFPGAN's" in fault(detect_kind, empty("gfpgan_v1clean_cm2"))


def test_what_tensors_show_is_read_from_them():
    config = made(empty("adm_openai64_like_295m_uncond"), image_size=64, num_head_channels=64).config
    assert config["block_out_channels"] == [192, 384, 576, 768]
    assert config["layers_per_block"] == 3
    assert config["out_channels"] == 6
    assert config["down_block_types"] == ["ResnetDownsampleBlock2D"] + ["AttnDownBlock2D"] * 3
    assert (config["downsample_type"], config["upsample_type"]) == ("resnet", "resnet")
    config = made(empty("ddim_celebahq256"), image_size=256).config
    assert config["block_out_channels"] == [128, 128, 256, 256, 512, 512]
    assert [i for i, kind in enumerate(config["down_block_types"]) if "Attn" in kind] == [4]


def test_the_wrong_qkv_order_or_heads_would_be_seen():
    """The goldens tell the options apart, so the comparisons above mean something."""
    stored = golden("adm_small.B")
    x = torch.from_numpy(golden_input(stored, (2, 3, 32, 32)))
    for options in ({"num_head_channels": 16, "qkv_order": "new"}, {"num_head_channels": 32}):
        result = made(weights("adm_small_golden"), image_size=32, **options)
        network = build(result)
        with torch.inference_mode():
            out = network(x, torch.from_numpy(stored["timesteps"]), return_dict=False)[0].numpy()
        assert relative_deviation(out, stored["output"]) > 0.05


def build(result: ConvertedNetwork) -> torch.nn.Module:
    from diffusers import UNet2DModel

    network = UNet2DModel.from_config(result.config)
    network.load_state_dict(result.tensors)
    return network.eval()


@pytest.mark.parametrize("order", ["legacy", "new"])
def test_a_fixed_number_of_heads_at_two_widths(tmp_path, order, checkpoint):
    """`num_heads` 4: heads of 16 channels at width 64, of 24 at 96. config.json cannot say it, odekit.json does."""
    source = weights("adm_small_golden")
    options = ConvertOptions(image_size=32, num_heads=4, qkv_order=order)
    folder = convert_checkpoint(checkpoint("adm_small_golden"), tmp_path / "out", options=options)
    assert json.loads((folder / "odekit.json").read_text())["heads"] == 4
    network = DiffusersPrior.load(folder).network
    for name, module in (
        ("input_blocks.4.1", network.down_blocks[1].attentions[0]),
        ("middle_block.1", network.mid_block.attentions[0]),
    ):
        x = torch.from_numpy(np.random.default_rng(0).standard_normal((2, module.query_dim, 4, 4)).astype(np.float32))
        assert relative_deviation(module(x).numpy(), attention(source, name, x, 4, order).numpy()) < 1e-6


def attention(source, name: str, x: torch.Tensor, heads: int, order: str) -> torch.Tensor:
    """ADM's attention block, written out (arXiv:2105.05233; the two orders of its programs)."""
    n, c, *size = x.shape
    h = torch.nn.functional.group_norm(x, 32, source[f"{name}.norm.weight"], source[f"{name}.norm.bias"], 1e-5).flatten(
        2
    )
    qkv = torch.nn.functional.conv1d(h, source[f"{name}.qkv.weight"], source[f"{name}.qkv.bias"])
    if order == "legacy":
        q, k, v = qkv.reshape(n, heads, 3, c // heads, -1).unbind(2)
    else:
        q, k, v = qkv.reshape(n, 3, heads, c // heads, -1).unbind(1)
    weight = torch.softmax(torch.einsum("nhct,nhcs->nhts", q, k) / math.sqrt(c / heads), dim=-1)
    a = torch.einsum("nhts,nhcs->nhct", weight, v).reshape(n, c, -1)
    a = torch.nn.functional.conv1d(a, source[f"{name}.proj_out.weight"], source[f"{name}.proj_out.bias"])
    return x + a.reshape(n, c, *size)


def test_of_a_training_file_the_ema_is_taken(tmp_path, checkpoint):
    """[model, optimiser, epoch, step, EMA], the model's names with `module.`, the EMA's without."""

    def wrap(ema):
        model = {f"module.{name}": torch.zeros_like(value) for name, value in ema.items()}
        return [model, {"state": {}, "param_groups": []}, 3, 1000, ema]

    options = ConvertOptions(image_size=32)
    plain = convert_checkpoint(checkpoint("ddim_small_golden"), tmp_path / "plain", options=options)
    training = convert_checkpoint(checkpoint("ddim_small_golden", wrap), tmp_path / "training", options=options)
    a, b = (load_tensors(f / "diffusion_pytorch_model.safetensors") for f in (plain, training))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_the_written_folder_holds_the_given_options(tmp_path, checkpoint):
    options = ConvertOptions(image_size=32, betas=Betas(kind="cosine", steps=500), prediction="v", half=True)
    path = checkpoint("ddim_small_golden")
    folder = convert_checkpoint(path, tmp_path / "deep" / "out", options=options)
    assert sorted(p.name for p in folder.iterdir()) == [
        "config.json",
        "diffusion_pytorch_model.safetensors",
        "odekit.json",
    ]
    prior = DiffusersPrior.load(folder)
    assert prior.shape == (3, 32, 32)
    assert prior.spec.prediction == "v"
    assert np.array_equal(prior.schedule.abar, NoiseSchedule.cosine(500).abar)
    assert prior.spec.about["converted_from"] == path.name
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1, "others may read the weights, too"
    stored = load_tensors(folder / "diffusion_pytorch_model.safetensors")
    assert {t.dtype for t in stored.values()} == {torch.float16}


def drop(*starts):
    return lambda t: {n: v for n, v in t.items() if not n.startswith(starts)}


def put(name, *shape):
    return lambda t: t | {name: torch.empty(shape, device="meta")}


def whole(t):
    return t


UPS, POOLS = ("output_blocks.2.2.", "output_blocks.5.2."), ("input_blocks.3.", "input_blocks.6.")
CANNOT_ADM = {
    "no heads given": ({}, whole, "num_heads or num_head_channels"),
    "heads that do not divide": ({"num_heads": 7}, whole, "is not divisible"),
    "heads wider than the layer": ({"num_head_channels": 128}, whole, "is not divisible"),
    "conditioned on classes": ({"num_heads": 4}, put("label_emb.weight", 10, 128), "classes"),
    "pooled resampling": ({"num_heads": 4}, drop(*UPS, *POOLS), "input_blocks are not numbered"),
    "levels of unequal depth": ({"num_heads": 4}, drop(UPS[0]), "equally deep"),
    "attention here and there": ({"num_heads": 4}, drop("input_blocks.5.1."), "some blocks of a level"),
    "attention to text": ({"num_heads": 4}, put("input_blocks.4.1.encoder_kv.weight", 1), "encoder_kv"),
    "a narrow first level": ({"num_heads": 4}, put("time_embed.0.weight", 128, 64), "first multiplier"),
    "a missing tensor": ({"num_heads": 4}, drop("out.2.bias"), "out.2.bias is missing"),
}
CANNOT_DDIM = {
    "pooled resampling": (drop("down.0.downsample"), "down.0.downsample.conv.weight is missing"),
    "attention here and there": (drop("up.1.attn.1"), "some blocks only"),
    "3x3 shortcuts": (put("down.1.block.0.conv_shortcut.weight", 1), "conv_shortcut"),
    "no blocks": (drop("down.0.block"), "not a network of the DDIM programs"),
}


@pytest.mark.parametrize("case", CANNOT_ADM)
def test_adm_networks_that_cannot_be_expressed_are_refused(case):
    options, change, said = CANNOT_ADM[case]
    tensors = change(empty("adm_small_golden"))
    assert said in fault(to_diffusers, tensors, "adm", ConvertOptions(image_size=32, **options))


@pytest.mark.parametrize("case", CANNOT_DDIM)
def test_ddim_networks_that_cannot_be_expressed_are_refused(case):
    change, said = CANNOT_DDIM[case]
    assert said in fault(to_diffusers, change(empty("ddim_small_golden")), "ddim", ConvertOptions(image_size=32))


def test_a_shape_that_diffusers_would_not_make_is_refused():
    tensors = empty("adm_small_golden") | {
        "input_blocks.4.0.skip_connection.weight": torch.empty(64, 32, 3, 3, device="meta")
    }
    text = fault(check_converted, made(tensors, image_size=32, num_heads=4), "net.pt")
    assert "down_blocks.1.resnets.0.conv_shortcut.weight" in text


def test_files_that_are_no_such_network_are_refused(tmp_path, checkpoint):
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "other.pt")
    options = ConvertOptions(image_size=32)
    assert "neither an ADM nor a DDIM" in fault(
        convert_checkpoint, tmp_path / "other.pt", tmp_path / "out", options=options
    )
    assert "image_size" in fault(convert_checkpoint, tmp_path / "other.pt", tmp_path / "out")
    assert "no such weights file" in fault(
        convert_checkpoint, tmp_path / "absent.pt", tmp_path / "out", options=options
    )
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten_and_nothing_half_written_stays(tmp_path, checkpoint):
    path, out = checkpoint("ddim_small_golden"), tmp_path / "out"
    out.mkdir()
    (out / "precious.txt").write_text("mine")
    assert "already exists" in fault(convert_checkpoint, path, out, options=ConvertOptions(image_size=32))
    assert [p.name for p in out.iterdir()] == ["precious.txt"]
    (tmp_path / "file").write_text("")
    assert "cannot be written" in fault(
        convert_checkpoint, path, tmp_path / "file" / "out", options=ConvertOptions(image_size=32)
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ddim_small_golden.pt", "file", "out"]
