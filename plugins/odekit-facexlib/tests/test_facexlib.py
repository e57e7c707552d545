"""RetinaFace and ParseNet against facexlib's programs with synthetic weights, and against closed forms.

Stored outputs are compared in test_goldens.py.
"""

import builtins
import importlib.machinery
import importlib.util
import json
import math
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from odekit_facexlib import anchors, library
from odekit_facexlib.detector import RetinafaceDetector, network_input
from odekit_facexlib.mask import ParsenetMasker, blur_mask
from odekit_facexlib.networks import RetinaFace, load_network, parsenet
from odekit_facexlib.options import CLASSES, ParsenetMask, Retinaface

from odekit.core.image import Image
from odekit.errors import PluginError, WeightsError
from odekit.plugins.weights import fit, load
from odekit.testing import StandaloneTools
from odekit.testing.goldens import Golden

from . import parity

ROOT = Path(__file__).parents[3]
GOLDENS = ROOT / "tests" / "data" / "golden"


def golden(stem):
    return Golden.read(GOLDENS / f"{stem}.B.npz")


def picture(height, width, seed=0):
    """Smooth colours."""
    rng = np.random.default_rng(seed)
    small = rng.random((3, 5, 5), dtype=np.float32)
    return Image(np.stack([cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in small]))


@pytest.fixture(scope="module")
def facexlib():
    """facexlib's own detection modules, by names that do not run the package (and its tracker)."""
    spec = importlib.util.find_spec("facexlib")
    place = Path(spec.submodule_search_locations[0])
    shells = {}
    for name in ("facexlib", "facexlib.detection"):
        empty = importlib.machinery.ModuleSpec(name, None, is_package=True)
        empty.submodule_search_locations.append(str(place.joinpath(*name.split(".")[1:])))
        shells[name] = importlib.util.module_from_spec(empty)
    sys.modules.update(shells)
    yield importlib.import_module("facexlib.detection.retinaface")
    for name in [name for name in sys.modules if name.split(".")[0] == "facexlib"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of RetinaFace weights as published: a pickle of tensors named `module.*`."""
    tensors = parity.filled(RetinaFace, golden("facexlib_retinaface_resnet50")).state_dict()
    path = tmp_path_factory.mktemp("weights") / "detection.pth"
    torch.save({f"module.{name}": tensor for name, tensor in tensors.items()}, path)
    return path


class Tools:
    """The tools of a run, as a part's factory receives them."""

    device, precision, prior = "cpu", "float32", None

    def __init__(self, path):
        self.path, self.asked = path, []

    def weights(self, name):
        self.asked.append(name)
        return self.path


@pytest.fixture(scope="module")
def detector(weights):
    return RetinafaceDetector(Retinaface(score=0.5), Tools(weights))


# Networks


@pytest.mark.parametrize(
    ("make", "stem"), [(RetinaFace, "facexlib_retinaface_resnet50"), (parsenet, "facexlib_parsenet")], ids=["r", "p"]
)
def test_names_and_shapes_are_the_published_ones(make, stem):
    published = json.loads((ROOT / "tests" / "data" / "keys" / f"{stem}.json").read_text())
    with torch.device("meta"):
        mine = {name: list(tensor.shape) for name, tensor in make().state_dict().items()}
    assert mine == published


def test_the_option_weights_selects_other_weights(weights):
    tools = Tools(weights)
    RetinafaceDetector(Retinaface(weights="mine"), tools)
    RetinafaceDetector(Retinaface(), tools)
    with pytest.raises(WeightsError):
        ParsenetMasker(ParsenetMask(weights="ours"), tools)
    assert tools.asked == ["mine", "retinaface-resnet50", "ours"]


def test_a_file_of_another_network_is_an_error(weights):
    with pytest.raises(WeightsError, match="not the weights of this network"):
        load_network(parsenet, weights, "cpu")


def test_nothing_but_the_two_networks_is_imported(monkeypatch):
    usual = builtins.__import__

    def guarded(name, *rest, **more):
        assert name.split(".")[0] not in ("facexlib", "filterpy", "numba", "cv2"), name
        return usual(name, *rest, **more)

    library.module.cache_clear()
    monkeypatch.setattr(builtins, "__import__", guarded)
    with torch.device("meta"):
        RetinaFace()
        parsenet()


def test_without_facexlib_the_error_has_the_install_command(monkeypatch):
    library.module.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PluginError, match=r"not installed: pip install --no-deps facexlib==0\.3\.0"):
        library.module("parsing/parsenet.py")
    library.module.cache_clear()


