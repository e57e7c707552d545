"""The conformance kit accepts what follows the rules of its kind, and names the rule that is broken."""

import numpy as np
import pytest
from conftest import ROOT

import odekit
from odekit import testing
from odekit.core.interfaces import Face
from odekit.parts.installed import catalog
from odekit.parts.priors.exact import GaussianPrior
from odekit.testing import StandaloneTools, catalog_with
from odekit.testing.registered import check_part, find_part

TOOLS = StandaloneTools()
LIGHT = [
    f"{entry.kind}:{entry.name}"
    for entry in catalog().all()
    if (entry.kind, entry.dist) in {("mask", "odekit"), ("corruption", "odekit")}
    or (entry.kind == "metric" and entry.name in ("psnr", "ssim", "ciede2000"))
    or (entry.kind == "prior" and entry.name in ("gaussian", "mixture"))
    or (entry.kind == "stage" and entry.name in ("denoise", "mend"))
]


@pytest.mark.parametrize("name", LIGHT)
def test_the_built_in_parts_conform(name):
    assert check_part(find_part(name))


def test_the_built_in_network_and_detector_conform():
    figures = testing.check_prior(lambda: TOOLS.make(find_part("prior:face64")), batch=2)
    assert len(figures) == 3 and min(figures.values()) > 0.1


# What is wrong is named


class Mask:
    def __init__(self, change=lambda mask: mask):
        self.change = change

    def __call__(self, face):
        mask = np.zeros((face.height, face.width), np.float32)
        mask[8:-8, 8:-8] = 1
        return self.change(mask)


class Prior(GaussianPrior):
    def __init__(self, change):
        super().__init__()
        self.change = change

    def eps(self, x, t):
        return self.change(super().eps(x, t), x)


class Metric:
    lower_is_better = True

    def __init__(self, value):
        self.value = value

    def measure(self, restored, reference):
        return self.value(restored.pixels, reference.pixels)


class Corruption:
    def __init__(self, change):
        self.change = change

    def corrupt(self, image, rng):
        return self.change(image, rng)


class Stage:
    def __init__(self, change):
        self.change = change

    def run(self, batch, context):
        return self.change(list(batch), context)


class Detector:
    def __init__(self, *faces):
        self.faces = faces

    def detect(self, image):
        return [] if image.pixels.std() < 1e-3 else list(self.faces)


def modify(images):
    images[0].pixels[:] = 0
    return images


def draw(values):
    return values + np.random.rand(*values.shape).astype(np.float32)  # noqa: NPY002


def brighter(image):
    return image.with_pixels(np.minimum(image.pixels + np.float32(0.1), 1))


FACE = Face((10, 10, 40, 40), (), 0.9)
BROKEN = [
    ("mask", Mask(lambda m: m.astype(float)), "a mask is a float32 array"),
    ("mask", Mask(lambda m: m[:-1]), r"has the shape \(63, 64\)"),
    ("mask", Mask(lambda m: m + 1), r"they are in \[0, 1\]"),
    ("mask", Mask(lambda m: m * 0 + 1), "at the border"),
    ("mask", Mask(draw), "numpy's global generator was used"),
    ("prior", Prior(lambda eps, x: eps.float()), "eps is torch.float32"),
    ("prior", Prior(lambda eps, x: eps * float("nan")), "eps is not finite"),
    ("prior", Prior(lambda eps, x: eps + x.mean(0)), "depends on the other rows"),
    ("prior", Prior(lambda eps, x: x.mul_(2) * 0 + eps), "eps changed its input"),
    ("prior", object(), "object has no eps, shape, schedule"),
    ("metric", Metric(lambda a, b: float(-np.abs(a - b).mean())), "lower_is_better is True"),
    ("metric", Metric(lambda a, b: np.abs(a - b).mean()), "a value is a float, not float32"),
    ("metric", Metric(lambda a, b: float(draw(a).mean())), "global generator"),
    ("corruption", Corruption(lambda image, rng: image), "the image is unchanged"),
    ("corruption", Corruption(lambda image, rng: image.with_pixels(draw(image.pixels))), "global generator"),
    ("corruption", Corruption(lambda image, rng: image.with_pixels(image.pixels[:, 1:])), "became"),
    ("corruption", Corruption(lambda image, rng: image.with_pixels(image.pixels + np.float32(0.5))), r"outside \[0, 1\]"),
    ("stage", Stage(lambda batch, context: batch[:-1]), "3 images have 2 results"),
    ("stage", Stage(lambda batch, context: [image.pixels for image in batch]), "not an Image"),
    ("stage", Stage(lambda batch, context: modify(batch)), "the input was modified"),
    ("stage", Stage(lambda batch, context: [batch[0].with_pixels(batch[-1].pixels), *batch[1:]]), "depends on the other images"),
    ("stage", Stage(lambda batch, context: [odekit.Image(brighter(image).pixels) for image in batch]), "lost its origin"),
    ("detector", Detector(Face((40, 10, 10, 40), (), 0.9)), "is not x0, y0, x1, y1"),
    ("detector", Detector(Face((10, 10, 40, 40), (), 0.5), FACE), "the best face is to be first"),
    ("detector", Detector(Face((10, 10, 40, 40), ((1, 1),), 0.5)), "1 points; five"),
    ("detector", Detector(), "no face was found"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "part", "said"), BROKEN, ids=[f"{kind}-{said[:24]}" for kind, _, said in BROKEN])
