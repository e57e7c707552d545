"""The upsampler: framing, batches, range, noise, output sizes, chains; and what the official program does wrong."""

import runpy
import sys

import numpy as np
import PIL.Image
import pytest
import torch
from conftest import ROOT, picture
from odekit_e4e.network import draw_noise, load
from odekit_e4e.options import E4e
from odekit_e4e.upsampler import E4eUpsampler
from torch.nn import functional

import odekit
from odekit.core.image import Image
from odekit.core.noise import ImageNoise, noise_generator
from odekit.errors import OdekitWarning
from odekit.parts.installed import catalog
from odekit.testing import StandaloneTools, check_readme, check_upsampler

from .tiny import content, encoder_weights, generator_weights, save

SIDE = 64


def make(file, precision="float32", **options):
    return E4eUpsampler(E4e(weights=str(file), **options), StandaloneTools(precision))


def faces(n, side=SIDE):
    return [Image.from_uint8(picture(i, side, side)) for i in range(n)]


def streams(images, seed=0):
    return [ImageNoise(noise_generator(seed, image.origin, "here")) for image in images]


def out(upsampler, images, seed=0):
    return np.stack([image.pixels for image in upsampler.upsample(images, streams(images, seed))])


# --- a face in, a face out


def test_the_result_is_the_generators_picture_of_the_encoders_codes(file):
    """Resized bilinearly with averaging to 256 px, [-1, 1], codes plus the mean code, clipped to [0, 1]."""
    upsampler, network = make(file), make(file).guarded.network
    face = PIL.Image.fromarray(picture(0, 512, 512))
    small = np.asarray(face.resize((256, 256), PIL.Image.Resampling.BILINEAR), np.float32) / 255
    x = torch.from_numpy(2 * small.transpose(2, 0, 1)[None].copy() - 1)
    with torch.inference_mode():
        codes = network.encoder(x) + content()["latent_avg"]
        expected = ((network.decoder(codes) + 1) / 2).clamp(0, 1)[0].numpy()
    result = out(upsampler, [Image.from_uint8(picture(0, 512, 512))])[0]
    assert np.abs(result - expected).max() < 0.02, "uint8 against float32 in the resizing"
    assert expected.std() > 0.1


@pytest.mark.parametrize("noise", ["seeded", "stored"])
def test_it_passes_the_upsampler_checks(file, noise):
    check_upsampler(lambda: make(file, noise=noise, batch=2), side=48)


def test_a_large_face_is_one_result_and_not_several_codes(file):
    (result,) = make(file).upsample(faces(1, 512), streams(faces(1, 512)))
    assert (result.height, result.width) == (SIDE, SIDE)


def test_the_last_incomplete_batch_is_restored_and_bytes_do_not_depend_on_batch_mates(file):
    """The official program leaves out what does not fill a batch."""
    upsampler, images = make(file, batch=2), faces(3)
    together = out(upsampler, images)
    assert len(together) == 3
    assert np.array_equal(together[2], out(upsampler, images[2:])[0])