def test_absent_weights_name_the_command_that_fetches_them(monkeypatch, tmp_path):
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="odekit weights pull retinaface-resnet50"):
        RetinafaceDetector(Retinaface(), StandaloneTools())
    with pytest.raises(WeightsError, match="odekit weights pull parsenet"):
        ParsenetMasker(ParsenetMask(), StandaloneTools())


# Anchors


@pytest.mark.parametrize(("height", "width"), [(256, 320), (250, 333), (31, 7), (1, 1)])
def test_anchors_are_facexlibs(facexlib, height, width):
    theirs = facexlib.PriorBox(facexlib.generate_config("resnet50"), image_size=(height, width)).forward()
    assert torch.equal(anchors.anchors(height, width), theirs)


def test_boxes_and_points_are_decoded_as_facexlib_does(facexlib):
    about = anchors.anchors(100, 90)
    told = torch.randn(len(about), 14, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(anchors.boxes(told[:, :4], about), facexlib.decode(told[:, :4], about, [0.1, 0.2]), atol=1e-6)
    theirs = facexlib.decode_landm(told[:, 4:], about, [0.1, 0.2])
    assert torch.allclose(anchors.points(told[:, 4:], about).flatten(1), theirs, atol=1e-6)


# Detector


def test_the_detector_finds_what_facexlibs_program_finds(facexlib, detector, weights):
    theirs = facexlib.RetinaFace("resnet50", device=torch.device("cpu"))
    fit.fit(theirs, load.load_tensors(weights), weights)
    # Levels near the mean: synthetic weights say 1.0 of everything where contrast is high.
    noise = 0.5 * np.random.default_rng(0).standard_normal((3, 150, 203))
    image = Image(((np.array([123, 117, 104])[:, None, None] + noise) / 255).astype(np.float32))
    bgr = image.pixels[::-1].transpose(1, 2, 0) * 255
    with torch.no_grad():
        rows = theirs.eval().detect_faces(bgr.copy(), conf_threshold=0.5, nms_threshold=0.4)
    found = detector.detect(image)
    assert len(found) == len(rows) > 20
    for face, row in zip(found, rows, strict=True):
        mine = [*face.box, face.score, *(value for point in face.points for value in point)]
        np.testing.assert_allclose(mine, row, rtol=1e-4, atol=2e-3)


def outputs_for_face(box, points, height, width, chance=0.99):
    """Network outputs for one face at the nearest anchor, from the definition of the offsets."""
    about = anchors.anchors(height, width).double()
    size = torch.tensor([width, height], dtype=torch.float64)
    corners = torch.tensor(box, dtype=torch.float64).view(2, 2) / size
    middle, side = corners.mean(0), corners[1] - corners[0]
    at = int(((about[:, :2] - middle).square().sum(1) + (about[:, 2:] - side).square().sum(1)).argmin())
    offsets, told = torch.zeros(len(about), 4), torch.zeros(len(about), 10)
    offsets[at] = torch.cat([(middle - about[at, :2]) / about[at, 2:] / 0.1, torch.log(side / about[at, 2:]) / 0.2])
    five = torch.tensor(points, dtype=torch.float64) / size
    told[at] = ((five - about[at, :2]) / about[at, 2:] / 0.1).flatten()
    scores = torch.tensor([[0.99, 0.01]]).repeat(len(about), 1)
    scores[at] = torch.tensor([1 - chance, chance])
    return offsets[None], scores[None], told[None]


class FixedFaceNetwork(torch.nn.Module):
    """Replaces the network: predicts the same face, in fractions of the picture, for any picture."""

    def __init__(self, box, points, chance=0.99):
        super().__init__()
        self.box, self.points, self.chance, self.seen = box, points, chance, []

    def forward(self, x):
        self.seen.append(x)
        height, width = x.shape[2:]
        scale = [width, height]
        box = [v * scale[i % 2] for i, v in enumerate(self.box)]
        return outputs_for_face(box, [[x * width, y * height] for x, y in self.points], height, width, self.chance)


BOX = (0.25, 0.2, 0.6, 0.7)
FIVE = ((0.35, 0.4), (0.5, 0.41), (0.43, 0.5), (0.37, 0.6), (0.49, 0.61))


def with_network(network, **options):
    made = RetinafaceDetector.__new__(RetinafaceDetector)
    made.options, made.device, made.network = Retinaface(**options), "cpu", network
    return made


@pytest.mark.parametrize(("height", "width"), [(200, 300), (2000, 3000)])
def test_a_planted_face_comes_back_in_pixels_of_the_photograph(height, width):
    (face,) = with_network(FixedFaceNetwork(BOX, FIVE), megapixels=1.0).detect(picture(height, width))
    size = np.array([width, height])
    np.testing.assert_allclose(face.box, np.tile(size, 2) * BOX, rtol=1e-4)
    np.testing.assert_allclose(face.points, size * FIVE, rtol=1e-4)
    assert face.score == pytest.approx(0.99)


def test_large_photographs_are_reduced_to_the_set_area():
    for megapixels, sides in ((0.25, (250, 1000)), (1.0, (500, 2000)), (2.0, (500, 2000))):
        network = FixedFaceNetwork(BOX, FIVE)
        with_network(network, megapixels=megapixels).detect(picture(500, 2000))
        assert network.seen[0].shape[2:] == sides


def test_the_network_input_is_blue_green_red_levels_minus_the_mean():
    red = Image(np.ones((3, 4, 4), np.float32) * np.array([1, 0, 0.5], np.float32)[:, None, None])
    given = network_input(red, 1.0)[0, :, 0, 0]
    np.testing.assert_allclose(given, [127.5 - 104, 0 - 117, 255 - 123], atol=1e-4)


def test_faces_under_the_score_are_left_out():
    for score, count in ((0.6, 1), (0.8, 0)):
        assert len(with_network(FixedFaceNetwork(BOX, FIVE, chance=0.7), score=score).detect(picture(64, 64))) == count


def test_of_overlapping_boxes_the_better_stays():
    about = torch.tensor([[0.5, 0.5, 0.4, 0.4], [0.52, 0.5, 0.4, 0.4], [0.2, 0.2, 0.1, 0.1]])
    chance = torch.tensor([[0.1, 0.9], [0.05, 0.95], [0.2, 0.8]])
    told = torch.zeros(3, 4), chance, torch.zeros(3, 10), about, 100, 100
    # The first two overlap by 0.38 / 0.42 = 0.905.
    strict = with_network(None, score=0.5, overlap=0.9).faces(*told)
    loose = with_network(None, score=0.5, overlap=0.91).faces(*told)
    assert [round(face.score, 2) for face in strict] == [0.95, 0.8]
    assert [round(face.score, 2) for face in loose] == [0.95, 0.9, 0.8]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 500), (16, 16)])
