"""Files: the official ones, generators alone, safetensors, training checkpoints, and those of other programs."""

import json

import pytest
import torch
from conftest import ROOT
from odekit_e4e.checkpoint import read_checkpoint, read_generator
from odekit_e4e.network import load, mean_code
from safetensors.torch import save_file

from odekit.errors import WeightsError

from .tiny import CODE, OPTIONS, content, encoder_weights, generator_weights, save


def read(file, generator=None):
    return load(file, generator, "float32", "cpu")


def test_sizes_and_the_number_of_codes_are_those_of_the_tensors_whatever_the_options_say(tmp_path, file):
    network = read(save(tmp_path / "lies.pt", opts=OPTIONS | {"stylegan_size": 1024}))
    assert (len(network.encoder.styles), network.decoder.codes, network.decoder.side) == (10, 10, 64)
    assert network.encoder.latlayer1.out_channels == CODE
    assert torch.equal(network.mean, content()["latent_avg"])


def test_what_training_leaves_in_a_file_is_ignored(tmp_path, file):
    more = {
        "global_step": 7,
        "optimizer": {"lr": 0.1},
        "best_val_loss": 0.5,
        "discriminator_state_dict": {"a": torch.ones(1)},
    }
    trained = read(save(tmp_path / "training.pt", **more))
    assert all(
        torch.equal(a, b) for a, b in zip(trained.state_dict().values(), read(file).state_dict().values(), strict=True)
    )


def test_safetensors_with_the_same_names_are_read(tmp_path, file):
    state = content()["state_dict"] | {"latent_avg": content()["latent_avg"]}
    save_file(state, tmp_path / "own.safetensors")
    assert torch.equal(read(tmp_path / "own.safetensors").mean, read(file).mean)


def test_the_mean_code_is_added_unless_the_options_say_otherwise(tmp_path):
    off = read(save(tmp_path / "off.pt", opts=OPTIONS | {"start_from_latent_avg": False}))
    assert not off.mean.any()
    assert torch.equal(read(save(tmp_path / "no-options.pt", opts=None)).mean, content()["latent_avg"])


def test_a_missing_mean_code_is_that_of_ten_thousand_random_codes(tmp_path):
    """The same in every run; the official program's differs from run to run."""
    made = read(save(tmp_path / "without.pt", latent_avg=None))
    assert made.mean.shape == (CODE,)
    z = torch.randn(20_000, CODE, generator=torch.Generator().manual_seed(4))
    other = made.decoder.mapping(z)
    assert ((made.mean - other.mean(0)).abs() <= 6 * other.std(0) / 10_000**0.5).all()
    assert torch.equal(made.mean, mean_code(made.decoder, CODE))


def test_a_generator_alone_replaces_the_one_in_the_file(tmp_path, file):
    torch.save({"g_ema": generator_weights(seed=9), "latent_avg": torch.full((CODE,), 2.0)}, tmp_path / "g.pt")
    tensors, mean = read_generator(tmp_path / "g.pt")
    assert mean.tolist() == [2] * CODE and not [name for name in tensors if name.endswith("kernel")]
    network = read(file, tmp_path / "g.pt")
    assert torch.equal(network.decoder.input.input, generator_weights(seed=9)["input.input"])
    assert torch.equal(network.mean, content()["latent_avg"]), "the encoder's own mean code"
    assert read(save(tmp_path / "without.pt", latent_avg=None), tmp_path / "g.pt").mean.tolist() == [2] * CODE
    torch.save(generator_weights(seed=9), tmp_path / "bare.pth")
    assert torch.equal(read(file, tmp_path / "bare.pth").decoder.input.input, network.decoder.input.input)


def test_an_encoder_alone_needs_a_generator(tmp_path):
    torch.save({f"encoder.{n}": t for n, t in encoder_weights().items()}, tmp_path / "encoder.pt")
    assert not read_checkpoint(tmp_path / "encoder.pt").decoder
    with pytest.raises(WeightsError, match="an encoder without a generator; name a generator's file as 'generator'"):
        read(tmp_path / "encoder.pt")


def refused(tmp_path, message, content=None, **changes):
    path = tmp_path / "bad.pt"
    torch.save(content, path) if content is not None else save(path, **changes)
    with pytest.raises(WeightsError, match=message):
        read(path)


def test_names_are_those_of_the_parts_with_their_dot(tmp_path):
    """The official program takes every name that begins with 'encoder' or 'decoder'."""
    state = content()["state_dict"]
    refused(tmp_path, "encoder_old.weight belongs to neither", state_dict=state | {"encoder_old.weight": torch.ones(1)})
    refused(tmp_path, "decoder2.weight belongs to neither", state_dict=state | {"decoder2.weight": torch.ones(1)})


def test_files_that_do_not_fit_are_errors(tmp_path):
    state = content()["state_dict"]
    without = {n: t for n, t in state.items() if n != "encoder.latlayer2.bias"}
    refused(tmp_path, r"1 missing tensor \(first latlayer2\.bias\)", state_dict=without)
    refused(tmp_path, r"1 unknown tensor \(first extra\)", state_dict=state | {"decoder.extra": torch.ones(1)})
    bias = {"decoder.to_rgb1.bias": torch.ones(3)}
    refused(tmp_path, r"1 of another shape \(first to_rgb1\.bias: \(3,\)", state_dict=state | bias)
    refused(tmp_path, r"latent_avg has the shape \(4, 2\)", latent_avg=torch.ones(4, 2))
    refused(tmp_path, "latent_avg is no tensor", latent_avg=[0.0])
    refused(tmp_path, "latent_avg holds NaN", latent_avg=torch.full((10, CODE), torch.nan))
    kernel = {"decoder.convs.0.conv.blur.kernel": torch.ones(4, 4) / 4}
    refused(tmp_path, r"convs\.0\.conv\.blur\.kernel is not StyleGAN2's filter", state_dict=state | kernel)


def test_encoder_and_generator_fit_together(tmp_path):
    state = {f"encoder.{n}": t for n, t in encoder_weights(codes=8).items()}
    state |= {f"decoder.{n}": t for n, t in generator_weights().items()}
    refused(tmp_path, "its encoder makes 8 codes of 128 numbers, but the generator takes 10 of 128", state_dict=state)


def test_files_of_other_programs_are_named(tmp_path):
    layout = json.loads((ROOT / "tests" / "data" / "keys" / "codeformer.json").read_text())
    refused(tmp_path, "these are weights of CodeFormer", {"params_ema": dict.fromkeys(layout, torch.zeros(1))})
    refused(tmp_path, "these are weights of StyleGAN2, not of encoder4editing", generator_weights())
    refused(tmp_path, "holds a generator alone; give it as 'generator'", {"g_ema": generator_weights()})
    psp = OPTIONS | {"encoder_type": "GradualStyleEncoder"}
    refused(tmp_path, "made for the encoder 'GradualStyleEncoder' of pSp", opts=psp)
    with pytest.raises(WeightsError, match="these are weights of encoder4editing, not of StyleGAN2"):
        read_generator(save(tmp_path / "e4e.pt"))
