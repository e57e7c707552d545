"""What the nodes refuse: each in one sentence that names the input and says what it may be."""

import numpy as np
import pytest
import torch

import odekit
from odekit.core.console_advice import CONSOLE

from .conftest import PACK
from .running import batch, run

FACES, ALIGNED = "OdekitRestoreFaces", "OdekitRestoreAlignedFace"


def refused(call, message):
    """The error of the family, checked to be one short sentence for people without a console and without its paths."""
    with pytest.raises(odekit.OdekitError) as caught:
        call()
    text = str(caught.value)
    assert message in text and "\n" not in text and not CONSOLE.search(text), text
    assert len(text) < 700 and str(PACK.parent.parent) not in text, text


def with_value(value):
    image = batch(2)
    image[1, 2, 3] = value
    return image


@pytest.mark.parametrize("id", [FACES, ALIGNED])
@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "image: nothing is no picture; connect an output of the type IMAGE"),
        ("a.png", "image: 'a.png' is no picture"),
        ([batch()], "image: a list of 1 is no picture"),
        (np.zeros((1, 8, 8, 3), np.float32), "image: a ndarray is no picture"),
        (torch.zeros(0, 8, 8, 3), "image: a batch of 0 x 8 x 8 x 3 has no pictures to restore"),
        (torch.zeros(8, 8, 3), "its form is pictures x height x width x 3"),
        (torch.zeros(1, 0, 8, 3), "image: a batch of 1 x 0 x 8 x 3 has no pictures"),
        (torch.zeros(1, 3, 8, 8), "image: a batch of 1 x 3 x 8 x 8 has no pictures"),
        (torch.zeros(1, 1, 8, 8, 3), "image: a batch of 1 x 1 x 8 x 8 x 3 has no pictures"),
        (torch.tensor(0.5), "image: a batch of one number has no pictures"),
        (torch.zeros(1, 8, 8, 3, device="meta"), "image: a tensor on the device meta has no values"),
        (torch.zeros(1, 8, 8, 3).to_sparse(), "image: a sparse tensor; give a dense one"),
        (torch.zeros(1, 8, 8, 3, dtype=torch.uint8), "image: values of the type uint8; give floats from 0 to 1"),
        (torch.zeros(1, 8, 8, 3, dtype=torch.complex64), "image: values of the type complex64"),
        (with_value(float("nan")), "image: picture 2 of 2: values NaN or infinite; give floats from 0 to 1"),
        (with_value(float("inf")), "image: picture 2 of 2: values NaN or infinite"),
        (255 * batch(1), "image: values from "),
    ],
)
def test_images(nodes, exact, id, image, message):
    refused(lambda: run(nodes[id], image, exact), message)


@pytest.mark.parametrize("id", [FACES, ALIGNED])
@pytest.mark.parametrize("seed", [-1, 2**63, "7", 1.5, None, True, [1]])
def test_seeds(nodes, exact, id, seed):
    refused(lambda: run(nodes[id], batch(), exact, seed=seed), f"seed {seed!r}: give a whole number from 0 to")


@pytest.mark.parametrize("strength", [["auto"], [0.5], None, 0.5, "strong", {}, torch.zeros(3)])
def test_strengths(nodes, exact, strength):
    for id in (FACES, ALIGNED):
        refused(lambda id=id: run(nodes[id], batch(), exact, strength), "choose auto, none, light, medium, heavy")
    refused(lambda: nodes["OdekitLoadChain"].execute(exact, strength), "choose auto, none, light, medium, heavy")


