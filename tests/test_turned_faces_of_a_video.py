"""Faces of a video's frames: a head that tilts is found, and the frame is not searched in quarter turns for it."""

import cv2
import numpy as np
import pytest
from photos import PHOTOS

import odekit
from odekit import Chain, Image
from odekit.parts.faces import detector
from odekit.runs.face_search import face_finder


@pytest.fixture(scope="module")
def finders():
    chain = Chain.load("photo")
    return face_finder(chain), face_finder(chain, turned=False)


def tilted(degrees):
    photo = odekit.read(PHOTOS / "astronaut.jpg").pixels.transpose(1, 2, 0)
    size = (photo.shape[1], photo.shape[0])
    turn = cv2.getRotationMatrix2D((224.0, 120.0), degrees, 1)
    pixels = cv2.warpAffine(photo, turn, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return Image(np.ascontiguousarray(np.clip(pixels, 0, 1).transpose(2, 0, 1)))


def tilt_of(finder, degrees):
    (x0, y0), (x1, y1) = max(finder.find(tilted(degrees)).faces, key=lambda face: face.score).points[:2]
    return np.degrees(np.arctan2(y0 - y1, x1 - x0))


@pytest.mark.parametrize("degrees", [-50, -30, 30, 50])
def test_a_head_that_tilts_is_found_where_it_is(finders, degrees):
    assert tilt_of(finders[1], degrees) - tilt_of(finders[1], 0) == pytest.approx(degrees, abs=8)


def test_the_whole_frame_is_searched_in_quarter_turns_for_photographs_only(finders, monkeypatch):
    asked = []
    monkeypatch.setattr(detector.YunetFaceDetector, "_turn", lambda self, *_: asked.append(1) or 0)
    empty = Image(np.full((3, 200, 300), 0.5, np.float32))
    for finder in finders:
        finder.find(empty)
    assert asked == [1]
