"""What of the original's detail is kept: a sharp clean face keeps it, a noisy, blocky or blurred one does not."""

import numpy as np
import pytest
from photos import PHOTOS
from scipy.ndimage import gaussian_filter

from odekit import read
from odekit.core.image import Image
from odekit.parts.corruptions.kinds import corrupt
from odekit.parts.faces import detail
from odekit.parts.faces.geometry import Frame
from odekit.parts.faces.masks import EllipseMask
from odekit.parts.faces.options import PasteOptions
from odekit.parts.faces.paste import PhotoTone, RestoredFace, paste_face
from odekit.parts.faces.warp import crop_face

PHOTO = read(PHOTOS / "portrait.jpg")
FRAME = Frame.from_centre((366.0, 316.0), 500.0)
CROP = crop_face(PHOTO.pixels, FRAME, 256)


def damaged(kind, severity=4):
    rng = np.random.Generator(np.random.Philox(1))
    return Image.from_uint8(corrupt(Image(CROP).to_uint8(), kind, severity, rng)).pixels


def through(pixels, narrow):
    """A face that went through `narrow` pixels and came back smooth."""
    from odekit.parts.faces.paste import enlarge_square, resized

    return np.clip(enlarge_square(resized(pixels, narrow), pixels.shape[1]), 0, 1)


def test_noise_is_measured():
    rng = np.random.default_rng(0)
    flat = np.full((3, 128, 128), 0.5, np.float32) + rng.normal(0, 0.05, (1, 128, 128)).astype(np.float32)
    assert abs(detail.measure_quality(flat, flat, 64, 1.0).noise - 0.05) < 0.004


def test_a_sharp_clean_original_is_trusted():
    assert detail.measure_quality(CROP, through(CROP, 64), 64, 1.0).trust > 0.9


@pytest.mark.parametrize("kind", ["gaussian_noise", "shot_noise", "impulse_noise", "mask_pixels", "speckle_noise"])
def test_a_damaged_original_is_not(kind):
    assert detail.measure_quality(damaged(kind), through(CROP, 128), 64, 1.0).trust < 0.1


def test_a_blurred_original_gives_way_to_a_sharper_face():
    blurred = gaussian_filter(CROP, (0, 5, 5))
    assert detail.measure_quality(blurred, CROP, 64, 1.0).trust < 0.1


def test_jpeg_blocks_are_seen_on_their_grid():
    import io

    from PIL import Image as Pil

    file = io.BytesIO()
    Pil.fromarray(PHOTO.to_uint8()).save(file, "JPEG", quality=8)
    blocky = np.asarray(Pil.open(file)).transpose(2, 0, 1).astype(np.float32) / 255
    assert detail.blockiness(blocky) > 1.8
    assert detail.blockiness(PHOTO.pixels) < 1.25


def test_a_large_face_of_jpeg_blocks_keeps_more_than_64_pixels_could_show():
    judged = [detail.measure_quality(CROP, through(CROP, 64), 64, 2.5, side).trust for side in (150.0, 230.0, 260.0)]
    assert judged[0] == 0 < judged[1] < judged[2] and judged[2] > 0.9
    assert detail.measure_quality(damaged("gaussian_noise"), through(CROP, 128), 64, 2.5, 500.0).trust < 0.1


def face(result, narrow=64):
    return RestoredFace(1, FRAME, Image(crop_face(PHOTO.pixels, FRAME, 512)), Image(result), narrow)


def psnr(a, b):
    return -10 * np.log10(np.mean((a - b) ** 2))


def test_a_smooth_face_does_not_blur_an_undamaged_photograph():
    smooth = through(crop_face(PHOTO.pixels, FRAME, 256), 64)
    results = {}
    for share in ("auto", 0.0):
        canvas = PHOTO.pixels.copy()
        paste_face(
            canvas,
            PHOTO.pixels,
            face(smooth),
            EllipseMask(),
            PasteOptions.model_validate({"detail": share}),
            PhotoTone.of(PHOTO),
        )
        results[share] = psnr(canvas, PHOTO.pixels)
    assert results["auto"] >= 40
    assert results[0.0] < results["auto"] - 6