def test_tiny_and_narrow_pictures_are_searched_too(detector, height, width):
    for face in detector.detect(picture(height, width)):
        assert len(face.points) == 5
        assert math.isfinite(face.score)


# Mask


class FixedClassNetwork(torch.nn.Module):
    """Replaces ParseNet: predicts `classes` (512, 512) for any picture."""

    def __init__(self, classes):
        super().__init__()
        self.classes, self.seen = torch.as_tensor(classes), []

    def forward(self, x):
        self.seen.append(x)
        scores = torch.nn.functional.one_hot(self.classes, len(CLASSES)).permute(2, 0, 1)[None].float()
        return scores, x


def masker(classes, **options):
    made = ParsenetMasker.__new__(ParsenetMasker)
    made.options, made.device, made.network = ParsenetMask(**options), "cpu", FixedClassNetwork(classes)
    dropped = {"background", *made.options.drop}
    made.kept = torch.tensor([float(name not in dropped) for name in CLASSES])
    made.last = None
    return made


def ellipse():
    """Classes of a face: skin, hair around it, hat above, neck and cloth below."""
    y, x = np.mgrid[0:512, 0:512]
    classes = np.zeros((512, 512), np.int64)
    classes[(y > 430) & (abs(x - 256) < 200)] = CLASSES.index("cloth")
    classes[(y > 330) & (abs(x - 256) < 60)] = CLASSES.index("neck")
    classes[((x - 256) / 170) ** 2 + ((y - 240) / 210) ** 2 < 1] = CLASSES.index("hair")
    classes[((x - 256) / 120) ** 2 + ((y - 270) / 160) ** 2 < 1] = CLASSES.index("skin")
    classes[y < 70] = CLASSES.index("hat")
    return classes


