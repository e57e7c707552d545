"""The metric `face-distance`: the same person is near, others are far, and small faces have no value."""

import numpy as np
import PIL.Image
import pytest
from conftest import ROOT

from odekit import Image
from odekit.errors import InputError
from odekit.parts.metrics.face_distance import FaceDistance, FaceDistanceMetric
from odekit.testing import StandaloneTools

FACES = [
    Image.from_uint8(np.asarray(PIL.Image.open(path).convert("RGB")))
    for path in sorted((ROOT / "examples" / "clean").glob("pif*.png"))
]
"""Four people."""


@pytest.fixture(scope="module")
def metric():
    return FaceDistanceMetric(FaceDistance(), StandaloneTools())


def blurred(image, side):
    small = PIL.Image.fromarray(image.to_uint8()).resize((side, side), PIL.Image.Resampling.BOX)
    return Image.from_uint8(np.asarray(small.resize((image.width, image.height), PIL.Image.Resampling.BICUBIC)))


def test_a_face_has_no_distance_to_itself_and_damage_moves_it_away(metric):
    for face in FACES:
        assert metric.measure(face, face) == 0
        near, far = (metric.measure(blurred(face, face.width * part // 8), face) for part in (6, 3))
        assert 0 < near < far and near < 0.45


def test_different_people_are_farther_apart_than_the_threshold_of_one_person(metric):
    pairs = [(a, b) for i, a in enumerate(FACES) for b in FACES[i + 1 :]]
    distances = metric.measure_many(*(list(side) for side in zip(*pairs, strict=True)))
    assert min(distances) > 0.45
    assert distances[0] == pytest.approx(metric.measure(*pairs[0]), abs=1e-5)


def test_below_32_pixels_there_is_no_value_and_the_reason_is_given(metric):
    small = Image(np.full((3, 24, 24), 0.5, np.float32))
    with pytest.raises(InputError, match="32 px or more, not 24x24"):
        metric.measure(small, small)
    assert metric.least_side == 32


def test_a_restored_image_is_measured_by_its_own_pixels_though_it_keeps_the_origin_of_its_source(metric):
    face = FACES[0]
    restored = face.with_pixels(blurred(face, face.width // 2).pixels)
    assert restored.origin == face.origin and metric.measure(restored, face) > 0


def test_the_network_is_loaded_once_in_a_process_and_again_for_another_file():
    from odekit.core.files import ASSETS
    from odekit.parts.metrics.face_distance import FaceDistanceMetric, load_descriptor
    from odekit.testing import StandaloneTools

    first, second = (FaceDistanceMetric(tools=StandaloneTools()) for _ in range(2))
    assert first.network is second.network and first.descriptors is second.descriptors
    path = ASSETS / "face-descriptor" / "model.safetensors"
    assert load_descriptor(path, (1, 2), first.device) is not first.network
