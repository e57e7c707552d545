"""A square photograph is no aligned face: it is refused where it would be made 64 pixels small."""

import numpy as np
import pytest
from conftest import ROOT
from photos import BOXES, PHOTOS

import odekit
from odekit import Chain, read
from odekit.core.image import Image
from odekit.errors import InputError, PluginError
from odekit.images.resize import resized
from odekit.parts.corruptions.kinds import corrupt
from odekit.parts.faces.detector import BuiltinFaceDetector
from odekit.parts.faces.geometry import TEMPLATES, Frame
from odekit.parts.faces.is_aligned import AlignedFaceCheck
from odekit.parts.faces.options import BuiltinDetector
from odekit.parts.faces.warp import crop_face
from odekit.testing import StandaloneTools

FACES = np.load(ROOT / "tests" / "data" / "faces" / "faces64_test.npz")["images"]
KINDS = ("gaussian_noise", "gaussian_blur", "jpeg", "contrast", "mask_pixels", "scratches", "fog", "snow")
BRIEF = ["restore.inverter.steps=2", "restore.enhancer=none"]


@pytest.fixture(scope="module")
def astronaut():
    return read(PHOTOS / "astronaut.jpg")


def damaged(image, kind):
    return Image.from_uint8(corrupt(image.to_uint8(), kind, 3, np.random.Generator(np.random.Philox(0))))


@pytest.mark.parametrize("kind", [None, "gaussian_noise", "jpeg", "scratches"])
def test_a_square_photograph_is_one_although_damaged(astronaut, kind):
    photo = astronaut if kind is None else damaged(astronaut, kind)
    (reason,) = AlignedFaceCheck(StandaloneTools()).reasons([photo])
    assert reason.startswith("a face was found in it")


def test_aligned_faces_are_faces_although_damaged():
    large = [resized(Image.from_uint8(face), 192, 192, "bicubic") for face in FACES[::4]]
    bad = [damaged(face, KINDS[i % len(KINDS)]) for i, face in enumerate(large)]
    assert AlignedFaceCheck(StandaloneTools()).reasons(large + bad) == [""] * (len(large) + len(bad))


def test_a_face_that_is_cut_out_of_the_photograph_passes(astronaut):

    face = BuiltinFaceDetector(BuiltinDetector(), StandaloneTools()).detect(astronaut)[0]
    frame = Frame.fit(face.points, TEMPLATES["ffhq-5"])
    assert AlignedFaceCheck(StandaloneTools()).reasons([Image(crop_face(astronaut.pixels, frame, 256))]) == [""]


def test_what_is_too_small_to_hold_other_faces_passes_unseen(astronaut, monkeypatch):
    monkeypatch.setattr(
        AlignedFaceCheck, "aligner", property(lambda self: pytest.fail("a small picture was looked at"))
    )
    assert AlignedFaceCheck(StandaloneTools()).reasons([resized(astronaut, 128, 128, "box")]) == [""]


def test_where_no_face_is_found_or_opencv_is_missing_the_picture_passes(astronaut, monkeypatch):
    noise = np.random.Generator(np.random.Philox(1)).random((3, 256, 256), dtype=np.float32)
    assert AlignedFaceCheck(StandaloneTools()).reasons([Image(noise)]) == [""]

    def absent(self):
        raise PluginError("OpenCV is not installed")

    monkeypatch.setattr(AlignedFaceCheck, "detector", property(absent))
    assert AlignedFaceCheck(StandaloneTools()).reasons([astronaut]) == [""]


def test_a_chain_of_aligned_faces_refuses_it_and_restores_the_others(astronaut):
    face = resized(Image.from_uint8(FACES[0]), 192, 192, "bicubic")
    bad, good = Chain.load("odedit", BRIEF).run([astronaut, face], precision="float32")
    with pytest.raises(InputError, match=r"512x512 is a whole photograph .*odekit run photo.*restore.aligned=trust"):
        _ = bad.image
    assert good.image.width == 64


def test_trust_takes_every_square(astronaut):
    assert (
        Chain.load("odedit", [*BRIEF, "restore.aligned=trust"]).run([astronaut], precision="float32")[0].image.width
        == 64
    )


def test_a_decision_is_refused_likewise(astronaut):
    with pytest.raises(InputError, match="whole photograph"):
        Chain.load("odedit-auto").open(batch_size=1, precision="float32").decide(astronaut)


def test_what_a_person_calls_aligned_is_not_looked_at(astronaut, monkeypatch):
    monkeypatch.setattr(AlignedFaceCheck, "reasons", lambda self, images: pytest.fail("was looked at"))
    chain = Chain([{"faces": {"align": "none", "each": [{"restore": {"inverter": {"steps": 2}, "enhancer": "none"}}]}}])
    assert chain.run([astronaut], precision="float32")[0].error is None


def test_one_line_in_python_sends_it_through_photo(monkeypatch, astronaut):
    seen = []
    monkeypatch.setattr(Chain, "load", lambda name, *args: seen.append(name) or Chain(["save"]))
    odekit.restore(astronaut)
    odekit.restore(resized(Image.from_uint8(FACES[0]), 192, 192, "bicubic"))
    assert seen == ["photo", "odedit-plus"]
    assert len(BOXES["astronaut.jpg"]) == 1