def test_the_mask_is_that_of_facexlibs_restoration_helper():
    classes = ellipse()
    # Its table of classes, two blurs, ten zeroed pixels, as its program does them with OpenCV.
    table = np.array([0, *[255] * 13, 0, 255, 0, 0, 0], np.float64)
    theirs = table[classes]
    for _ in range(2):
        theirs = cv2.GaussianBlur(theirs, (101, 101), 11)
    inside = np.zeros_like(theirs)
    inside[10:-10, 10:-10] = 1
    mask = masker(classes)(picture(512, 512))
    assert mask.dtype == np.float32
    np.testing.assert_allclose(mask, theirs * inside / 255, atol=2e-6)


def test_the_network_input_is_red_green_blue_in_minus_one_to_one():
    made = masker(ellipse())
    made(Image(np.ones((3, 512, 512), np.float32) * np.array([1, 0, 0.5], np.float32)[:, None, None]))
    np.testing.assert_allclose(made.network.seen[0][0, :, 9, 9], [1, -1, 0], atol=1e-6)


@pytest.mark.parametrize("side", [64, 256, 1024])
def test_a_mask_has_the_size_of_its_face(side):
    small, whole = masker(ellipse())(picture(side, side)), masker(ellipse())(picture(512, 512))
    assert small.shape == (side, side)
    assert 0 <= small.min() < small.max() <= 1
    assert abs(small.mean() - whole.mean()) < 0.005
    assert not small[0].any()
    assert not small[:, -1].any()


def test_the_mask_of_the_last_face_is_cached():
    made, face = masker(ellipse()), picture(512, 512)
    assert np.array_equal(made(face), made(face))
    assert len(made.network.seen) == 1
    made(picture(512, 512, seed=1))
    made(face)
    assert len(made.network.seen) == 3


def test_dropped_classes_are_not_in_the_mask():
    face = picture(512, 512)
    default, bald, dressed = (masker(ellipse(), **more)(face) for more in ({}, {"drop": ["hair"]}, {"drop": []}))
    places = {"hair": (240, 111), "hat": (40, 256), "neck": (490, 256), "cloth": (480, 100), "skin": (270, 256)}

    def kept(mask):
        return {name for name, place in places.items() if mask[place] > 0.7}

    assert kept(default) == {"hair", "skin"}
    assert kept(bald) == {"hat", "neck", "cloth", "skin"}
    assert kept(dressed) == set(places)
    assert all(default[places[name]] < 0.1 for name in ("hat", "neck", "cloth"))


def test_feather_is_the_width_of_the_edge():
    step = torch.zeros(1, 1, 512, 512)
    step[..., 256:] = 1
    for sigma in (3.0, 11.0):
        edge = blur_mask(step, sigma)[0, 0, 256].numpy()
        # Two Gaussians in a row are one of sigma * sqrt(2).
        exact = [0.5 * (1 + math.erf((x - 255.5) / (2 * sigma))) for x in range(512)]
        np.testing.assert_allclose(edge, exact, atol=2e-3)
    sharp, soft = (masker(ellipse(), feather=f)(picture(512, 512)) for f in (2.0, 22.0))
    assert np.abs(np.diff(sharp)).max() > 4 * np.abs(np.diff(soft[10:-10, 10:-10])).max()


def test_the_border_of_the_set_width_is_zero():
    whole = np.full((512, 512), CLASSES.index("skin"))
    for border in (0, 10, 40):
        mask = masker(whole, border=border)(picture(512, 512))
        assert mask.sum() == pytest.approx((512 - 2 * border) ** 2, rel=1e-4)