def test_a_picture_that_is_not_square_keeps_its_shape_and_is_reported(file):
    wide = Image.from_uint8(picture(0, 48, 96))
    with pytest.warns(OdekitWarning, match="e4e needs aligned square faces, not 96x48"):
        (result,) = make(file).upsample([wide], streams([wide]))
    assert (result.height, result.width) == (SIDE // 2, SIDE)


def test_results_are_not_cropped_for_any_number_of_codes(tmp_path):
    """The official program cuts the codes and the rows of a picture where a file's name begins with 'cars'."""
    state = {f"encoder.{n}": t for n, t in encoder_weights(codes=16).items()}
    state |= {f"decoder.{n}": t for n, t in generator_weights((16, 16, 16, 16, 16, 8, 8, 8)).items()}
    cars = save(tmp_path / "cars_512.pt", state_dict=state, latent_avg=None)
    full, pooled = make(cars), make(cars, output="pooled")
    assert (full.spec.side, pooled.spec.side) == (512, 256)
    picture_512, picture_256 = out(full, faces(1)), out(pooled, faces(1))
    assert picture_512.shape[1:] == (3, 512, 512)
    inside = (picture_512 > 0) & (picture_512 < 1)
    means = functional.avg_pool2d(torch.from_numpy(picture_512), 2).numpy()
    whole = functional.avg_pool2d(torch.from_numpy(inside.astype(np.float32)), 2).numpy() == 1
    assert whole.mean() > 0.05 and np.abs((means - picture_256)[whole]).max() < 1e-5


# --- noise and precision


def test_stored_noise_is_equal_for_every_seed_and_seeded_noise_is_not(file):
    stored, seeded, face = make(file), make(file, noise="seeded"), faces(1)
    assert np.array_equal(out(stored, face), out(stored, face, seed=1))
    assert np.array_equal(out(seeded, face), out(seeded, face))
    assert not np.array_equal(out(seeded, face), out(seeded, face, seed=1))
    assert not np.array_equal(out(seeded, face), out(stored, face))


def test_every_convolution_gets_standard_normal_noise_of_its_own_picture(file):
    noise = draw_noise(make(file).guarded.network.decoder, streams(faces(2)))
    assert [tuple(n.shape) for n in noise] == [(2, 1, s, s) for s in (4, 8, 8, 16, 16, 32, 32, 64, 64)]
    every = torch.cat([n.flatten() for n in noise])
    assert abs(float(every.mean())) < 0.03 and abs(float(every.std()) - 1) < 0.03
    assert not torch.equal(noise[0][0], noise[0][1])


def test_nothing_is_drawn_from_a_global_generator(file, tmp_path):
    state = torch.get_rng_state()
    out(make(file, noise="seeded"), faces(1))
    out(make(save(tmp_path / "without.pt", latent_avg=None)), faces(1))
    assert torch.equal(torch.get_rng_state(), state)


def test_bfloat16_is_used_and_near_float32_and_float16_is_not_used(file):
    half = make(file, "bfloat16")
    assert half.guarded.network.encoder.latlayer1.weight.dtype == torch.bfloat16
    difference = np.abs(out(half, faces(1)) - out(make(file), faces(1)))
    assert 0 < difference.mean() < 0.03
    with pytest.warns(OdekitWarning, match="e4e is not safe in float16; it runs in float32"):
        upsampler = make(file, "float16")
    assert np.array_equal(out(upsampler, faces(1)), out(make(file), faces(1)))


# --- as a part


def test_files_keep_their_names_values_are_rounded_and_nothing_is_reused(cli, tmp_path, monkeypatch):
    """The official program numbers its results, truncates their values, and takes codes that it finds in the folder."""
    state = content()["state_dict"]
    for name in [name for name in state if name.startswith("decoder.to_rgb")]:
        state[name] = state[name] if name.endswith("kernel") else torch.zeros_like(state[name])
    state["decoder.to_rgbs.3.bias"] = torch.tensor([10.6, 100.4, 254.8]).view(1, 3, 1, 1) / 255 * 2 - 1
    weights = save(tmp_path / "flat.pt", state_dict=state)
    folder = tmp_path / "faces"
    folder.mkdir()
    for i, name in enumerate(("zoe.png", "anna.png", "mid.png")):
        PIL.Image.fromarray(picture(i, 32, 32)).save(folder / name)
    monkeypatch.chdir(tmp_path)
    done = cli("run", "e4e", folder, "-o", tmp_path / "out", "--set", f"upsample.weights={weights}")
    assert done.code == 0, done.err
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["anna.png", "mid.png", "zoe.png"]
    assert np.asarray(PIL.Image.open(tmp_path / "out" / "zoe.png"))[5, 5].tolist() == [11, 100, 255]
    assert not list(tmp_path.rglob("*latents*"))


def test_different_faces_have_different_results(file):
    first, second = out(make(file), faces(2))
    assert np.abs(first - second).mean() > 1e-3


def test_a_photograph_with_several_faces_is_restored_whole_and_one_without_is_reported(cli, file, tmp_path):
    """The official program takes the last face of a photograph, and fails without one."""
    chain = tmp_path / "photo.yaml"
    chain.write_text(
        "odekit: 1\nname: photo-e4e\nchain:\n"
        f"  - faces: {{require_face: true, each: [{{upsample: {{use: e4e, weights: '{file}'}}}}]}}\n"
    )
    PIL.Image.fromarray(np.full((96, 96, 3), 128, np.uint8)).save(tmp_path / "wall.png")
    done = cli("run", chain, tmp_path / "wall.png", "-o", tmp_path / "out")
    assert done.code == 3 and "no face" in done.err.lower() + done.out.lower()
    portrait = PIL.Image.open(ROOT / "examples" / "photos" / "portrait.jpg").convert("RGB")
    both = PIL.Image.new("RGB", (2 * portrait.width, portrait.height))
    both.paste(portrait, (0, 0))
    both.paste(portrait, (portrait.width, 0))
    both.save(tmp_path / "two.png")
    assert cli("run", chain, tmp_path / "two.png", "-o", tmp_path / "out").code == 0
    before, after = (
        np.asarray(both, float),
        np.asarray(PIL.Image.open(tmp_path / "out" / "two.png").convert("RGB"), float),
    )
    changed = np.abs(after - before).max(2) > 8
    assert changed[:, : portrait.width].mean() > 0.01 and changed[:, portrait.width :].mean() > 0.01


def test_no_compiler_is_asked_for(monkeypatch):
    """The official program builds CUDA code when it is imported."""
    monkeypatch.setitem(sys.modules, "torch.utils.cpp_extension", None)  # its import raises
    for module in ("stylegan2", "encoder", "checkpoint", "network", "upsampler"):
        runpy.run_module(f"odekit_e4e.{module}")
    fresh = runpy.run_module("odekit_e4e.stylegan2")["Generator"]((8, 8), 8)
    assert fresh.eval()(torch.zeros(1, 4, 8)).shape == (1, 3, 8, 8)


def test_no_device_is_fixed(file):
    """The official program has `cuda` in its code."""
    network = load(file, None, "float32", "meta")
    noise = [torch.zeros(1, 1, side, side, device="meta") for side in network.decoder.noise_sides]
    for given in (None, noise):
        result = network(torch.zeros(1, 3, 256, 256, device="meta"), given)
        assert (result.device.type, tuple(result.shape)) == ("meta", (1, 3, SIDE, SIDE))


def test_the_output_folder_has_to_be_named(cli, file, tmp_path):
    """The official program documents a default, and fails after its work without one."""
    done = cli("run", "e4e", tmp_path, "--set", f"upsample.weights={file}")
    assert done.code == 2 and "Missing option" in done.err and "-o" in done.err


def test_the_weights_are_registered_with_size_sources_and_terms():
    found = catalog()
    store = found.weights["e4e-ffhq"]
    assert (store.size, store.file, store.commercial_use) == (1_201_649_680, "e4e_ffhq_encode.pt", False)
    assert store.sha256.startswith("2ace1d9a") and len(store.urls) == 2
    assert "NVIDIA" in store.notice
    assert not found.get("upsampler", "e4e").commercial_use


PAPER = [
    "restore.first=null", "restore.inverter=ode", "restore.enhancer=langevin", "restore.colour=keep",
    "restore.blur=keep", "restore.occlusions=keep",
]  # fmt: skip
"""The README's options for the fixed settings of the paper."""


def test_the_chains_are_this_system_alone_and_after_odedit():
    assert odekit.Chain.load("e4e").plan().calls == 0
    chain, auto = odekit.Chain.load("odedit-e4e"), odekit.Chain.load("odedit-auto")
    assert chain.tree()["chain"][0] == auto.tree()["chain"][0]
    assert odekit.Chain.load("odedit-e4e", PAPER).plan().calls == 600
    assert "e4e-ffhq" in [weights["name"] for weights in chain.plan().weights]
    both = odekit.Chain.load("e4e", ["upsample.weights=a.pt", "upsample.generator=b.pt"]).plan()
    assert [weights["name"] for weights in both.weights] == ["a.pt", "b.pt"]


def test_commands_in_the_readme_name_chains_and_options_that_exist():
    check_readme(ROOT / "plugins" / "odekit-e4e" / "README.md")