def test_in_light_noise_edges_stay_and_noise_goes():
    rng = np.random.default_rng(0)
    grainy = np.clip(CROP + rng.normal(0, 0.03, CROP.shape), 0, 1).astype(np.float32)
    kept = detail.noise_weight(grainy, 64)[0]
    eyes, cheek = kept[112:128, 88:104], kept[150:166, 84:100]
    assert eyes.max() > 0.8 and cheek.mean() < 0.3
    assert detail.noise_weight(CROP, 64).min() == 1


def test_where_the_chain_found_damage_the_original_is_not_trusted():
    changed = np.zeros((3, 64, 64), np.float32)
    changed[:, 20:24] = 0.5
    kept = detail.unchanged_weight(changed)[0]
    assert kept[22].max() < 0.01 and kept[40].min() > 0.99


# --- what stays as it is


def pasted(photo, side, restored, narrow=64, without_updates=True, cleaned=False, **options):
    """Paste a lighter face of this side: the mean change at its centre, and the facts for the record."""
    frame = Frame.from_centre((366.0, 316.0), side)
    face = RestoredFace(
        1, frame, Image(crop_face(photo, frame, 256)), Image(restored(photo, frame)), narrow, without_updates, cleaned
    )
    canvas = photo.copy()
    facts = paste_face(
        canvas, photo, face, EllipseMask(), PasteOptions.model_validate({"match_colour": "none", **options})
    )
    return np.abs(canvas - photo)[:, 310:322, 360:372].mean(), facts


def smooth(photo, frame):
    return np.clip(through(crop_face(photo, frame, 256), 64) + np.float32(0.1), 0, 1)


def crisp(photo, frame):
    return np.clip(crop_face(PHOTO.pixels, frame, 256) + np.float32(0.1), 0, 1)


@pytest.mark.parametrize("side", [60.0, 300.0])
def test_a_face_that_its_chain_found_undamaged_stays_bit_for_bit(side):
    assert pasted(PHOTO.pixels, side, smooth) == (0, {"kept": "good enough"})
    assert pasted(PHOTO.pixels, side, smooth, without_updates=False)[0] > 0.05
    assert pasted(PHOTO.pixels, side, smooth, undamaged="replace")[0] > 0.05


def test_but_a_blurred_one_larger_than_its_chain_could_see_does_not():
    blurred = gaussian_filter(PHOTO.pixels, (0, 6, 6))
    assert pasted(blurred, 300.0, crisp)[0] > 0.05
    assert pasted(blurred, 60.0, crisp)[0] == 0


def test_nothing_stays_where_the_photograph_is_enlarged():
    frame = Frame.from_centre((366.0, 316.0), 300.0)
    face = RestoredFace(
        1, frame, Image(crop_face(PHOTO.pixels, frame, 256)), Image(smooth(PHOTO.pixels, frame)), 64, True
    )
    canvas = np.zeros((3, 2 * PHOTO.height, 2 * PHOTO.width), np.float32)
    paste_face(canvas, PHOTO.pixels, face, EllipseMask(), PasteOptions.model_validate({"detail": 0.0}))
    assert canvas[:, 620:640, 720:740].mean() > 0.1


def test_in_a_cleaned_photograph_large_faces_stay_as_they_were_cleaned():
    small, middle, large = (
        pasted(PHOTO.pixels, s, smooth, without_updates=False, cleaned=True)[0] for s in (100.0, 160.0, 200.0)
    )
    assert small > 1.2 * middle > 0 and large == 0
    assert pasted(PHOTO.pixels, 200.0, smooth, without_updates=False, cleaned=True, detail=0.0)[0] > 0.05
