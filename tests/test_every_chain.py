"""Every shipped chain runs end to end on a real photograph, with randomly filled weights where others' are needed."""

import importlib.util
import json

import numpy as np
import PIL.Image
import pytest
import torch
from conftest import ROOT
from goldens import DATA, synthetic_arrays
from safetensors.torch import save_file

from odekit.images.io import read
from odekit.parts import installed

LAYOUTS = {
    "codeformer": "codeformer",
    "gfpgan-1.3": "gfpgan_v1clean_cm2",
    "gfpgan-1.4": "gfpgan_v1clean_cm2",
    "realesrgan-x2plus": "rrdbnet_x2",
    "realesrgan-x4plus": "rrdbnet_x4",
}
"""Weights that users fetch, and the layout that stands in for each."""
FACES = dict.fromkeys(("odedit", "odedit-exact", "odedit-paper", "sdedit", "code"), 1.0) | {
    "odedit-auto": 1.0, "odedit-fast": 1.0, "blind": 1.0, "odedit-plus": 4.0, "codeformer": 512, "gfpgan": 512,
    "odedit-codeformer": 512, "odedit-gfpgan": 512, "diffbir": None, "odedit-diffbir": None,
    "e4e": 1.0, "odedit-e4e": 1.0,
}  # fmt: skip
"""Chains for aligned faces: the factor on 64 pixels, or the fixed side, or None where options say."""
PHOTOS = ("photo", "old-photo", "photo-codeformer", "photo-gfpgan", "photo-diffbir", "realesrgan", "photo-large")
HEAVY = ("codeformer", "gfpgan", "realesrgan", "photo-large")
QUICK = {
    "sdedit": ["restore.inverter.t0=2"],
    "photo": [], "old-photo": [], "odedit-auto": [], "blind": ["restore.inverter.steps=4"],
    "odedit-fast": ["restore.inverter.steps=4"],
    "code": ["restore.inverter.steps=6", "restore.enhancer.levels=[1]", "restore.enhancer.iterations=4"],
}  # fmt: skip
FEW = ["restore.inverter.steps=2", "restore.enhancer.levels=[0]", "restore.enhancer.iterations=1"]


def test_every_shipped_chain_is_tried_here():
    assert set(installed.catalog().chains) == {*FACES, *PHOTOS}


def plugin_tests(plugin, module):
    """A module of a plugin's tests."""
    place = ROOT / "plugins" / plugin / "tests" / f"{module}.py"
    spec = importlib.util.spec_from_file_location(f"{plugin.replace('-', '_')}_{module}", place)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Files of the published layouts; of encoder4editing a small one."""
    folder, made = tmp_path_factory.mktemp("filled"), {}

    def file(name):
        if name == "e4e-ffhq":
            made[name] = plugin_tests("odekit-e4e", "tiny").save(folder / "e4e.pt")
        if name not in made:
            shapes = json.loads((DATA / "keys" / f"{LAYOUTS[name]}.json").read_text())
            state = {key: torch.from_numpy(value) for key, value in synthetic_arrays(shapes, 1, "B").items()}
            torch.save({"params_ema": state}, folder / f"{name}.pth")
            made[name] = folder / f"{name}.pth"
        return made[name]

    return file


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """DiffBIR's files with small networks, as its own tests make them."""
    module = plugin_tests("odekit-diffbir", "conftest")
    folder = tmp_path_factory.mktemp("tiny")
    base = {module.PREFIX[part] + n: t for part in ("unet", "vae") for n, t in module.official(part).items()}
    base |= {f"{module.PREFIX['text']}model.{n}": t for n, t in module.text_encoder().items()}
    torch.save(module.swinir_file(), folder / "swinir.ckpt")
    save_file(module.official("controlnet"), folder / "control.safetensors")
    save_file(base, folder / "base.safetensors")
    files = {
        "stage1_weights": "swinir.ckpt",
        "control_weights": "control.safetensors",
        "base_weights": "base.safetensors",
    }
    return {key: str(folder / name) for key, name in files.items()} | {"size": "tiny", "steps": "2", "scale": "1.0"}


def settings(chain, tiny):
    words = QUICK.get(chain, FEW if chain.startswith("odedit") else [])
    if "diffbir" in chain:
        place = "faces.each[1].upsample" if chain.startswith("photo") else "upsample"
        words = [*words, *(f"{place}.{key}={value}" for key, value in tiny.items())]
    return [word for setting in words for word in ("--set", setting)]


def case(name):
    return pytest.param(name, marks=[pytest.mark.long] if any(word in name for word in HEAVY) else [])


@pytest.mark.parametrize("chain", [case(name) for name in sorted({*FACES, *PHOTOS})])
def test_a_chain_runs_on_a_real_photograph(chain, cli, filled, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "home"))
    for known in {part["weights"] for part in json.loads(cli("explain", chain, "--json").out)["parts"]}:
        if known in (*LAYOUTS, "e4e-ffhq"):
            added = cli("weights", "add", known, filled(known), "--allow-other")
            assert added.code == 0, added.err
    portrait = PIL.Image.open(ROOT / "examples" / "photos" / "portrait.jpg").convert("RGB")
    side = min(portrait.size)
    if chain in FACES:
        portrait = portrait.crop(((portrait.width - side) // 2, 0, (portrait.width + side) // 2, side)).resize((96, 96))
    elif chain in ("realesrgan", "photo-large"):
        portrait = portrait.resize((72, 96))
    portrait.save(tmp_path / "in.png")
    done = cli("run", chain, tmp_path / "in.png", "-o", tmp_path / "out", *settings(chain, tiny))
    assert done.code == 0, done.err
    out = read(tmp_path / "out" / "in.png")
    assert np.isfinite(out.pixels).all()
    assert out.pixels.std() > 0.005
    factor = FACES.get(chain)
    if chain == "photo-large":
        assert (out.width, out.height) == (4 * portrait.width, 4 * portrait.height)
    elif chain.startswith("photo"):
        assert (out.width, out.height) == portrait.size
    elif isinstance(factor, float):
        assert (out.width, out.height) == (64 * factor, 64 * factor)
    elif factor is not None:
        assert (out.width, out.height) == (factor, factor)
