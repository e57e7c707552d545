"""Results larger than `--max-megapixels` are refused before any call."""

import json

import numpy as np
import PIL.Image
import pytest
from conftest import picture

from odekit.chains.chain import Chain
from odekit.chains.output_size import check_output_size
from odekit.core.image import Image
from odekit.errors import InputError

RESIZE = "odekit: 1\nname: big\nchain: [{upsample: {use: resize, scale: 3}}]\n"
FACES = """\
odekit: 1
name: photo
chain:
  - faces:
      each: [{upsample: {use: resize, scale: 2}}]
      background: [{upsample: {use: resize, scale: 4}}, {upsample: {use: resize, scale: 2}}]
"""


def opened(tmp_path, text, *settings):
    path = tmp_path / "chain.yaml"
    path.write_text(text)
    return Chain.load(path, settings).open(device="cpu")


@pytest.mark.parametrize(
    ("text", "settings", "size"),
    [
        (RESIZE, [], (300, 150)),
        (RESIZE, ["upsample.scale=1.5"], (150, 75)),
        (FACES, [], (800, 400)),
        (FACES, ["faces.paste.upscale=2"], (200, 100)),
        (FACES, ["faces.background=null"], (100, 50)),
        ("odekit: 1\nname: face\npriors: {face: {use: mixture, side: 8}}\nchain: [restore, {upsample: {use: resize, scale: 4}}]\n", [], (32, 32)),
    ],
)  # fmt: skip
def test_the_size_of_a_result_is_known_before_it_is_computed(tmp_path, text, settings, size):
    session = opened(tmp_path, text, *settings)
    assert session.output_size(100, 50) == size
    if text == RESIZE:
        (result,) = session.run([Image.from_uint8(picture(0, 50, 100))])
        assert (result.image.width, result.image.height) == size


def test_the_limit_names_both_sizes(tmp_path):
    session = opened(tmp_path, RESIZE)
    image = Image(np.zeros((3, 1000, 2000), np.float32))
    check_output_size(image, session, 18)
    with pytest.raises(
        InputError, match=r"2000x1000 px would become 6000x3000, 18\.0 megapixels, over the limit of 17\.9"
    ):
        check_output_size(image, session, 17.9)


def test_a_run_refuses_the_picture_and_restores_the_others_without_a_call_for_it(cli, tmp_path, monkeypatch):
    from odekit.parts.upsamplers.resize import ResizeUpsampler

    seen, upsample = [], ResizeUpsampler.upsample
    monkeypatch.setattr(
        ResizeUpsampler,
        "upsample",
        lambda self, images, rng: (seen.extend(i.width for i in images), upsample(self, images, rng))[1],
    )
    (tmp_path / "big.yaml").write_text(RESIZE)
    (tmp_path / "in").mkdir()
    for name, side in (("large", 400), ("small", 100)):
        PIL.Image.fromarray(picture(0, side, side)).save(tmp_path / "in" / f"{name}.png")
    done = cli("run", tmp_path / "big.yaml", tmp_path / "in", "-o", tmp_path / "out", "--max-megapixels", 1)
    assert done.code == 3 and seen == [100]
    (failure,) = json.loads((tmp_path / "out" / "failures.json").read_text())
    assert "400x400 px would become 1200x1200, 1.4 megapixels, over the limit of 1; make it smaller" in json.dumps(
        failure
    )
    assert PIL.Image.open(tmp_path / "out" / "small.png").size == (300, 300)
