"""CodeFormer: the effect of each option on a small network of the same structure; the full network's layout."""

import json
import warnings

import numpy as np
import pytest
import torch
from conftest import ROOT, picture
from odekit_codeformer import network as network_module
from odekit_codeformer.options import Codeformer
from odekit_codeformer.upsampler import CodeformerUpsampler
from torch import nn

import odekit
from odekit.core.image import Image
from odekit.errors import OdekitWarning, WeightsError
from odekit.parts.installed import catalog
from odekit.testing import StandaloneTools, check_readme, check_upsampler, synthetic_weights

SIDE = 64


def small():
    """The official shape (block numbers, fusions) with 32 channels, 64 px, 2 x 2 tokens and 16 codes, without weights."""
    from spandrel_extra_arches.architectures.CodeFormer.__arch import codeformer as layers

    with torch.device("meta"):
        network = nn.Module()
        network.encoder = layers.Encoder(3, 32, 32, [1] * 6, 2, SIDE, [2])
        network.generator = layers.Generator(32, [1] * 6, 2, SIDE, [2], 32)
        network.quantize = layers.VectorQuantizer(16, 32, 0.25)
        network.position_emb = nn.Parameter(torch.zeros(4, 32))
        network.feat_emb = nn.Linear(32, 32)
        network.ft_layers = nn.Sequential(*(layers.TransformerSALayer(32, 4, 64) for _ in range(2)))
        network.idx_pred_layer = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 16, bias=False))
        network.fuse_convs_dict = nn.ModuleDict(
            {name: layers.Fuse_sft_block(32, 32) for name in network_module.FUSIONS}
        )
    return network


@pytest.fixture(autouse=True)
def small_network(monkeypatch, request):
    if "long" not in request.keywords and "full" not in request.node.name:
        monkeypatch.setattr("odekit_codeformer.network.build", small)
        monkeypatch.setattr("odekit_codeformer.upsampler.SIDE", SIDE)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "own.pth"
    torch.save({"params_ema": synthetic_weights(small())}, path)
    return path


def make(file, precision="float32", **options):
    return CodeformerUpsampler(Codeformer(weights=str(file), **options), StandaloneTools(precision))


def faces(n, side=SIDE):
    return [Image.from_uint8(picture(i, side, side)) for i in range(n)]


def codes_of(upsampler, images):
    x = torch.stack([torch.from_numpy(2 * image.pixels - 1) for image in images])
    return network_module.encode(upsampler.guarded.network, x)


# --- the network


def test_the_full_network_has_the_published_layout():
    shapes = {name: list(tensor.shape) for name, tensor in network_module.build().state_dict().items()}
    assert shapes == json.loads((ROOT / "tests" / "data" / "keys" / "codeformer.json").read_text())


def test_adain_gives_the_moments_of_the_style():
    rng = np.random.Generator(np.random.PCG64(0))
    content, style = (torch.from_numpy(rng.normal(m, s, (2, 5, 4, 4))) for m, s in ((3, 2), (-1, 0.5)))
    out = network_module.adaptive_instance_norm(content, style)
    assert torch.allclose(out.mean((2, 3)), style.mean((2, 3)))
    # The unbiased variance; 1e-5 is added to both, which is next to nothing here.
    assert torch.allclose(out.var((2, 3)), style.var((2, 3)), rtol=1e-4)


def generator_input(upsampler, images):
    """The input of the generator."""
    seen = []
    hook = upsampler.guarded.network.generator.blocks[0].register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    upsampler.upsample(images, [])
    hook.remove()
    return seen[0]


def test_without_adain_the_generator_gets_the_code_book_itself_with_it_the_colours_of_the_face(file):
    plain, styled = make(file, adain=False), make(file, adain=True)
    face = faces(1)
    codes = codes_of(plain, face)
    book = plain.guarded.network.quantize.embedding.weight[codes.indices[0]]
    assert torch.equal(generator_input(plain, face)[0].flatten(1).T, book)
    assert torch.allclose(generator_input(styled, face).mean((2, 3)), codes.features.mean((2, 3)), atol=1e-4)


