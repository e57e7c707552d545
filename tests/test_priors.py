"""A diffusers folder becomes a prior that says what diffusers itself says, and a bad folder gets one line."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler, UNet2DModel
from safetensors.torch import load_file, save_file

from odekit.core.files import sha256
from odekit.core.schedule import NoiseSchedule
from odekit.errors import DeviceError, WeightsError
from odekit.parts.priors.folder import read_prior_folder
from odekit.parts.priors.network import DiffusersPrior

FACE64 = Path(__file__).parent.parent / "odekit" / "assets" / "face64"
WEIGHTS = "diffusion_pytorch_model.safetensors"


def network(**changes) -> UNet2DModel:
    """A small random network in the style of google/ddpm-*."""
    torch.manual_seed(0)
    settings = {
        "sample_size": 16,
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": None,
        "downsample_padding": 0,
        "flip_sin_to_cos": False,
        "freq_shift": 1,
        "norm_eps": 1e-6,
    }
    return UNet2DModel(**settings | changes).eval()


def save(folder: Path, model: UNet2DModel, scheduler=None, **metadata) -> Path:
    """The layout of google/ddpm-ema-celebahq-256: model and scheduler files side by side at the root."""
    model.save_pretrained(folder)
    (scheduler or DDPMScheduler()).save_pretrained(folder)
    (folder / "model_index.json").write_text(
        '{"_class_name": "DDPMPipeline", "scheduler": ["diffusers", "DDPMScheduler"]}'
    )
    if metadata:
        (folder / "odekit.json").write_text(json.dumps(metadata))
    return folder


def states(n: int = 2, side: int = 16) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).standard_normal((n, 3, side, side)))


def said(model: UNet2DModel, x: torch.Tensor, t: float) -> torch.Tensor:
    with torch.no_grad():
        return model(x.float(), torch.tensor([t])).sample.double()


def worst(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def fault(call, *args) -> str:
    with pytest.raises(WeightsError) as caught:
        call(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path) -> Path:
    return save(tmp_path / "prior", network())


# What the network says


@pytest.mark.parametrize("t", [0.0, 17.0, 500.5, 999.0])
def test_eps_is_what_diffusers_says(folder, t):
    prior, x = DiffusersPrior.load(folder), states()
    assert worst(prior.eps(x, t), said(network(), x, t)) < 1e-5
    assert prior.shape == (3, 16, 16)


def test_fractional_timesteps_reach_the_network(folder):
    prior, x = DiffusersPrior.load(folder), states()
    assert worst(prior.eps(x, 20.5), prior.eps(x, 20.0)) > 1e-4


def test_a_pipeline_folder_gives_the_same_prior(folder, tmp_path):
    """unet/ and scheduler/, as `DDPMPipeline.save_pretrained` writes them."""
    DDPMPipeline(network(), DDPMScheduler(beta_schedule="squaredcos_cap_v2")).save_pretrained(tmp_path / "pipeline")
    prior, x = DiffusersPrior.load(tmp_path / "pipeline"), states()
    assert torch.equal(prior.eps(x, 300.0), DiffusersPrior.load(folder).eps(x, 300.0))
    assert np.allclose(prior.schedule.abar, NoiseSchedule.cosine().abar)


@pytest.mark.parametrize("t", [0.0, 500.5, 999.0])
@pytest.mark.parametrize("kind", ["v_prediction", "sample"])
def test_other_predictions_are_adapted(tmp_path, kind, t):
    """The eps of a v or x0 prediction is the one that is consistent with `x = sqrt(abar) x0 + sigma eps`."""
    prior = DiffusersPrior.load(save(tmp_path, network(), DDPMScheduler(prediction_type=kind)))
    x = states()
    abar = prior.schedule.abar_at(t)
    sigma, signal = math.sqrt(1 - abar), math.sqrt(abar)
    out = said(network(), x, t)
    x0 = out if kind == "sample" else signal * x - sigma * out
    assert worst(signal * x0 + sigma * prior.eps(x, t), x) < 1e-5
    if float(t).is_integer():
        assert worst(prior.eps(x, t), library_eps(kind, out, x, int(t))) < 1e-4


def library_eps(kind: str, out: torch.Tensor, x: torch.Tensor, t: int) -> torch.Tensor:
    """The eps that diffusers' DDIM works with: its step without noise lands on sqrt(abar') x0 + sqrt(1 - abar') eps."""
    ddim = DDIMScheduler(prediction_type=kind, clip_sample=False, set_alpha_to_one=False)
    ddim.set_timesteps(1000)
    step = ddim.step(out, t, x)
    before = ddim.alphas_cumprod[max(t - 1, 0)].double()
    return (step.prev_sample - before.sqrt() * step.pred_original_sample) / (1 - before).sqrt()


def test_patches_go_around_the_network(tmp_path):
    """Pixel-unshuffle by 2 before, pixel-shuffle after: 3x16x16 to 12x8x8 and back."""
    model = network(in_channels=12, out_channels=12, sample_size=8)
    prior = DiffusersPrior.load(save(tmp_path, model, patch=2))
    x = states()
    small = x.reshape(2, 3, 8, 2, 8, 2).permute(0, 1, 3, 5, 2, 4).reshape(2, 12, 8, 8)
    out = said(model, small, 40.0).reshape(2, 3, 2, 2, 8, 8).permute(0, 1, 4, 2, 5, 3).reshape(2, 3, 16, 16)
    assert prior.shape == (3, 16, 16)
    assert worst(prior.eps(x, 40.0), out) < 1e-5


@pytest.mark.parametrize("patch", [1, 2])
def test_of_a_network_with_learned_sigma_the_first_half_is_eps(tmp_path, patch):
    channels = 3 * patch**2
    model = network(in_channels=channels, out_channels=2 * channels, sample_size=16 // patch)
    prior, x = DiffusersPrior.load(save(tmp_path, model, patch=patch)), states()
    inner = torch.nn.functional.pixel_unshuffle(x, patch)
    out = torch.nn.functional.pixel_shuffle(said(model, inner, 40.0)[:, :channels], patch)
    assert prior.spec.learned_sigma
    assert worst(prior.eps(x, 40.0), out) < 1e-5


def test_the_state_stays_float64_and_may_be_changed_in_place(folder):
    prior, x = DiffusersPrior.load(folder), states()
    before = x.clone()
    eps = prior.eps(x, 10.0)
    assert eps.dtype == torch.float64
    assert not eps.requires_grad
    eps += 1
    assert torch.equal(x, before)


def test_the_v_algebra_is_done_in_float64(tmp_path):
    """With a network that says v = 0, eps is sigma x to the last bit, whatever its precision."""
    model = network()
    torch.nn.init.zeros_(model.conv_out.weight)
    torch.nn.init.zeros_(model.conv_out.bias)
    save(tmp_path, model, DDPMScheduler(prediction_type="v_prediction"))
    prior, x = DiffusersPrior.load(tmp_path, precision="bfloat16"), states()
    assert torch.equal(prior.eps(x, 400.0), math.sqrt(1 - prior.schedule.abar[400]) * x)


@pytest.mark.parametrize(
    ("precision", "least", "most"), [("float32", 0, 1e-5), ("bfloat16", 1e-5, 0.05), ("float16", 1e-5, 0.01)]
)
def test_precisions_agree_with_diffusers_within_their_rounding(folder, precision, least, most):
    prior, x = DiffusersPrior.load(folder, precision=precision), states()
    assert least <= worst(prior.eps(x, 300.0), said(network(), x, 300.0)) < most


def test_a_row_does_not_depend_on_the_other_rows(folder):
    prior, x = DiffusersPrior.load(folder), states(4)
    other = x.clone()
    other[1:] = -3 * other[1:]
    assert torch.equal(prior.eps(x, 300.0)[0], prior.eps(other, 300.0)[0])


def test_pictures_of_another_size_are_refused(folder):
    with pytest.raises(ValueError, match=r"\(3, 16, 16\)"):
        DiffusersPrior.load(folder).eps(states(side=32), 10.0)


def test_old_names_of_attention_layers_are_understood(folder):
    """google/ddpm-* were written by diffusers 0.0.4, which called them query, key, value and proj_attn."""
    x, new = states(), DiffusersPrior.load(folder).eps(states(), 300.0)
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = load_file(folder / WEIGHTS)
    for today, then in names.items():
        tensors = {name.replace(f".{today}.", f".{then}."): value for name, value in tensors.items()}
    (folder / WEIGHTS).unlink()
    torch.save(tensors, folder / "diffusion_pytorch_model.bin")
    assert any("proj_attn" in name for name in tensors)
    assert torch.equal(DiffusersPrior.load(folder).eps(x, 300.0), new)


def test_the_digest_is_that_of_the_weights_file(folder):
    assert DiffusersPrior.load(folder).weights_digest == sha256(folder / WEIGHTS)


def test_the_built_in_prior_finds_noise_in_noise():
    """At the top level x is nearly all noise: a trained prior returns most of it."""
    prior = DiffusersPrior.load(FACE64)
    x = states(2, 64)
    assert prior.shape == (3, 64, 64)
    assert prior.spec.prediction == "v"
    assert float((prior.eps(x, 999.0) - x).square().mean()) < 0.02


# Noise levels


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
        {"beta_schedule": "squaredcos_cap_v2"},
        {"beta_schedule": "sigmoid", "num_train_timesteps": 300},
        {"trained_betas": [0.1, 0.2, 0.3]},
    ],
)
def test_noise_levels_are_those_of_the_library(folder, settings):
    """diffusers computes them in float32; agreement to its rounding."""
    scheduler = DDPMScheduler(**settings)
    scheduler.save_pretrained(folder)
    expected = scheduler.alphas_cumprod.double().numpy()
    abar = read_prior_folder(folder).schedule.abar
    assert abar.shape == expected.shape
    assert np.allclose(abar, expected, rtol=2e-4, atol=1e-8)


