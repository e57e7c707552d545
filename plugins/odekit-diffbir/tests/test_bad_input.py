"""Weights files in all conditions: wrapped, prefixed, monolithic, of another system, damaged."""

from pathlib import Path

import pytest
import torch
from odekit_diffbir.checkpoint import PREFIX, load
from odekit_diffbir.names import Names
from odekit_diffbir.options import Diffbir
from odekit_diffbir.shapes import TINY
from odekit_diffbir.upsampler import DiffbirUpsampler
from safetensors.torch import save_file

from odekit.errors import WeightsError
from odekit.plugins import load_tensors
from odekit.testing import StandaloneTools


@pytest.fixture
def control(parts, tmp_path, make):
    """The upsampler with a ControlNet file whose tensors `change` has modified."""

    def made(change, name="control.pt"):
        torch.save(change(parts["controlnet"]()), tmp_path / name)
        return make(control_weights=str(tmp_path / name))

    return made


@pytest.mark.parametrize("wrap", [
    lambda t: t, lambda t: {"state_dict": t}, lambda t: {"module." + n: v for n, v in t.items()},
    lambda t: {"state_dict": {"module." + n: v for n, v in t.items()}}, lambda t: {"params_ema": t},
    lambda t: {"control_model." + n: v for n, v in t.items()},
], ids=["bare", "state_dict", "module", "both", "params_ema", "inside a monolith"])  # fmt: skip
def test_official_wrappers_are_removed(parts, tmp_path, wrap):
    tensors = parts["controlnet"]()
    torch.save(wrap(tensors), tmp_path / "control.pt")
    given = load("controlnet", load_tensors(tmp_path / "control.pt"), TINY, torch.float32, "file").state_dict()
    names = Names("controlnet", TINY)
    assert {names.official(name) for name in given} == set(tensors)
    assert all(torch.equal(tensor, tensors[names.official(name)]) for name, tensor in given.items())


def test_a_monolith_of_v1_serves_every_network(parts, make, run, picture, weights, tmp_path):
    whole = {PREFIX[p] + n: t for p in ("controlnet", "unet", "vae") for n, t in parts[p]().items()}
    whole |= {f"cond_stage_model.model.{n}": t for n, t in parts["text"]().items()}
    whole |= {PREFIX["stage1"] + n.removeprefix("module."): t for n, t in parts["swinir"]().items()}
    whole |= {"cond_encoder.0.weight": torch.zeros(1), "betas": torch.zeros(1000)}
    torch.save({"state_dict": whole}, tmp_path / "full.ckpt")
    file = str(tmp_path / "full.ckpt")
    upsampler = make(stage2="v1-face", stage1_weights=file, control_weights=file, base_weights=file)
    truth = run(make(stage2="v1-face"), picture())[0]
    assert torch.equal(torch.from_numpy(run(upsampler, picture())[0]), torch.from_numpy(truth))


def without(name):
    return lambda t: {n: v for n, v in t.items() if n != name}


@pytest.mark.parametrize(("change", "words"), [
    (without("middle_block_out.0.bias"), r"ControlNet of DiffBIR\).* 1 missing tensor \(first middle_block_out.0.bias\)"),
    (lambda t: t | {"label_emb.weight": torch.zeros(1)}, r"1 unknown tensor \(first label_emb.weight\)"),
    (lambda t: t | {"input_blocks.0.0.weight": torch.zeros(32, 4, 3, 3)}, r"first input_blocks.0.0.weight: \(32, 4, 3, 3\)"),
    (lambda t: {"position_emb": torch.zeros(1), "idx_pred_layer.1.weight": torch.zeros(1), "quantize.embedding.weight": torch.zeros(1)},
     "does not contain the ControlNet of DiffBIR; these are weights of CodeFormer"),
    (lambda t: {"weight": torch.zeros(1)}, "their system is unknown"),
    (lambda t: t | {"zero_convs.0.0.weight": torch.full((32, 32, 1, 1), float("nan"))}, "holds NaN or infinite"),
    (lambda t: {"weights": [1, 2]}, "holds no named tensors"),
], ids=["missing", "unknown", "shape", "CodeFormer", "nothing", "NaN", "no tensors"])  # fmt: skip
def test_other_files_are_refused_by_name(control, change, words):
    with pytest.raises(WeightsError, match=words):
        control(change)


def test_a_truncated_file_is_refused(parts, make, tmp_path):
    save_file(parts["controlnet"](), tmp_path / "control.safetensors")
    whole = (tmp_path / "control.safetensors").read_bytes()
    (tmp_path / "control.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="truncated or no safetensors file"):
        make(control_weights=str(tmp_path / "control.safetensors"))


@pytest.mark.parametrize(("stage1", "change", "words"), [
    ("face", without("module.conv_last.bias"), "not the weights of a SwinIR"),
    ("face", lambda t: t | {"module.conv_last.scale": torch.zeros(1)}, "not the weights of a SwinIR"),
    ("scunet", lambda t: t, "these are weights of SwinIR, not of SCUNet"),
    ("bsrnet", lambda t: t, "these are weights of SwinIR, not of BSRNet"),
    ("face", lambda t: {"weight": torch.zeros(1)}, "not the weights of a SwinIR"),
], ids=["missing", "unknown", "scunet", "bsrnet", "nothing"])  # fmt: skip
def test_other_files_for_stage_1_are_refused_by_name(parts, make, tmp_path, stage1, change, words):
    torch.save(change(parts["swinir"]()), tmp_path / "swinir.ckpt")
    with pytest.raises(WeightsError, match=words):
        make(stage1=stage1, stage2="none", stage1_weights=str(tmp_path / "swinir.ckpt"))


def test_a_base_file_that_is_not_stable_diffusion_is_named(make, weights):
    with pytest.raises(WeightsError, match=r"does not contain the .*; these are weights of a ControlNet of DiffBIR"):
        make(base_weights=weights["control_weights"])


def test_the_text_encoder_may_come_from_a_file_of_its_own(parts, make, run, picture, weights, tmp_path, monkeypatch):
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "home"))
    whole = load_tensors(Path(weights["base_weights"]))
    save_file({n: t for n, t in whole.items() if not n.startswith("cond_stage")}, tmp_path / "base.safetensors")
    save_file(parts["text"](), tmp_path / "text.safetensors")
    base = str(tmp_path / "base.safetensors")
    with pytest.raises(WeightsError, match=r"does not contain the OpenCLIP text encoder.*text_weights"):
        make(base_weights=base)
    out = run(make(base_weights=base, text_weights=str(tmp_path / "text.safetensors")), picture())[0]
    assert torch.equal(torch.from_numpy(out), torch.from_numpy(run(make(), picture())[0]))


def test_missing_weights_are_reported_before_any_file_is_read(weights):
    with pytest.raises(WeightsError, match=r"nowhere/base.ckpt: there is no such weights file"):
        DiffbirUpsampler(Diffbir(**(weights | {"base_weights": "nowhere/base.ckpt"})), StandaloneTools())
    with pytest.raises(WeightsError, match="diffbir-swinir-face"):
        DiffbirUpsampler(Diffbir(), StandaloneTools())
