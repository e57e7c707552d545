"""The built-in detectors and the aligner, on photographs and on faces that they were not trained on."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT
from photos import BOXES, PHOTOS, POINTS

from odekit import Chain, read
from odekit.core.image import Image
from odekit.errors import ConfigError, PluginError, WeightsError
from odekit.images.io import write
from odekit.parts.corruptions.kinds import corrupt
from odekit.parts.faces import detector as detectors
from odekit.parts.faces import yunet
from odekit.parts.faces.aligner import Aligner, inner_frame
from odekit.parts.faces.detector import BuiltinFaceDetector, YunetFaceDetector, joint_score
from odekit.parts.faces.geometry import TEMPLATES, Frame
from odekit.parts.faces.options import BuiltinDetector, YunetDetector
from odekit.parts.faces.select import intersection_over_union
from odekit.parts.faces.warp import crop_face
from odekit.testing import StandaloneTools

TEMPLATE = TEMPLATES["ffhq-5"]
FACES = np.load(ROOT / "tests" / "data" / "faces" / "faces64_test.npz")["images"][:16]


@pytest.fixture(scope="module")
def detector():
    return BuiltinFaceDetector(BuiltinDetector(), StandaloneTools())


@pytest.fixture(scope="module")
def astronaut():
    return read(PHOTOS / "astronaut.jpg")


def face_near(faces, box):
    """The face that overlaps a box best, and by how much."""
    return max(((intersection_over_union(tuple(box), face.box), face) for face in faces), key=lambda pair: pair[0])


def reduced(image, side):
    """The picture with this longer side, area-averaged."""
    import cv2

    scale = side / max(image.width, image.height)
    size = round(image.width * scale), round(image.height * scale)
    return Image.from_uint8(cv2.resize(image.to_uint8(), size, interpolation=cv2.INTER_AREA))


def in_scene(image, height, width, left, top):
    """The picture in front of a plain photograph of this size."""
    pixels = np.full((3, height, width), 0.45, np.float32)
    pixels[:, top : top + image.height, left : left + image.width] = image.pixels
    return Image(pixels)


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


@pytest.mark.parametrize("degrees", [-45, -20, 30, 45])
def test_a_tilted_face_is_found(detector, astronaut, degrees):
    pixels = crop_face(astronaut.pixels, Frame.from_centre((226.0, 130.0), 300.0, np.deg2rad(degrees)), 300)
    (face,) = detector.detect(Image(pixels))
    angle = np.rad2deg(Frame.fit(face.points, TEMPLATE).angle)
    assert abs((angle + degrees + 180) % 360 - 180) < 12


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_photograph_gives_upright_faces_and_says_the_turn(detector, astronaut, turn):
    """Turned clockwise by `turn`, the photograph is upright again."""
    upright = detector.detect(astronaut)[0]
    pixels = np.ascontiguousarray(np.rot90(astronaut.pixels, turn // 90, axes=(1, 2)))
    (face,) = detector.detect(Image(pixels))
    assert face.turn == turn and upright.turn == 0
    crops = [
        crop_face(picture, Frame.fit(f.points, TEMPLATE), 64)
        for picture, f in ((astronaut.pixels, upright), (pixels, face))
    ]
    assert np.abs(crops[0] - crops[1]).mean() < 0.03
    box = np.rot90(boxed(astronaut, upright.box), turn // 90)
    assert (box & boxed(Image(pixels), face.box)).sum() > 0.8 * box.sum()


def boxed(image, box):
    """A mask (H, W) of a box."""
    mask = np.zeros((image.height, image.width), bool)
    x0, y0, x1, y1 = (max(0, round(v)) for v in box)
    mask[y0:y1, x0:x1] = True
    return mask


def test_without_turned_a_turned_photograph_gives_no_upright_crop(astronaut):
    plain = BuiltinFaceDetector(BuiltinDetector(turned=False), StandaloneTools())
    pixels = np.ascontiguousarray(astronaut.pixels[:, ::-1, ::-1])
    assert all(face.turn != 180 for face in plain.detect(Image(pixels)))


def test_one_person_lying_beside_upright_ones_is_found(detector, astronaut):
    head = crop_face(astronaut.pixels, Frame.from_centre((226.0, 130.0), 260.0, 0.0), 260)
    pair = np.concatenate([head, np.rot90(head, 1, axes=(1, 2))], axis=2)
    faces = detector.detect(in_scene(Image(np.ascontiguousarray(pair)), 600, 900, 100, 200))
    assert sorted(face.turn for face in faces) == [0, 90]


@pytest.mark.parametrize("place", [(40, 60), (1230, 950), (1900, 1300)])
def test_a_small_face_in_a_large_photograph_is_found(detector, astronaut, place):
    """A face of 20 px in 3.4 megapixels, at any place in the tiles."""
    photo = in_scene(reduced(astronaut, 112), 1500, 2300, *place)
    (face,) = detector.detect(photo)
    scale = 112 / 512
    truth = np.array(BOXES["astronaut.jpg"][0]) * scale + np.array([*place, *place])
    assert 16 <= face.box[2] - face.box[0] <= 26 and intersection_over_union(tuple(truth), face.box) > 0.5


def test_smaller_tiles_find_the_same_face(astronaut):
    photo = in_scene(reduced(astronaut, 112), 1500, 2300, 1230, 950)
    tiled = BuiltinFaceDetector(BuiltinDetector(tile=512), StandaloneTools())
    assert len(tiled.detect(photo)) == 1


def test_a_small_photograph_is_enlarged(detector, astronaut):
    assert len(detector.detect(reduced(astronaut, 96))) == 1


def test_without_full_size_tiles_a_small_face_is_missed(astronaut):
    """`largest_side` alone leaves 5 px of it; `smallest` says that such faces do not matter."""
    photo = in_scene(reduced(astronaut, 112), 1500, 2300, 1230, 950)
    coarse = BuiltinFaceDetector(BuiltinDetector(largest_side=640, smallest=140), StandaloneTools())
    assert coarse.detect(photo) == []


def test_a_face_that_fills_the_picture_is_one_face(detector, astronaut):
    """Enlarged, so that its parts would look like faces to a detector that searches at full size only."""
    face = detector.detect(astronaut)[0]
    pixels = crop_face(astronaut.pixels, Frame.fit(face.points, TEMPLATE), 1600)
    assert len(detector.detect(Image(pixels))) == 1


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


def test_the_score_decides_and_the_reason_is_given(astronaut):
    strict = BuiltinFaceDetector(BuiltinDetector(score=1.0), StandaloneTools())
    blurred = Image.from_uint8(
        corrupt(reduced(astronaut, 128).to_uint8(), "gaussian_blur", 4, np.random.default_rng(0))
    )
    faces, rejected = strict.detect_and_reject(blurred)
    assert faces == [] and "under detect.score 1" in rejected[0][1]


def test_the_aligner_rejects_what_yunet_doubts():
    assert joint_score(0.7, 0.0) == 0.0 and joint_score(0.8, 0.1) < 0.6
    assert joint_score(0.7, 0.8) == pytest.approx(0.8)
    assert joint_score(0.95, 0.0) == 1.0
    values = [joint_score(y, a) for y in (0.76, 0.8, 0.85) for a in (0.1, 0.5)]
    assert all(0 < v < 1 for v in values) and joint_score(0.85, 0.5) == max(values)


def test_yunet_is_the_same_without_the_veto(detector, astronaut, monkeypatch):
    """Both networks' scores are kept; only `builtin` asks the aligner."""
    alone = YunetFaceDetector(YunetDetector(), StandaloneTools())
    face, other = detector.detect(astronaut)[0], alone.detect(astronaut)[0]
    assert (face.box, face.points, face.scores) == (other.box, other.points, other.scores)
    assert other.score == other.scores["yunet"] and face.score >= face.scores["aligner"]
    (clear,) = alone.network.propose(yunet.to_bgr(astronaut.pixels))
    doubtful = lambda *args: [replace(clear, score=0.74)]  # noqa: E731
    for search in ("search", "search_turned"):
        monkeypatch.setattr(detectors, search, doubtful)
    monkeypatch.setattr(Aligner, "predict", lambda self, crops: [(Frame(1, 0, 0, 0), 0.1) for _ in crops])
    assert len(alone.detect(astronaut)) == 1
    faces, rejected = detector.detect_and_reject(astronaut)
    assert faces == [] and rejected[0][1] == "score 0.10, under detect.score 0.6"
    assert rejected[0][0].scores == {"yunet": 0.74, "aligner": 0.1}