def test_without_any_word_on_noise_it_is_a_ddpm(folder):
    (folder / "scheduler_config.json").unlink()
    spec = read_prior_folder(folder)
    assert np.array_equal(spec.schedule.abar, NoiseSchedule.linear(1e-4, 0.02, 1000).abar)
    assert spec.prediction == "epsilon"


def test_our_metadata_wins_over_the_scheduler(folder):
    DDPMScheduler(prediction_type="sample", num_train_timesteps=300).save_pretrained(folder)
    meta = {
        "prediction": "v",
        "betas": {"kind": "given", "values": [0.1, 0.2]},
        "range": [-1, 1],
        "about": {"by": "us"},
    }
    (folder / "odekit.json").write_text(json.dumps(meta))
    spec = read_prior_folder(folder)
    assert spec.prediction == "v"
    assert np.allclose(spec.schedule.abar, [0.9, 0.72])


def test_reading_a_spec_loads_no_torch():
    use = f"from odekit.parts.priors.folder import read_prior_folder; read_prior_folder({str(FACE64)!r})"
    code = f"import sys; {use}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Bad folders


def rewrite(name: str, **changes):
    """Change keys of one of the folder's JSON files; None removes a key."""

    def act(folder: Path) -> None:
        path = folder / name
        content = json.loads(path.read_text()) if path.exists() else {}
        content |= changes
        path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))

    return act


