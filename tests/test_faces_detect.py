"""The built-in detector and aligner, on photographs and on faces that they were not trained on."""

import sys

import numpy as np
import pytest
from conftest import ROOT
from photos import BOXES, PHOTOS, POINTS

from odekit import read
from odekit.core.image import Image
from odekit.core.interfaces import Face
from odekit.errors import PluginError, WeightsError
from odekit.parts.corruptions.kinds import corrupt
from odekit.parts.faces import cascades
from odekit.parts.faces.aligner import Aligner, inner_frame
from odekit.parts.faces.detector import BuiltinFaceDetector, rescore
from odekit.parts.faces.geometry import TEMPLATES, Frame
from odekit.parts.faces.options import BuiltinDetector
from odekit.parts.faces.select import intersection_over_union
from odekit.parts.faces.warp import crop_face
from odekit.testing import StandaloneTools

TEMPLATE = TEMPLATES["ffhq-5"]
FACES = np.load(ROOT / "tests" / "data" / "faces" / "faces64_test.npz")["images"][:16]


@pytest.fixture(scope="module")
def detector():
    return BuiltinFaceDetector(BuiltinDetector(turned=False), StandaloneTools())


@pytest.mark.parametrize("name", sorted(BOXES))
def test_it_finds_the_faces_of_photographs_and_nothing_else(detector, name):
    faces = detector.detect(read(PHOTOS / name))
    assert len(faces) == len(BOXES[name])
    for box in BOXES[name]:
        assert max(intersection_over_union(tuple(box), face.box) for face in faces) > 0.6
    assert [face.score for face in faces] == sorted((face.score for face in faces), reverse=True)


def test_its_points_are_those_of_a_landmark_model(detector):
    photo = read(PHOTOS / "astronaut.jpg")
    truth = np.array(POINTS["astronaut.jpg"])
    points = np.array(detector.detect(photo)[0].points)
    assert np.hypot(*(points - truth).T).mean() < 0.05 * Frame.fit(truth, TEMPLATE).side


def test_a_turned_face_is_found_with_turned_copies():
    photo = read(PHOTOS / "astronaut.jpg")
    pixels = crop_face(photo.pixels, Frame.from_centre((256.0, 200.0), 400.0, np.deg2rad(30)), 400)
    assert len(BuiltinFaceDetector(BuiltinDetector(), StandaloneTools()).detect(Image(pixels))) == 1


@pytest.mark.parametrize("kind", ["gaussian_noise", "gaussian_blur", "jpeg", "scratches"])
def test_damaged_photographs(detector, kind):
    photo = read(PHOTOS / "astronaut.jpg")
    rng = np.random.Generator(np.random.Philox(0))
    bad = Image.from_uint8(corrupt(photo.to_uint8(), kind, 3, rng))
    faces = detector.detect(bad)
    assert len(faces) == 1 and intersection_over_union(tuple(BOXES["astronaut.jpg"][0]), faces[0].box) > 0.5


def test_no_face_where_there_is_none(detector):
    import skimage.data

    for name in ("coffee", "chelsea"):
        assert detector.detect(Image.from_uint8(getattr(skimage.data, name)())) == []


def test_the_score_decides(detector):
    assert (
        BuiltinFaceDetector(BuiltinDetector(turned=False, score=1.0), StandaloneTools()).detect(
            read(PHOTOS / "astronaut.jpg")
        )
        == []
    )


def test_more_proposals_make_a_face_likelier():
    face = Face((0, 0, 9, 9), (), 0.9)
    scores = [rescore(face, count).score for count in (1, 2, 7)]
    assert scores == sorted(scores) and scores[2] == pytest.approx(0.9) and scores[0] == pytest.approx(9 / 16)


def test_faces_below_the_minimum_size_are_not_detected():
    photo = read(PHOTOS / "astronaut.jpg")
    assert BuiltinFaceDetector(BuiltinDetector(turned=False, smallest=200), StandaloneTools()).detect(photo) == []


def test_two_passes_align_the_face_in_inexact_boxes():
    """Held-out faces in their own mirrored surroundings, boxes off by up to 15 % and 20 degrees."""
    rng = np.random.Generator(np.random.Philox(5))
    aligner = Aligner("aligner", StandaloneTools())
    errors, scores = {"clean": [], "damaged": []}, {"clean": [], "damaged": []}
    for number, face in enumerate(FACES):
        for kind, pixels in (("clean", face), ("damaged", corrupt(face, ("gaussian_noise", "glass_blur", "mask_pixels", "jpeg")[number % 4], 4, rng))):  # fmt: skip
            wide = np.pad(pixels, ((40, 40), (40, 40), (0, 0)), mode="symmetric").transpose(2, 0, 1)
            off = rng.uniform(-0.15, 0.15, 2) * 64
            start = Frame.from_centre(
                tuple(72 + off), 64 * np.exp(rng.uniform(-0.14, 0.14)), np.deg2rad(rng.uniform(-20, 20))
            )
            frame, score = aligner.refine(wide.astype(np.float32) / 255, [start])[0]
            truth = TEMPLATE * 64 + 40
            errors[kind].append(np.hypot(*(frame.place(TEMPLATE) - truth).T).mean() / 64)
            scores[kind].append(score)
    assert min(scores["clean"]) > 0.5
    assert np.median(scores["damaged"]) > 0.5
    assert np.median(errors["clean"]) <= 0.025
    assert np.median(errors["damaged"]) <= 0.04


def test_the_networks_numbers_are_a_frame():
    q = 2 * TEMPLATE - 1
    a, b, x, y = 0.9, 0.2, 0.1, -0.3
    u = q @ np.array([[a, b], [-b, a]]) + (x, y)
    assert np.allclose(inner_frame((a - 1, b, x, y)).place(TEMPLATE), (u + 1) / 2)


def test_a_drawn_box_is_refined(detector):
    face = detector.face_in_box(read(PHOTOS / "astronaut.jpg"), BOXES["astronaut.jpg"][0])
    truth = np.array(POINTS["astronaut.jpg"])
    assert np.hypot(*(np.array(face.points) - truth).T).mean() < 0.05 * Frame.fit(truth, TEMPLATE).side


def test_without_opencv_it_says_what_to_install(detector, monkeypatch):
    cascades.import_opencv.cache_clear()
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(PluginError, match=r"pip install 'odekit\[photos\]'"):
        detector.detect(read(PHOTOS / "astronaut.jpg"))
    cascades.import_opencv.cache_clear()


def test_a_folder_that_is_no_aligner_is_refused(tmp_path):
    with pytest.raises(WeightsError):
        Aligner(f"{tmp_path}/", StandaloneTools())


def test_faces_draws_numbers_and_says_why_one_is_left_out(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = cli("faces", PHOTOS / "astronaut.jpg", "-o", "found", "--set", "faces.select.min_side=400")
    assert done.code == 0, done.err
    assert "0 of 1 faces" in done.out and "under select.min_side 400" in " ".join(done.out.split())
    picture, photo = read("found/astronaut.png").pixels, read(PHOTOS / "astronaut.jpg").pixels
    assert picture.shape == photo.shape and np.abs(picture - photo).max() > 0.3


def test_faces_needs_a_chain_with_the_stage(cli):
    done = cli("faces", PHOTOS / "astronaut.jpg", "--chain", "odedit")
    assert done.code == 2 and "has no stage 'faces'" in done.err