def test_the_first_broken_rule_is_named(kind, part, said):
    more = {"photo": some_photo()} if kind == "detector" else {}
    with pytest.raises(AssertionError, match=said):
        getattr(testing, f"check_{kind}")(lambda: part, **more)


def some_photo():
    return odekit.as_image(np.random.Generator(np.random.Philox(1)).integers(0, 256, (60, 80, 3), dtype=np.uint8))


def test_what_follows_the_rules_passes():
    assert testing.check_mask(Mask)["share of the face"] == pytest.approx(0.5625)
    assert (
        testing.check_stage(lambda: Stage(lambda batch, context: [brighter(image) for image in batch]))[
            "largest change"
        ]
        > 0.09
    )
    assert testing.check_detector(lambda: Detector(FACE), some_photo()) == {"faces": 1.0, "best score": 0.9}
    assert testing.check_corruption(lambda: Corruption(lambda image, rng: brighter(image)))["change, RMS"] > 0.05


# A plugin as a whole


def plugin(tmp_path, monkeypatch, registrations, chain="odekit: 1\nchain: [restore]\n"):
    (tmp_path / "chain.yaml").write_text(chain)
    (tmp_path / "some_parts.py").write_text(
        "from odekit.plugins import Options, hookimpl\n\nclass Own(Options):\n    part = 'own'\n\n"
        "class Part:\n    def __init__(self, options, tools=None):\n        pass\n\n"
        "@hookimpl\ndef odekit_parts(catalog):\n" + "".join(f"    {line}\n" for line in registrations)
    )
    monkeypatch.syspath_prepend(tmp_path)
    import importlib

    importlib.invalidate_caches()
    import sys

    sys.modules.pop("some_parts", None)
    return catalog_with("odekit-some", importlib.import_module("some_parts"))


@pytest.mark.parametrize(
    ("registrations", "said"),
    [
        (["catalog.solver('own', 'some_parts:Absent', Own)"], "solver 'own' of odekit-some cannot be loaded from 'some_parts:Absent'"),
        (["catalog.solver('own', 'absent_parts:Part', Own)"], "No module named 'absent_parts'"),
        (["catalog.solver('other', 'some_parts:Part', Own)"], "Own.part is 'own', and the solver 'other' of odekit-some has another name"),
        (["catalog.chain('some', __file__.replace('some_parts.py', 'chain.yaml'))"], "the chain 'some' of odekit-some: .*unknown solver 'absent'"),
        (["pass"], "odekit-some registers nothing"),
    ],
)  # fmt: skip
def test_names_that_do_not_import_and_chains_that_do_not_exist_fail_in_the_plugins_own_tests(
    tmp_path, monkeypatch, registrations, said
):
    chain = "odekit: 1\nchain: [{restore: {inverter: {use: ode, solver: absent}}}]\n"
    parts = plugin(tmp_path, monkeypatch, registrations, chain)
    with pytest.raises(AssertionError, match=said):
        testing.check_plugin("odekit-some", parts)


def test_a_plugin_that_is_right_is_counted(tmp_path, monkeypatch):
    lines = [
        "catalog.upsampler('own', 'some_parts:Part', Own)",
        "catalog.chain('some', __file__.replace('some_parts.py', 'chain.yaml'))",
    ]
    assert testing.check_plugin("odekit-some", plugin(tmp_path, monkeypatch, lines)) == {
        "parts": 1,
        "chains": 1,
        "weights": 0,
        "commands": 0,
    }
    with pytest.raises(AssertionError, match="odekit-some is not installed"):
        testing.check_plugin("odekit-some")


@pytest.mark.parametrize("dist", sorted({entry.dist for entry in catalog().all()} - {"odekit"}))
def test_our_plugins_are_right(dist):
    assert testing.check_plugin(dist)["parts"] >= 1


def test_the_pages_name_every_check_of_the_kit():
    page = (ROOT / "docs" / "plugins.md").read_text()
    for name in testing.__all__:
        if name.startswith("check_") and name not in ("check_displacement", "check_row_independence"):
            assert f"`{name}`" in page
