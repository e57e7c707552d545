"""GFPGAN: noise, range and weights with a small network of the same structure; the full network's layout."""

import json

import numpy as np
import pytest
import torch
from conftest import ROOT, picture
from odekit_gfpgan import network as network_module
from odekit_gfpgan.options import Gfpgan
from odekit_gfpgan.upsampler import GfpganUpsampler

import odekit
from odekit.core.image import Image
from odekit.core.noise import ImageNoise, noise_generator
from odekit.errors import OdekitWarning, WeightsError
from odekit.parts.installed import catalog
from odekit.testing import StandaloneTools, check_readme, check_upsampler, synthetic_weights

SIDE = 64


def small():
    """spandrel's network at 64 px with an eighth of the channels, without weights."""
    from spandrel.architectures.GFPGAN import GFPGAN

    with torch.device("meta"):
        return GFPGAN(out_size=SIDE, num_style_feat=32, channel_multiplier=1, narrow=0.125)


@pytest.fixture(autouse=True)
def small_network(monkeypatch, request):
    if "long" not in request.keywords and "full" not in request.node.name:
        monkeypatch.setattr("odekit_gfpgan.network.build", small)
        monkeypatch.setattr("odekit_gfpgan.upsampler.SIDE", SIDE)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "own.pth"
    torch.save({"params_ema": synthetic_weights(small())}, path)
    return path


def make(file, precision="float32", **options):
    return GfpganUpsampler(Gfpgan(weights=str(file), **options), StandaloneTools(precision))


def faces(n, side=SIDE):
    return [Image.from_uint8(picture(i, side, side)) for i in range(n)]


def streams(images, seed=0):
    return [ImageNoise(noise_generator(seed, image.origin, "here")) for image in images]


def out(upsampler, images, seed=0):
    return np.stack([image.pixels for image in upsampler.upsample(images, streams(images, seed))])


# --- the network


def test_the_full_network_has_the_published_layout():
    shapes = {name: list(tensor.shape) for name, tensor in network_module.build().state_dict().items()}
    assert shapes == json.loads((ROOT / "tests" / "data" / "keys" / "gfpgan_v1clean_cm2.json").read_text())


# --- noise


def test_noise_arguments_replace_the_noise_of_the_file():
    """The file's noise as an argument gives the network's own result; half of it gives another result."""
    network = small().eval()
    network.load_state_dict(synthetic_weights(small()), assign=True)
    x = torch.from_numpy(np.stack([2 * face.pixels - 1 for face in faces(2)]))
    own = [getattr(network.stylegan_decoder.noises, f"noise{i}").expand(2, -1, -1, -1) for i in range(9)]
    assert network.stylegan_decoder.num_layers == len(own)
    with torch.inference_mode():
        stored, given, halved = (network_module.restore(network, x, n) for n in (None, own, [n / 2 for n in own]))
        assert torch.equal(stored, network(x, randomize_noise=False)[0])
    assert torch.equal(stored, given)
    assert not torch.equal(stored, halved)
    assert not network.stylegan_decoder._forward_pre_hooks


def test_every_noise_input_gets_standard_normal_draws_of_its_own_picture():
    class CountingNoise(ImageNoise):
        drawn = 0

        def normal(self, shape):
            CountingNoise.drawn += int(np.prod(shape))
            return super().normal(shape)

    noise = network_module.draw_noise(
        small(), [CountingNoise(noise_generator(0, "a", "here")), CountingNoise(noise_generator(0, "b", "here"))]
    )
    assert [tuple(n.shape) for n in noise] == [(2, 1, s, s) for s in (4, 8, 8, 16, 16, 32, 32, 64, 64)]
    assert CountingNoise.drawn == sum(n.numel() for n in noise)
    every = torch.cat([n.flatten() for n in noise])
    assert abs(float(every.mean())) < 0.03
    assert abs(float(every.std()) - 1) < 0.03
    assert not torch.equal(noise[0][0], noise[0][1])


def test_seeded_noise_follows_the_seed_and_stored_noise_does_not(file):
    seeded, stored = make(file), make(file, noise="stored")
    face = faces(1)
    assert np.array_equal(out(seeded, face), out(seeded, face))
    assert not np.array_equal(out(seeded, face), out(seeded, face, seed=1))
    assert np.array_equal(out(stored, face), out(stored, face, seed=1))
    assert not np.array_equal(out(stored, face), out(seeded, face))


def test_nothing_is_drawn_from_a_global_generator(file):
    state = torch.get_rng_state()
    for mode in ("seeded", "stored"):
        out(make(file, noise=mode), faces(1))
    assert torch.equal(torch.get_rng_state(), state)


# --- range, channels, batches, precision


def test_input_and_output_are_rgb_from_minus_one_to_one(file):
    upsampler = make(file)
    network, seen = upsampler.guarded.network, []
    network.conv_body_first.register_forward_pre_hook(lambda _, x: seen.append(x[0].clone()))
    for layer in (network.stylegan_decoder.to_rgb1, *network.stylegan_decoder.to_rgbs):
        layer.modulated_conv.weight.data.zero_()
        layer.bias.data.zero_()
    layer.bias.data.copy_(torch.tensor([0.5, 0.0, -1.5]).view(1, 3, 1, 1))
    orange = Image(np.stack([np.full((SIDE, SIDE), v, np.float32) for v in (1.0, 0.5, 0.0)]))
    (restored,) = upsampler.upsample([orange], streams([orange]))
    assert seen[0][0, :, 3, 3].tolist() == [1, 0, -1]
    assert restored.pixels[:, 3, 3].tolist() == [0.75, 0.5, 0.0]