# --- fidelity


def influence(upsampler, fidelity):
    """Change of the result after a change of the encoder's features."""
    network = upsampler.guarded.network
    codes = codes_of(upsampler, faces(1))
    torch.manual_seed(0)
    other = {name: tap + torch.randn_like(tap) for name, tap in codes.skip_features.items()}
    changed = network_module.Codes(codes.features, other, codes.logits)
    with torch.inference_mode():
        a, b = (network_module.decode(network, c, fidelity, True) for c in (codes, changed))
    return float((a - b).abs().mean())


def test_fidelity_0_ignores_the_encoders_features_and_1_follows_them_most(file):
    upsampler = make(file)
    assert influence(upsampler, 0.0) == 0
    assert 0 < influence(upsampler, 0.1) < influence(upsampler, 0.5) < influence(upsampler, 1.0)


def test_each_of_the_four_fusions_takes_part(file):
    upsampler = make(file)
    codes = codes_of(upsampler, faces(1))
    assert set(codes.skip_features) == {"32", "64", "128", "256"}
    with torch.inference_mode():
        base = network_module.decode(upsampler.guarded.network, codes, 1.0, True)
        for name, tap in codes.skip_features.items():
            changed = network_module.Codes(codes.features, codes.skip_features | {name: tap + 1}, codes.logits)
            assert (network_module.decode(upsampler.guarded.network, changed, 1.0, True) - base).abs().max() > 1e-3


def test_every_option_has_an_effect(file):
    def out(**options):
        return make(file, **options).upsample(faces(1), [])[0].pixels

    assert np.abs(out() - out(fidelity=0.9)).max() > 1e-3
    assert np.abs(out() - out(adain=False)).max() > 1e-3
    seen = []
    upsampler = make(file, batch=2)
    upsampler.guarded.network.encoder.blocks[0].register_forward_hook(lambda _, x, __: seen.append(len(x[0])))
    upsampler.upsample(faces(3), [])
    assert seen == [2, 2]


# --- range, channels, batches, precision


def test_input_and_output_are_rgb_from_minus_one_to_one(file):
    upsampler = make(file)
    seen = []
    network = upsampler.guarded.network
    network.encoder.blocks[0].register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    last = network.generator.blocks[-1]
    last.weight.data.zero_()
    last.bias.data.copy_(torch.tensor([0.5, 0.0, -1.5]))
    orange = Image(np.stack([np.full((SIDE, SIDE), v, np.float32) for v in (1.0, 0.5, 0.0)]))
    (out,) = upsampler.upsample([orange], [])
    assert seen[0][0, :, 3, 3].tolist() == [1, 0, -1]
    assert out.pixels[:, 3, 3].tolist() == [0.75, 0.5, 0.0]


def test_it_passes_the_upsampler_checks(file):
    check_upsampler(lambda: make(file, batch=2), side=48)


def test_bytes_do_not_depend_on_batch_mates(file):
    upsampler, images = make(file, batch=2), faces(3)
    together = [image.pixels for image in upsampler.upsample(images, [])]
    alone = upsampler.upsample(images[2:], [])[0].pixels
    turned = upsampler.upsample(images[::-1], [])[0].pixels
    assert np.array_equal(together[2], alone)
    assert np.array_equal(together[2], turned)


def test_in_bfloat16_the_codes_are_those_of_float32(file):
    images = faces(1)
    whole, half = make(file), make(file, "bfloat16")
    assert half.guarded.network.generator.blocks[0].weight.dtype == torch.bfloat16
    assert torch.equal(codes_of(whole, images).logits, codes_of(half, images).logits)
    a, b = (np.stack([i.pixels for i in u.upsample(images, [])]) for u in (whole, half))
    assert 0 < np.abs(a - b).mean() < 0.05


def test_float16_runs_in_float32_with_a_warning(file):
    with pytest.warns(OdekitWarning, match="CodeFormer is not safe in float16; it runs in float32"):
        upsampler = make(file, "float16")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (out,) = upsampler.upsample(faces(1), [])
    assert np.array_equal(out.pixels, make(file).upsample(faces(1), [])[0].pixels)