def test_the_same_photograph_gives_the_same_faces_after_others_and_in_threads(detector, astronaut):
    photos = [astronaut, *(read(PHOTOS / name) for name in sorted(BOXES)), reduced(astronaut, 100)]
    alone = [detector.detect(photo) for photo in photos]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(detector.detect, [*photos, *reversed(photos)]))
    assert together == [*alone, *reversed(alone)]


def test_an_option_that_is_gone_is_refused():
    with pytest.raises(ConfigError, match="neighbours"):
        Chain([{"faces": {"detect": {"use": "builtin", "neighbours": 3}, "each": ["restore"]}}])


def test_faces_below_the_minimum_size_are_not_detected():
    faces, rejected = BuiltinFaceDetector(BuiltinDetector(smallest=200), StandaloneTools()).detect_and_reject(
        read(PHOTOS / "astronaut.jpg")
    )
    assert faces == [] and "px wide, under detect.smallest 200" in rejected[0][1]


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


def test_without_opencv_it_says_what_to_install(monkeypatch):
    yunet.import_opencv.cache_clear()
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(PluginError, match=r"pip install 'odekit\[photos\]'"):
        BuiltinFaceDetector(BuiltinDetector(), StandaloneTools()).detect(read(PHOTOS / "astronaut.jpg"))
    yunet.import_opencv.cache_clear()


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


def test_faces_lists_and_draws_what_was_rejected(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = cli("faces", PHOTOS / "astronaut.jpg", "-o", "found", "--set", "faces.detect.smallest=200")
    assert done.code == 0, done.err
    text = " ".join(done.out.split())
    assert "0 of 0 faces, 1 rejected" in text and "yunet" in text and "aligner" in text
    assert "under detect.smallest 200" in text
    yellow = np.abs(read("found/astronaut.png").pixels - np.array([250, 190, 40])[:, None, None] / 255).max(0) < 0.02
    assert yellow.sum() > 100


def test_faces_prints_scores_turn_and_rejections_as_json(cli, tmp_path):
    write(
        Image(np.ascontiguousarray(np.rot90(read(PHOTOS / "astronaut.jpg").pixels, 1, axes=(1, 2)))), tmp_path / "t.png"
    )
    done = cli("faces", tmp_path / "t.png", "--json", "--set", "faces.select.min_side=400")
    (photo,) = json.loads(done.out)
    (face,) = photo["faces"]
    assert face["turn"] == 90 and set(face["scores"]) == {"yunet", "aligner"} and "min_side" in face["left_out"]
    assert photo["rejected"] == [] or all("rejected" in one for one in photo["rejected"])


def test_faces_needs_a_chain_with_the_stage(cli):
    done = cli("faces", PHOTOS / "astronaut.jpg", "--chain", "odedit")
    assert done.code == 2 and "has no stage 'faces'" in done.err