@pytest.mark.parametrize("noise", ["seeded", "stored"])
def test_it_passes_the_upsampler_checks(file, noise):
    check_upsampler(lambda: make(file, noise=noise, batch=2), side=48)


def test_bytes_do_not_depend_on_batch_mates(file):
    upsampler, images = make(file, batch=3), faces(4)
    together = out(upsampler, images)
    assert np.array_equal(together[3], out(upsampler, images[3:])[0])
    assert np.array_equal(together[3], out(upsampler, images[::-1])[0])


def test_bfloat16_is_used_and_near_float32(file):
    half = make(file, "bfloat16")
    assert half.guarded.network.final_conv.weight.dtype == torch.bfloat16
    difference = np.abs(out(half, faces(1)) - out(make(file), faces(1)))
    assert 0 < difference.mean() < 0.02


def test_float16_runs_in_float32_with_a_warning(file):
    with pytest.warns(OdekitWarning, match="GFPGAN is not safe in float16; it runs in float32"):
        upsampler = make(file, "float16")
    assert np.array_equal(out(upsampler, faces(1)), out(make(file), faces(1)))


# --- weights


@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: {"params": t}, lambda t: {"state_dict": t}])
def test_wrappers_and_prefixes_are_removed(wrap, tmp_path, file):
    path = tmp_path / "wrapped.ckpt"
    torch.save(wrap({f"module.{name}": tensor for name, tensor in synthetic_weights(small()).items()}), path)
    assert np.array_equal(out(make(path), faces(1)), out(make(file), faces(1)))


def test_weights_that_do_not_fit_are_errors(tmp_path, file):
    def assert_rejected(content, message):
        path = tmp_path / "bad.pth"
        torch.save(content, path)
        with pytest.raises(WeightsError, match=message):
            make(path)

    tensors = synthetic_weights(small())
    assert_rejected(
        {n: t for n, t in tensors.items() if n != "final_conv.bias"}, r"1 missing tensor \(first final_conv\.bias\)"
    )
    assert_rejected(tensors | {"extra": torch.zeros(1)}, r"1 unknown tensor \(first extra\)")
    assert_rejected(
        tensors | {"final_conv.bias": torch.zeros(7)}, r"1 of another shape \(first final_conv\.bias: \(7,\)"
    )
    layout = json.loads((ROOT / "tests" / "data" / "keys" / "codeformer.json").read_text())
    assert_rejected(dict.fromkeys(layout, torch.zeros(1)), "these are weights of CodeFormer, not of GFPGAN")
    first = {"conv_body_first.0.weight": torch.zeros(1), "stylegan_decoder.style_mlp.1.weight": torch.zeros(1)}
    assert_rejected(first, "weights of GFPGAN v1 in its first form, not of GFPGAN")
    cut = tmp_path / "cut.pth"
    cut.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="truncated or no weights file"):
        make(cut)


# --- as a part


def test_both_versions_are_registered_with_what_else_binds_their_users():
    found = catalog()
    for version in ("1.3", "1.4"):
        store = found.weights[f"gfpgan-{version}"]
        assert (store.size, store.file) == (348_632_874, f"GFPGANv{version}.pth")
        assert len(store.sha256) == 64
        assert "NVIDIA" in store.notice
    assert found.weights["gfpgan-1.3"].sha256 != found.weights["gfpgan-1.4"].sha256


PAPER = [
    "restore.inverter=ode",
    "restore.enhancer=langevin",
    "restore.colour=keep",
    "restore.blur=keep",
    "restore.first=null",
    "restore.occlusions=keep",
]
"""The README's options for the fixed settings of the paper."""


def test_the_chains_are_this_system_alone_and_after_odedit():
    assert odekit.Chain.load("gfpgan").plan().calls == 0
    plan = odekit.Chain.load("odedit-gfpgan").plan()
    chain, auto = odekit.Chain.load("odedit-gfpgan"), odekit.Chain.load("odedit-auto")
    assert chain.tree()["chain"][0] == auto.tree()["chain"][0]
    paper = odekit.Chain.load("odedit-gfpgan", PAPER)
    assert paper.tree()["chain"][0] == odekit.Chain(["restore"]).tree()["chain"][0]
    assert paper.plan().calls == 600
    assert "gfpgan-1.4" in [weights["name"] for weights in plan.weights]


def test_commands_in_the_readme_name_chains_and_options_that_exist():
    check_readme(ROOT / "plugins" / "odekit-gfpgan" / "README.md")


@pytest.mark.long
def test_the_chain_runs_in_full_size_on_a_face(tmp_path):
    """With synthetic weights the result is not a face, but has the right size and depends on the seed."""
    path = tmp_path / "filled.pth"
    torch.save({"params_ema": synthetic_weights(network_module.build())}, path)
    face = odekit.read(sorted((ROOT / "examples" / "clean").glob("*.png"))[0])
    few = ["restore.inverter.steps=2", "restore.enhancer.levels=[0]", "restore.enhancer.iterations=1"]
    chain = odekit.Chain.load("odedit-gfpgan", [*few, f"upsample.weights={path}"])
    (first,), (again,) = chain.run([face]), chain.run([face])
    assert first.image.pixels.shape == (3, 512, 512)
    assert np.array_equal(first.image.pixels, again.image.pixels)
