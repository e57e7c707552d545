"""The whole upsampler with tiny random networks: sizes, options, noise, batches, memory, chains."""

import json

import numpy as np
import pytest
import torch
from odekit_diffbir.options import Diffbir
from odekit_diffbir.shapes import SD21

import odekit
from odekit.chains import document
from odekit.core.image import Image
from odekit.core.noise import ZeroNoise
from odekit.errors import ConfigError, InputError, OdekitWarning
from odekit.testing import check_upsampler


def test_it_passes_the_upsampler_checks(make):
    check_upsampler(lambda: make(scale=1.5, stage1="general"), side=32)


@pytest.mark.filterwarnings("ignore::odekit.errors.OdekitWarning")
@pytest.mark.parametrize(("size", "scale", "out"), [
    ((16, 16), 4.0, (64, 64)), ((16, 16), 2.0, (32, 32)), ((24, 40), 2.0, (48, 80)), ((70, 66), 1.0, (70, 66)),
])  # fmt: skip
def test_the_result_has_the_scaled_size_whatever_happens_inside(make, run, picture, size, scale, out):
    (pixels,) = run(make(scale=scale), picture(*size))
    assert pixels.shape == (3, *out) and pixels.dtype == np.float32
    assert np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1


@pytest.fixture(scope="module")
def plain(make, run, picture):
    return run(make(), picture())[0]


@pytest.mark.parametrize("change", [
    {"steps": 3}, {"sampler": "dpmpp-2m"}, {"sampler": "spaced"}, {"sampler": "ddim", "steps": 4}, {"eta": 0.0},
    {"strength": 0.5}, {"condition_noise": 300}, {"colour": "none"}, {"prompt": "a face"},
    {"cfg": 3.0}, {"stage2": "v2"}, {"stage2": "v1-general"}, {"stage2": "none"},
], ids=str)  # fmt: skip
def test_every_option_has_an_effect(make, run, picture, plain, change):
    assert np.abs(run(make(**change), picture())[0] - plain).max() > 1e-3


@pytest.mark.parametrize("change", [{"cfg_rescaled": True}, {"negative": "noise"}], ids=str)
def test_options_of_guidance_have_an_effect_under_guidance(make, run, picture, plain, change):
    guided = run(make(cfg=3.0), picture())[0]
    assert np.abs(run(make(cfg=3.0, **change), picture())[0] - guided).max() > 1e-3


def test_starting_from_the_image_has_an_effect_where_the_schedule_leaves_some_of_it(make, run, picture):
    noise, image = (run(make(stage2="v2", start=start), picture())[0] for start in ("noise", "image"))
    assert np.abs(noise - image).max() > 1e-3


def test_without_guidance_the_negative_prompt_is_not_read(make, run, picture, plain):
    assert np.array_equal(run(make(negative="noise"), picture())[0], plain)


def test_guidance_does_nothing_where_both_prompts_are_the_same(make, run, picture, plain):
    assert np.abs(run(make(cfg=3.0, negative=""), picture())[0] - plain).max() < 1e-4


def test_more_strength_brings_the_result_away_from_the_uncontrolled_one(make, run, picture):
    free, half, full = (run(make(strength=s), picture())[0] for s in (0.0, 0.5, 1.0))
    assert 0 < np.abs(half - free).mean() < np.abs(full - free).mean()


def test_the_noise_is_the_picture_s_own(make, run, picture):
    a, b = picture(seed=1), picture(seed=2)
    upsampler = make()
    assert np.array_equal(run(upsampler, a, b)[1], run(upsampler, b)[0])
    assert np.abs(run(upsampler, a, seed=1)[0] - run(upsampler, a, seed=2)[0]).max() > 0.01


def test_in_a_batch_nobody_depends_on_the_neighbours(make, run, picture):
    upsampler = make(batch=2)
    a, b, c = (picture(seed=i) for i in range(3))
    together, alone = run(upsampler, a, b, c), run(upsampler, c)
    assert np.array_equal(together[2], alone[0])
    assert np.abs(together[0] - run(make(), a)[0]).max() < 1e-3


def test_low_memory_gives_the_same_bytes_and_keeps_nothing(make, run, picture, plain):
    upsampler = make(low_memory=True)
    assert not upsampler.stage2.networks
    assert np.array_equal(run(upsampler, picture())[0], plain)
    assert not upsampler.stage2.networks


def test_stage_1_alone_reads_no_other_weights(make, run, picture):
    upsampler = make(stage2="none", control_weights="nowhere/x.pt", base_weights="nowhere/y.ckpt")
    assert run(upsampler, picture())[0].shape == (3, 32, 32)


def test_half_precision_stays_near_and_what_overflows_is_computed_again(make):
    latent = torch.from_numpy(np.random.Generator(np.random.Philox(3)).standard_normal((1, 4, 8, 8), dtype=np.float32))
    full, half = make().stage2, make(precision="bfloat16").stage2
    truth, near = (stage._model(latent)(latent, 500) for stage in (full, half))
    assert near.dtype == torch.float32
    assert 0 < (near - truth).abs().max() < 0.1 * truth.abs().max()
    unet = half.networks["denoiser"].network[1]
    assert next(unet.parameters()).dtype == torch.bfloat16
    unet.conv_out.bias.fill_(float("inf"))
    with pytest.warns(OdekitWarning, match="overflowed in bfloat16"):
        again = half._model(latent)(latent, 500)
    assert (again - truth).abs().max() <= 1e-4 * truth.abs().max()


