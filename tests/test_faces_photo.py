"""The chain `photo` whole: undamaged photographs come back bit for bit, noisy faces come back better."""

import numpy as np
import pytest
from photos import BOXES, PHOTOS

from odekit import Chain, read
from odekit.core.image import Image
from odekit.parts.corruptions.kinds import corrupt
from odekit.parts.metrics.psnr import PsnrMetric

BOX = [[round(v, 1) for v in BOXES["astronaut.jpg"][0]]]


def restored(photo, *settings):
    return Chain.load("photo", settings).run([photo])[0]


def test_an_undamaged_photograph_stays_and_its_face_replaced_is_not_blurred():
    photo = read(PHOTOS / "astronaut.jpg")
    kept = restored(photo, f"faces.select.boxes={BOX}")
    assert np.array_equal(kept.image.pixels, photo.pixels)
    assert kept.record["stages"][0]["mended"] == []
    assert kept.record["stages"][1]["background"][0]["denoised"] is False
    face = kept.record["stages"][1]["faces"][0]
    assert face["kept"] == "good enough" and face["stages"][0]["blind"]["untouched"] is True
    result = restored(photo, f"faces.select.boxes={BOX}", "faces.paste.undamaged=replace")
    assert 35 <= PsnrMetric().measure(result.image, photo) < 100
    assert np.array_equal(result.image.pixels[:, 350:], photo.pixels[:, 350:])
    # the guided network saw all that the original has, so no detail is taken from it once more
    assert result.record["stages"][1]["faces"][0]["kept_detail"] == {"trust": 0.0}


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(BOXES))
def test_no_undamaged_photograph_is_blurred_by_faces_replaced(name):
    photo = read(PHOTOS / name)
    result = restored(photo, "faces.paste.undamaged=replace")
    assert len(result.record["stages"][1]["faces"]) >= len(BOXES[name])
    assert PsnrMetric().measure(result.image, photo) >= 35


@pytest.mark.long
def test_a_noisy_face_comes_back_nearer_to_the_truth():
    photo = read(PHOTOS / "astronaut.jpg")
    rng = np.random.Generator(np.random.Philox(1))
    noisy = Image.from_uint8(corrupt(photo.to_uint8(), "gaussian_noise", 2, rng))
    alone = restored(noisy, f"faces.select.boxes={BOX}", "faces.background=null").image
    assert np.array_equal(alone.pixels[:, :30], noisy.pixels[:, :30])
    out = restored(noisy, f"faces.select.boxes={BOX}").image
    x0, y0, x1, y1 = (round(v) for v in BOX[0])
    part = (slice(None), slice(y0 + 15, y1 - 15), slice(x0 + 15, x1 - 15))
    before, face, after = (np.mean((image.pixels - photo.pixels)[part] ** 2) for image in (noisy, alone, out))
    assert face < 0.5 * before and after < face
    before, around = (np.mean((image.pixels - photo.pixels) ** 2) for image in (noisy, out))
    assert around < 0.2 * before