@pytest.mark.parametrize("chain", [["photo"], 3, "", "a b", "a\n", "/etc/passwd", "README"])
def test_chains(nodes, chain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README").write_text("odekit: 1\nname: x\nchain: [save]\n")
    refused(lambda: run(nodes[FACES], batch(), chain), f"chain {chain!r}: ")


@pytest.mark.parametrize("loaded", ["photo", {}, ("photo",), 0, "", batch(), False])
def test_loaded_chains(nodes, exact, loaded):
    for id in (FACES, ALIGNED):
        refused(
            lambda id=id: run(nodes[id], batch(), exact, loaded_chain=loaded),
            "is no chain; connect the output of Load Chain (odekit)",
        )


@pytest.mark.parametrize("settings", [None, 3, ["a=b"]])
def test_settings(nodes, exact, settings):
    refused(lambda: nodes["OdekitLoadChain"].execute(exact, "auto", settings), "write a line path=value for each")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("mend.scratches=true", "settings: mend.scratches=true: the chain has no stage 'mend'"),
        ("restore.fidelity=7", "settings: restore.fidelity=7: "),
        ("restore.enhancer.iterations=[", "settings: not valid YAML"),
        ("=", "settings: "),
        ("restore[9].fidelity=1", "settings: restore[9].fidelity=1: "),
        ("chain=[]", "settings: 'chain=[]': stages cannot be exchanged here; name one"),
        ("restore..fidelity=1", "settings: 'restore..fidelity=1': a name beside a point is missing"),
        ("restore.enhancer={use: }", "settings: "),
    ],
)
def test_lines_of_settings(nodes, line, message):
    refused(lambda: nodes["OdekitLoadChain"].execute("odedit-plus", "auto", line), message)


LONG = "x" * 5000


def test_of_what_is_very_long_only_the_beginning_is_repeated(nodes, exact):
    load = nodes["OdekitLoadChain"].execute
    for name in (LONG, "\u6f22" * 60, [LONG]):
        refused(lambda name=name: run(nodes[FACES], batch(), name), "chain ")
        refused(lambda name=name: load(name, "auto"), "chain ")
    refused(lambda: run(nodes[FACES], batch(), LONG), f"chain '{LONG[:75]}...': choose a name")
    refused(lambda: load(exact, LONG), f"strength '{LONG[:75]}...': choose auto")
    refused(
        lambda: run(nodes[FACES], batch(), exact, seed=10**5000), "seed of thousands of digits: give a whole number"
    )
    words = "a b " * 1000
    for line in (LONG, words, f"{LONG}=1", f"restore.fidelity={LONG}", f"restore.fidelity={words}", f"{words}=1"):
        refused(lambda line=line: load("odedit-plus", "auto", line), "settings: ")


@pytest.mark.parametrize(
    ("chain", "scratches", "message"),
    [
        ("exact", torch.ones(1, 8, 8), "scratches: the chain 'exact' fills none; choose one with the stage mend"),
        ("photo", torch.ones(2, 4, 4), "scratches: a mask of 2 x 4 x 4 does not fit pictures of 1 x 8 x 8"),
        ("photo", torch.ones(1, 1, 8, 8), "scratches: a mask of 1 x 1 x 8 x 8 does not fit"),
        ("photo", torch.tensor(1.0), "scratches: a mask of one number does not fit"),
        ("photo", torch.ones(1, 8, 8, device="meta"), "scratches: a tensor on the device meta has no values"),
        ("photo", torch.ones(1, 8, 8).to_sparse(), "scratches: a sparse tensor; give a dense one"),
        ("photo", torch.full((1, 8, 8), float("nan")), "scratches: values that are no numbers"),
        ("photo", "on", "scratches: 'on' is no mask; connect an output of the type MASK, or nothing"),
        ("photo", True, "scratches: True is no mask"),
    ],
)
def test_scratches(nodes, exact, chain, scratches, message):
    refused(lambda: run(nodes[FACES], batch(1), chain, scratches=scratches), message)


def test_photographs_where_one_aligned_face_is_expected(nodes):
    photo = odekit.read(PACK.parent.parent / "examples" / "photos" / "astronaut.jpg")
    image = torch.from_numpy(photo.to_numpy(np.float32))[None]
    wide = image[:, :300]
    refused(lambda: run(nodes[ALIGNED], wide, "odedit-plus"), f"image: {wide.shape[2]} x 300 is not square; this node")
    side = min(image.shape[1:3])
    refused(
        lambda: run(nodes[ALIGNED], image[:, :side, :side], "odedit-plus"),
        f"image: {side}x{side} is a whole photograph",
    )