def test_alpha_is_brought_to_the_result_s_size(make, picture):
    image = Image(picture(16, 16).pixels, alpha=np.ones((16, 16), dtype=np.float32))
    (out,) = make(scale=2.0).upsample([image], [ZeroNoise()])
    assert out.alpha.shape == (32, 32) and out.origin == image.origin


@pytest.mark.parametrize(("options", "image", "words"), [
    ({}, (12, 40), "40x12 px is too small for DiffBIR; it needs 16 px or more"),
    ({"max_megapixels": 0.5, "scale": 4.0, "stage1": "general"}, (256, 512), "becomes 2048x1024 inside DiffBIR"),
])  # fmt: skip
def test_pictures_too_small_or_too_large_are_refused(make, run, picture, options, image, words):
    with pytest.raises(InputError, match=words):
        run(make(**options), picture(*image))


def test_a_picture_that_is_no_aligned_face_is_said_once(make, run, picture):
    upsampler = make(stage2="none")
    with pytest.warns(OdekitWarning, match="not 128x64 px") as seen:
        run(upsampler, picture(64, 128), picture(64, 128, seed=1))
    assert len([w for w in seen if w.category is OdekitWarning]) == 1


def test_stage_1_for_faces_is_not_for_commercial_use(make):
    def commercial_use(stage1):
        (part,) = odekit.Chain([odekit.Upsample("diffbir", stage1=stage1)]).plan().parts
        return part.commercial_use

    assert not commercial_use("face") and commercial_use("general")
    assert make().spec.aligned_faces_only and not make(stage1="general").spec.aligned_faces_only
    assert not odekit.catalog().weights["diffbir-swinir-face"].commercial_use


@pytest.mark.parametrize(("text", "words"), [
    ("sampler: ddim, steps: 30", "divide 1000"), ("steps: 1", "greater than or equal to 2"), ("cfg: 0.5", "cfg"),
    ("tile: 100", "multiple of 64"), ("sampler: euler", "sampler"), ("stage2: v3", "v2.1"),
    ("start: image", "has no effect with v2.1"),
])  # fmt: skip
def test_options_that_cannot_be_meant_are_refused_before_anything_is_loaded(text, words):
    chain = f"odekit: 1\nchain:\n  - upsample: {{use: diffbir, {text}}}\n"
    with pytest.raises(ConfigError, match=words):
        odekit.Chain.from_document(document.parse_yaml(chain, "chain.yaml"))


def test_the_defaults_name_the_published_weights():
    assert Diffbir().weight_names() == ["diffbir-swinir-face", "diffbir-v2.1", "sd21-zsnr"]
    assert Diffbir(stage2="v1-face").weight_names() == ["diffbir-swinir-face", "diffbir-v1-face-full"]
    assert Diffbir(stage2="none", stage1="scunet").weight_names() == ["diffbir-scunet"]
    assert set(odekit.catalog().weights) >= {n for v in ("v1-general", "v2") for n in Diffbir(stage2=v).weight_names()}
    assert SD21.side == 512


def test_odedit_and_diffbir_make_a_chain(weights, picture):
    options = json.dumps({"use": "diffbir", "size": "tiny", "steps": 2, "scale": 4.0, **weights})
    text = f"odekit: 1\npriors: {{face: {{use: mixture, side: 16}}}}\nchain:\n  - restore: {{enhancer: none}}\n  - upsample: {options}\n"
    chain = odekit.Chain.from_document(document.parse_yaml(text, "chain.yaml"), ["restore.inverter.steps=5"])
    (result,) = chain.run([picture(16, 16)])
    assert result.image.pixels.shape == (3, 64, 64)
    assert np.array_equal(chain.run([picture(16, 16)])[0].image.pixels, result.image.pixels)


@pytest.mark.parametrize("name", ["diffbir", "odedit-diffbir"])
def test_the_shipped_chains_are_valid(name):
    assert "diffbir" in {part.name for part in odekit.Chain.load(name).plan().parts}


def test_odedit_goes_first_as_strong_as_each_face_needs_or_as_the_paper_has_it():
    auto = odekit.Chain.load("odedit-auto").tree()["chain"][0]
    assert odekit.Chain.load("odedit-diffbir").tree()["chain"][0] == auto
    fixed = [
        "restore.inverter=ode",
        "restore.enhancer=langevin",
        "restore.colour=keep",
        "restore.blur=keep",
        "restore.first=null",
        "restore.occlusions=keep",
    ]  # as the README says
    paper = odekit.Chain.load("odedit-diffbir", fixed)
    assert paper.tree()["chain"][0] == odekit.Chain(["restore"]).tree()["chain"][0]
    assert paper.plan().calls == 600
