"""Weights given by path have the licence of the registered weights that they are, whatever the file is called."""

import json
import shutil

import pytest
import torch
from conftest import ROOT, picture
from loopback import sha256
from safetensors.torch import save

import odekit
from odekit.chains.requirements import describe_weights
from odekit.core.image import Image
from odekit.core.interfaces import UpsamplerSpec
from odekit.core.options import Options
from odekit.parts import builtin, installed
from odekit.plugins.discovery import build
from odekit.plugins.weights.fetch import add_weights
from odekit.plugins.weights.known import known_weights

CLOSED, FREE, OWN = (save({"a.weight": torch.full((count,), 1.0)}) for count in (3, 4, 5))
"""Files: published under a licence that forbids commercial use, published under a free one, and somebody's own."""


class TwiceOptions(Options):
    part = "twice"
    weights: str = "closed"


class Twice:
    spec = UpsamplerSpec(scale=2.0)

    def __init__(self, options, tools):
        self.file = odekit.plugins.weights_file(options.weights, tools)

    def upsample(self, images, rng):
        return [image.with_pixels(image.pixels.repeat(2, 1).repeat(2, 2)) for image in images]


class Plugin:
    def odekit_parts(self, catalog):
        catalog.upsampler("twice", Twice, TwiceOptions, "twice as large", licence="MIT")
        for name, file, use in (("closed", CLOSED, False), ("free", FREE, True)):
            catalog.weights(
                name, licence="MIT" if use else "S-Lab 1.0", commercial_use=use, sha256=sha256(file), size=len(file),
                filename="net.safetensors",
            )  # fmt: skip
        catalog.weights("undated", licence="research", commercial_use=False, filename="net.safetensors")
        catalog.weights("same", licence="MIT", commercial_use=True, sha256=sha256(CLOSED), filename="same.safetensors")


@pytest.fixture
def catalog(tmp_path, monkeypatch):
    found = build([("odekit", builtin), ("somebody", Plugin())])
    monkeypatch.setattr(installed, "installed_parts", lambda: found)
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "home"))
    return found[0]


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def stored(catalog, name, content, tmp_path):
    """A file in the store, and its path there."""
    add_weights(catalog.weights[name], put(tmp_path / "downloads" / f"{name}.safetensors", content))
    return tmp_path / "home" / "weights" / name / "net.safetensors"


def places(catalog, tmp_path):
    """Paths to the closed file."""
    there = stored(catalog, "closed", CLOSED, tmp_path)
    link, hard, copy = tmp_path / "link.pth", tmp_path / "hard.safetensors", tmp_path / "my-own-net.safetensors"
    link.symlink_to(there)
    hard.hardlink_to(there)
    shutil.copy(there, copy)
    return {"in the store": there, "a link": link, "a hard link": hard, "a copy": copy, "a folder": there.parent}


@pytest.mark.parametrize("place", ["in the store", "a link", "a hard link", "a copy", "a folder"])
def test_the_path_of_a_registered_file_is_known_by_its_name(catalog, tmp_path, place):
    assert known_weights(places(catalog, tmp_path)[place], catalog).name == "closed"


def test_the_published_file_is_known_where_the_store_has_none(catalog, tmp_path):
    assert known_weights(put(tmp_path / "mine.safetensors", CLOSED), catalog).name == "closed"
    assert known_weights(put(tmp_path / "free.safetensors", FREE), catalog).name == "free"
    assert known_weights(put(tmp_path / "own.safetensors", OWN), catalog) is None
    assert known_weights(tmp_path / "absent.safetensors", catalog) is None


def test_a_file_without_a_published_digest_is_known_by_that_of_the_store(catalog, tmp_path):
    there = stored(catalog, "undated", OWN, tmp_path)
    assert known_weights(put(tmp_path / "copy.safetensors", OWN), catalog).name == "undated"
    assert known_weights(there, catalog).name == "undated"


def test_a_folder_that_was_converted_from_a_registered_file_is_known(catalog, tmp_path):
    put(tmp_path / "prior" / "diffusion_pytorch_model.safetensors", OWN)
    (tmp_path / "prior" / "odekit.json").write_text(json.dumps({"about": {"sha256": sha256(CLOSED)}}))
    assert known_weights(tmp_path / "prior", catalog).name == "closed"
    for content in ("{", "[]", '{"about": 3}', '{"about": {"sha256": [1]}}'):
        (tmp_path / "prior" / "odekit.json").write_text(content)
        assert known_weights(tmp_path / "prior", catalog) is None


def test_built_in_weights_are_known_by_path(catalog):
    assert known_weights(ROOT / "odekit" / "assets" / "face64", catalog).name == "face64"
    assert known_weights(ROOT / "odekit" / "assets" / "mend" / "model.safetensors", catalog).name == "mend"


@pytest.mark.parametrize("place", ["in the store", "a link", "a copy"])
def test_commercial_only_refuses_a_path_to_weights_that_forbid_it(catalog, cli, tmp_path, place):
    path = places(catalog, tmp_path)[place]
    odekit.write(Image.from_uint8(picture(0)), tmp_path / "face.png", format="png")
    (tmp_path / "chain.yaml").write_text(f"odekit: 1\nchain: [{{upsample: {{use: twice, weights: '{path}'}}}}]\n")
    run = ("run", tmp_path / "chain.yaml", tmp_path / "face.png", "-o", tmp_path / "out", "--commercial-only")
    done = cli(*run)
    assert done.code == 2 and f"upsampler 'twice' (weights 'closed' in {path}: S-Lab 1.0)" in done.err
    told = describe_weights(str(path), catalog)
    assert (told["licence"], told["commercial_use"]) == ("S-Lab 1.0 (this is 'closed')", False)
    own = put(tmp_path / "own.safetensors", OWN)
    (tmp_path / "chain.yaml").write_text(f"odekit: 1\nchain: [{{upsample: {{use: twice, weights: '{own}'}}}}]\n")
    assert cli(*run).code == 0


def test_commercial_only_refuses_a_prior_by_path(catalog, cli, tmp_path, faces):
    """A folder of face64 that says that it was converted from a closed file."""
    shutil.copytree(ROOT / "odekit" / "assets" / "face64", tmp_path / "prior")
    about = tmp_path / "prior" / "odekit.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"about": {"sha256": sha256(CLOSED)}}))
    file = tmp_path / "prior" / "diffusion_pytorch_model.safetensors"
    settings = ("--set", f"priors.face={tmp_path / 'prior'}", "--commercial-only", "--dry-run")
    done = cli("run", "odedit", faces, "-o", tmp_path / "out", *settings)
    assert done.code == 0, "these bytes are those of face64, which is free"
    tensors = odekit.plugins.load_tensors(file)
    tensors["conv_in.bias"] = tensors["conv_in.bias"] + 1
    file.write_bytes(save({name: tensor.contiguous() for name, tensor in tensors.items()}))
    done = cli("run", "odedit", faces, "-o", tmp_path / "out", *settings)
    assert done.code == 2 and "weights 'closed' in" in done.err