def test_nothing_is_drawn_from_a_global_generator(file):
    state = torch.get_rng_state()
    upsampler = make(file)
    upsampler.upsample(faces(1), [])
    assert torch.equal(torch.get_rng_state(), state)


# --- weights


@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: {"params": t}, lambda t: {"state_dict": t}])
def test_wrappers_and_prefixes_are_removed(wrap, tmp_path, file):
    path = tmp_path / "wrapped.ckpt"
    torch.save(wrap({f"module.{name}": tensor for name, tensor in synthetic_weights(small()).items()}), path)
    a, b = (make(f).upsample(faces(1), [])[0].pixels for f in (path, file))
    assert np.array_equal(a, b)


def test_weights_that_do_not_fit_are_errors(tmp_path, file):
    def assert_rejected(content, message, name="bad.pth"):
        path = tmp_path / name
        torch.save(content, path)
        with pytest.raises(WeightsError, match=message):
            make(path)

    tensors = synthetic_weights(small())
    assert_rejected(
        {n: t for n, t in tensors.items() if n != "position_emb"}, r"1 missing tensor \(first position_emb\)"
    )
    assert_rejected(tensors | {"extra": torch.zeros(1)}, r"1 unknown tensor \(first extra\)")
    assert_rejected(
        tensors | {"position_emb": torch.zeros(3, 32)}, r"1 of another shape \(first position_emb: \(3, 32\)"
    )
    layout = json.loads((ROOT / "tests" / "data" / "keys" / "gfpgan_v1clean_cm2.json").read_text())
    assert_rejected(dict.fromkeys(layout, torch.zeros(1)), "these are weights of GFPGAN, not of CodeFormer")
    cut = tmp_path / "cut.pth"
    cut.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="truncated or no weights file"):
        make(cut)


# --- as a part


def test_its_licence_is_known_everywhere():
    entry, store = catalog().get("upsampler", "codeformer"), catalog().weights["codeformer"]
    for holder in (entry, store):
        assert holder.licence == "S-Lab 1.0 (non-commercial)"
        assert not holder.commercial_use
    for name in ("codeformer", "odedit-codeformer"):
        plan = odekit.Chain.load(name).plan()
        assert [part.name for part in plan.not_commercial] == ["codeformer"]


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
    assert odekit.Chain.load("codeformer").plan().calls == 0
    chain, auto = odekit.Chain.load("odedit-codeformer"), odekit.Chain.load("odedit-auto")
    assert chain.tree()["chain"][0] == auto.tree()["chain"][0]
    paper = odekit.Chain.load("odedit-codeformer", PAPER)
    assert paper.tree()["chain"][0] == odekit.Chain(["restore"]).tree()["chain"][0]
    assert paper.plan().calls == 600


def test_commands_in_the_readme_name_chains_and_options_that_exist():
    check_readme(ROOT / "plugins" / "odekit-codeformer" / "README.md")


@pytest.mark.long
def test_the_chain_runs_in_full_size_on_a_face(tmp_path):
    """With synthetic weights the result is not a face, but has the right size and differs from fidelity 0."""
    path = tmp_path / "filled.pth"
    torch.save({"params_ema": synthetic_weights(network_module.build())}, path)
    face = odekit.read(sorted((ROOT / "examples" / "clean").glob("*.png"))[0])
    few = ["restore.inverter.steps=2", "restore.enhancer.levels=[0]", "restore.enhancer.iterations=1"]
    settings = [*few, f"upsample.weights={path}"]
    (first,) = odekit.Chain.load("odedit-codeformer", settings).run([face])
    assert first.image.pixels.shape == (3, 512, 512)
    (second,) = odekit.Chain.load("odedit-codeformer", [*settings, "upsample.fidelity=0.0"]).run([face])
    assert np.abs(first.image.pixels - second.image.pixels).max() > 0.01