def reweigh(change):
    def act(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS)

    return act


class Bomb:
    def __reduce__(self):
        return (print, ("this must not run",))


def malicious(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    torch.save({"conv_in.weight": Bomb()}, folder / "diffusion_pytorch_model.bin")


def truncated(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:1000])


BAD_FOLDERS = {
    "no config": (lambda f: (f / "config.json").unlink(), "no config.json"),
    "config that is no JSON": (lambda f: (f / "config.json").write_text("{"), "config.json"),
    "config that is no object": (lambda f: (f / "config.json").write_text("[1]"), "one JSON object"),
    "another class": (rewrite("config.json", _class_name="UNet2DConditionModel"), "UNet2DConditionModel"),
    "no class": (rewrite("config.json", _class_name=None), "UNet2DModel"),
    "another network": (rewrite("config.json", block_out_channels=[32, 96]), "of another shape"),
    "an impossible network": (rewrite("config.json", block_out_channels=[32, 64, 96]), "no UNet2DModel can be built"),
    "grey pictures": (rewrite("config.json", in_channels=1, out_channels=1), "RGB"),
    "classes": (rewrite("config.json", num_class_embeds=10), "unconditional"),
    "fourier timesteps": (rewrite("config.json", time_embedding_type="fourier"), "positional"),
    "no size": (rewrite("config.json", sample_size=None), "one image size"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "no weights file"),
    "truncated weights": (truncated, "truncated"),
    "missing tensors": (reweigh(lambda t: t.pop("conv_in.bias")), "1 missing tensor (first conv_in.bias)"),
    "extra tensors": (reweigh(lambda t: t.update({"more": torch.ones(1)})), "1 unknown tensor (first more)"),
    "NaN": (reweigh(lambda t: t["conv_in.bias"].fill_(math.nan)), "conv_in.bias holds NaN"),
    "malicious pickle": (malicious, "could run code"),
    "unknown key": (rewrite("odekit.json", pach=2), "unknown key 'pach'; did you mean 'patch'?"),
    "unknown key of betas": (rewrite("odekit.json", betas={"knd": "linear"}), "did you mean 'kind'?"),
    "wrong type": (rewrite("odekit.json", patch="two"), "patch"),
    "wrong word": (rewrite("odekit.json", prediction="epsilom"), "prediction"),
    "another range": (rewrite("odekit.json", range=[0, 1]), "[-1, 1]"),
    "patch that does not fit": (rewrite("odekit.json", patch=2), "patch 2"),
    "shape that does not fit": (rewrite("odekit.json", shape=[3, 64, 64]), "one image size"),
    "heads that do not divide": (rewrite("odekit.json", heads=7), "7 heads"),
    "unknown betas": (rewrite("scheduler_config.json", beta_schedule="laplace"), "laplace"),
    "betas out of range": (rewrite("scheduler_config.json", beta_end=1.5), "noise schedule"),
    "given betas without values": (rewrite("odekit.json", betas={"kind": "given"}), "noise schedule"),
    "too few timesteps": (rewrite("scheduler_config.json", num_train_timesteps=1), "noise schedule"),
    "zero terminal SNR": (rewrite("scheduler_config.json", rescale_betas_zero_snr=True), "rescale_betas_zero_snr"),
    "unknown prediction": (rewrite("scheduler_config.json", prediction_type="flow"), "flow"),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_a_bad_folder_gets_one_line(folder, case, capsys):
    damage, text = BAD_FOLDERS[case]
    damage(folder)
    message = fault(DiffusersPrior.load, folder)
    assert text in message
    assert str(folder) in message
    assert "must not run" not in capsys.readouterr().out


def test_no_folder_at_all(tmp_path):
    assert "no such weights folder" in fault(DiffusersPrior.load, tmp_path / "absent")


def test_devices_and_precisions_that_are_not_there(folder):
    for settings in ({"device": "tpu"}, {"precision": "float8"}):
        with pytest.raises(DeviceError):
            DiffusersPrior.load(folder, **settings)
