"""Where faces lie: frames against a second library, crops without aliasing, pastes that do not move."""

import cv2
import numpy as np
import pytest
from photos import PHOTOS, POINTS, noise
from skimage.transform import SimilarityTransform

from benchmarks.paste import seam, shift
from odekit import read
from odekit.core.image import Image
from odekit.images.resize import block_means
from odekit.parts.faces.geometry import TEMPLATES, Frame
from odekit.parts.faces.masks import EllipseMask, SquareMask
from odekit.parts.faces.warp import covered_box, crop_coordinates, crop_face

TEMPLATE = TEMPLATES["ffhq-5"]


def test_the_template_is_the_ffhq_one_at_512():
    assert np.allclose(TEMPLATE[0] * 512, (192.98138, 239.94708))
    assert np.allclose(TEMPLATE[4] * 512, (313.08905, 371.15118))


@pytest.mark.parametrize("seed", range(5))
def test_a_frame_is_the_least_squares_similarity(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(50, 400, (5, 2))
    frame = Frame.fit(points, TEMPLATE)
    ours = frame.place(TEMPLATE)
    reference = SimilarityTransform.from_estimate(TEMPLATE, points)
    assert np.allclose(ours, reference(TEMPLATE), atol=1e-8)
    assert np.isclose(frame.side, reference.scale) and np.isclose(frame.angle, reference.rotation)


def test_place_and_find_undo_each_other_and_frames_compose():
    outer, inner = Frame.from_centre((120.0, 80.0), 60.0, 0.4), Frame.from_centre((0.4, 0.55), 0.9, -0.2)
    q = np.random.default_rng(0).random((7, 2))
    assert np.allclose(outer.find(outer.place(q)), q)
    assert np.allclose(outer.compose(inner).place(q), outer.place(inner.place(q)))
    assert np.allclose(outer.centre, (120, 80))


def test_a_crop_on_whole_pixels_is_the_picture_itself():
    photo = noise(60, 80)
    crop = crop_face(photo.pixels, Frame(32.0, 0.0, 20.0, 10.0), 32)
    assert np.abs(crop - photo.pixels[:, 10:42, 20:52]).max() < 1e-5


@pytest.mark.parametrize("angle", [0.0, 0.3, -1.2])
def test_a_turned_crop_agrees_with_opencv(angle):
    y, x = np.mgrid[:200, :260]
    plane = (0.5 + 0.25 * np.sin(x / 9) + 0.2 * np.cos(y / 7)).astype(np.float32)
    frame = Frame.from_centre((130.0, 100.0), 90.0, angle)
    ours = crop_face(np.stack([plane] * 3), frame, 96)[0]
    c, s = frame.a / 96, frame.b / 96
    matrix = np.array([[c, -s, frame.x + 0.5 * (c - s) - 0.5], [s, c, frame.y + 0.5 * (c + s) - 0.5]])
    reference = cv2.warpAffine(plane, matrix, (96, 96), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    assert np.abs(ours - reference).max() < 0.01


def test_shrinking_a_large_face_does_not_alias():
    _y, x = np.mgrid[:900, :900]
    stripes = (0.5 + 0.5 * np.sin(x * np.pi * 0.9)).astype(np.float32)  # finer than a 64 px crop can hold
    crop = crop_face(np.stack([stripes] * 3), Frame.from_centre((450.0, 450.0), 800.0, 0.2), 64)
    assert np.abs(crop - 0.5).max() < 0.06  # of 0.5; area means are no perfect filter


@pytest.mark.parametrize("border,value", [("black", 0.0), ("edge", 1.0), ("reflect", 1.0)])
def test_beyond_the_photograph(border, value):
    white = np.ones((3, 40, 40), np.float32)
    crop = crop_face(white, Frame.from_centre((0.0, 20.0), 30.0), 32, border)
    assert np.allclose(crop[:, :, 2], value, atol=1e-5) and np.allclose(crop[:, :, -3], 1, atol=1e-5)


def test_reduced_is_the_mean_of_blocks():
    photo = noise(37, 50).pixels
    assert np.allclose(
        block_means(photo, 4)[:, :9, :12], photo[:, :36, :48].reshape(3, 9, 4, 12, 4).mean((2, 4)), atol=1e-6
    )


def test_masks_are_one_in_the_face_and_nothing_at_the_border():
    face = Image(np.zeros((3, 64, 64), np.float32))
    for mask in (EllipseMask(), SquareMask()):
        soft = mask(face)
        assert soft.shape == (64, 64) and soft.dtype == np.float32
        assert soft[0].max() < 0.1 and soft[:, 0].max() < 0.1 and soft[35, 32] == 1
    ellipse = EllipseMask()(face)
    u, v = TEMPLATE[:, 0] * 64, TEMPLATE[:, 1] * 64
    assert all(ellipse[int(b), int(a)] == 1 for a, b in zip(u, v, strict=False))


def test_a_wider_feather_softens_the_edge():
    u, v = crop_coordinates(Frame(100.0, 0.0, 0.0, 0.0), (0, 0, 100, 100))
    count = [((m > 0) & (m < 1)).sum() for m in (EllipseMask().at(u, v, f) for f in (0.02, 0.08, 0.2))]
    assert count[0] < count[1] < count[2]


@pytest.mark.parametrize("turn", [0.0, 0.35])
def test_seams_do_not_show_and_faces_do_not_move(turn):
    photo = read(PHOTOS / "astronaut.jpg").pixels
    frame = Frame.fit(POINTS["astronaut.jpg"], TEMPLATE)
    frame = Frame.from_centre(frame.centre, frame.side, frame.angle + turn)
    assert seam(photo, frame) <= 0.10
    assert shift(photo, frame) <= 0.25


def test_the_patch_of_a_frame_outside_is_not_empty():
    assert covered_box(Frame.from_centre((-50.0, -50.0), 20.0), 30, 30) == (0, 0, 1, 1)


def test_the_bench_names_the_faces_that_were_missed(tmp_path):
    import json

    from benchmarks.photo import detect, labelled_photos, summary

    listed = {"box": [10.2, 20.0, 30.0, 41.7], "points": (TEMPLATE * 40).tolist(), "small": True, "hard": False}
    wrong = {**listed, "box": [55.0, 60.4, 90.0, 99.0], "small": False}
    photos = {"a.png": {"complete": True, "faces": [listed, wrong]}}
    (tmp_path / "faces.json").write_text(json.dumps({"photos": photos}))

    class Blind:
        def detect(self, image):
            return []

    result = summary([detect(Blind(), one, noise(100, 120), paste=False) for one in labelled_photos(tmp_path)])
    assert result["missed"] == ["a.png (55, 60, 90, 99)"]
    assert result["recall"] == 0 and result["recall_small"] == 0
