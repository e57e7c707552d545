"""The stage `faces`: chains on every face, shared batches, records, what is left alone, what is refused."""

import json
import sys

import numpy as np
import pytest
from conftest import EXACT
from photos import PHOTOS, At, noise

import odekit
from odekit import Chain
from odekit.core.image import Image, Metadata
from odekit.core.interfaces import UpsamplerSpec
from odekit.core.options import Options
from odekit.errors import ConfigError, InputError, OdekitWarning
from odekit.parts.faces.geometry import Frame
from odekit.parts.faces.masks import EllipseMask
from odekit.parts.faces.warp import crop_coordinates
from odekit.plugins.discovery import build

LEFT, RIGHT = Frame.from_centre((60.0, 70.0), 80.0, 0.1), Frame.from_centre((150.0, 70.0), 70.0)


class Lighter:
    """Adds 0.2 to every picture; refuses dark ones; counts what it was given at once."""

    batches: list[list[tuple[str, int]]] = []

    def __init__(self, options=None, tools=None):
        self.spec = UpsamplerSpec(scale=1.0)

    def upsample(self, images, rng):
        self.batches.append([(image.origin, image.face) for image in images])
        if any(image.pixels.mean() < 0.05 for image in images):
            raise InputError("too dark")
        return [image.with_pixels(np.clip(image.pixels + np.float32(0.2), 0, 1)) for image in images]


class Redder:
    def __init__(self, options=None, tools=None):
        self.spec = UpsamplerSpec(scale=1.0)

    def upsample(self, images, rng):
        tint = np.array([0.1, 0.0, -0.1], np.float32)[:, None, None]
        return [image.with_pixels(np.clip(image.pixels + tint, 0, 1)) for image in images]


class UpperLighter:
    """Adds 0.3 to the upper half, so that the crop's orientation shows in the photograph."""

    def __init__(self, options=None, tools=None):
        self.spec = UpsamplerSpec(scale=1.0)

    def upsample(self, images, rng):
        ramp = np.where(np.arange(images[0].height) < images[0].height / 2, 0.3, 0.0).astype(np.float32)
        return [image.with_pixels(np.clip(image.pixels + ramp[:, None], 0, 1)) for image in images]


class Stretch:
    def __init__(self, options=None, tools=None):
        self.spec = UpsamplerSpec(scale=1.0)

    def upsample(self, images, rng):
        return [image.with_pixels(image.pixels[:, ::2]) for image in images]


class Parts:
    name = "tests"

    @staticmethod
    @odekit.hookimpl
    def odekit_parts(catalog):
        catalog.detector("at", At, Options, "")
        catalog.upsampler("lighter", Lighter, Options, "")
        catalog.upsampler("redder", Redder, Options, "")
        catalog.upsampler("stretch", Stretch, Options, "")
        catalog.upsampler("upper-lighter", UpperLighter, Options, "")


@pytest.fixture
def parts(monkeypatch):
    import odekit.parts.builtin

    monkeypatch.setattr(At, "frames", [LEFT, RIGHT])
    monkeypatch.setattr(Lighter, "batches", [])
    return build([("odekit", odekit.parts.builtin), ("tests", Parts)])[0]


def chain(parts, each="lighter", **options):
    paste = {"match_colour": "none", "detail": 0.0} | options.pop("paste", {})
    faces = {"detect": "at", "each": [{"upsample": each}], "paste": paste, "tone": "free", **options}
    return Chain([{"faces": faces}], parts=parts)


def mask(frame, photo):
    return EllipseMask().at(*crop_coordinates(frame, (0, 0, photo.width, photo.height)), 0.08)


def test_every_face_goes_through_the_chain_and_nothing_else_changes(parts):
    photo = noise(140, 210)
    out = chain(parts).run([photo])[0].image
    both = np.maximum(mask(LEFT, photo), mask(RIGHT, photo))
    assert np.array_equal(out.pixels[:, both == 0], photo.pixels[:, both == 0])
    inside = both == 1
    change = (out.pixels - photo.pixels)[:, inside & (photo.pixels.max(0) < 0.75)]
    assert abs(change.mean() - 0.2) < 0.01


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_photograph_keeps_its_orientation_and_its_face_is_restored_upright(parts, turn):
    photo = odekit.read(PHOTOS / "astronaut.jpg")
    photo = Image(np.ascontiguousarray(photo.pixels[:, :256, 96:352]))
    turned = Image(np.ascontiguousarray(np.rot90(photo.pixels, turn // 90, axes=(1, 2))))
    results = [chain(parts, "upper-lighter", detect="builtin").run([p])[0] for p in (photo, turned)]
    changes = [r.image.pixels - p.pixels for r, p in zip(results, (photo, turned), strict=True)]
    back = np.rot90(changes[1], -turn // 90, axes=(1, 2))
    assert np.abs(changes[0]).max() > 0.2
    assert np.abs(back - changes[0]).mean() < 0.1 * np.abs(changes[0]).mean()
    faces = [r.record["stages"][0]["faces"] for r in results]
    assert [[face["turn"] for face in one] for one in faces] == [[0], [turn]]
    assert set(faces[1][0]["scores"]) == {"yunet", "aligner"}


def test_the_record_lists_what_the_detector_rejected(parts):
    photo = odekit.read(PHOTOS / "astronaut.jpg")
    made = chain(parts, detect={"use": "builtin", "smallest": 200})
    with pytest.warns(OdekitWarning, match="no face found"):
        record = made.run([photo])[0].record["stages"][0]
    assert record["faces"] == [] and "under detect.smallest 200" in record["rejected"][0]["rejected"]


def test_faces_of_all_photographs_share_batches_under_their_own_names(parts):
    photos = [noise(140, 210, seed) for seed in (1, 2, 3)]
    chain(parts).run(photos)
    assert Lighter.batches == [[(photo.origin, face) for photo in photos for face in (1, 2)]]


def test_a_photograph_comes_out_the_same_alone_and_in_company(parts):
    spec = {"detect": "at", "each": [{"restore": {"inverter": {"use": "ode", "steps": 4}, "enhancer": {"use": "langevin", "levels": [0], "iterations": 2}}}]}  # fmt: skip
    made = Chain([{"faces": spec}], priors={"face": {"use": "mixture", "side": 16}}, parts=parts)
    photos = [noise(140, 210, seed) for seed in (1, 2, 3)]
    together = made.run(photos, batch_size=4)
    for photo, result in zip(photos, together, strict=False):
        assert np.array_equal(made.run([photo], batch_size=4)[0].image.pixels, result.image.pixels)
        stage = result.record["stages"][0]
        assert stage["calls"] == sum(face["stages"][0]["calls"] for face in stage["faces"]) > 0
        assert stage["faces"][0]["stages"][0]["place"] == "0.each.0"


def test_the_record_says_where_each_face_is_and_why_one_is_left_out(parts):
    faces = chain(parts, select={"skip": [2]}).run([noise(140, 210)])[0].record["stages"][0]["faces"]
    assert [face["number"] for face in faces] == [1, 2]
    assert np.allclose(faces[0]["points"], LEFT.place(__import__("photos").TEMPLATES["ffhq-5"]), atol=0.01)
    assert faces[1]["left_out"] == "in select.skip" and "left_out" not in faces[0]
    json.dumps(faces)


def test_the_record_says_how_far_each_restored_face_is_from_its_original(parts):
    faces = chain(parts, select={"skip": [2]}).run([noise(140, 210)])[0].record["stages"][0]["faces"]
    assert 0 < faces[0]["face_distance"] < 2
    assert "face_distance" not in faces[1]


def test_blend_zero_gives_the_photograph_and_one_half_half_of_the_change(parts):
    photo = noise(140, 210)
    full, half, none = (chain(parts, paste={"blend": b}).run([photo])[0].image.pixels for b in (1.0, 0.5, 0.0))
    assert np.array_equal(none, photo.pixels)
    free = full < 1
    assert np.allclose((half - photo.pixels)[free], (full - photo.pixels)[free] / 2, atol=1e-5)


def test_the_ring_of_the_photograph_sets_the_colour(parts):
    photo = Image(np.full((3, 140, 210), 0.4, np.float32))
    out = chain(parts, paste={"match_colour": "lab-mean"}).run([photo])[0].image
    assert np.abs(out.pixels - 0.4).max() < 2e-3


def test_of_two_overlapping_faces_the_larger_lies_on_top_whatever_the_order(parts, monkeypatch):
    near, behind = Frame.from_centre((100.0, 70.0), 90.0), Frame.from_centre((130.0, 70.0), 60.0)
    outs = []
    for frames in ([near, behind], [behind, near]):
        monkeypatch.setattr(At, "frames", frames)
        outs.append(chain(parts, select={"overlap": 1.0}).run([noise(140, 210)])[0].image.pixels)
    assert np.array_equal(*outs)


def test_the_background_has_a_chain_of_its_own_and_sets_the_size(parts):
    photo = noise(140, 210)
    made = chain(parts, background=[{"upsample": {"use": "resize", "scale": 2}}])
    result = made.run([photo])[0]
    assert result.image.pixels.shape == (3, 280, 420)
    two = Frame(*(2 * v for v in (LEFT.a, LEFT.b, LEFT.x, LEFT.y)))
    inside = mask(two, result.image) == 1
    plain = odekit.Chain([{"upsample": {"use": "resize", "scale": 2}}]).run([photo])[0].image
    assert (result.image.pixels - plain.pixels)[:, inside].mean() > 0.1
    assert [s["place"] for s in result.record["stages"][0]["background"]] == ["0.background.0"]


def test_a_cleaned_background_lends_its_own_detail_to_the_faces(parts):
    """Of a noisy photograph the fine detail within the face is the cleaned one's, not the noise."""
    rng = np.random.default_rng(0)
    clean = Image(np.full((3, 140, 210), 0.5, np.float32))
    noisy = Image(np.clip(clean.pixels + rng.normal(0, 0.1, clean.pixels.shape), 0, 1).astype(np.float32))
    made = [
        chain(parts, each="redder", paste={"detail": 1.0}, align={"side": 32}, background=b)
        for b in (None, [{"denoise": {"noise": 0.1}}])
    ]
    raw, cleaned = (one.run([noisy])[0] for one in made)
    inside = mask(LEFT, clean) == 1

    def grain(image):
        return float(np.abs(np.diff(image.pixels, axis=2))[:, inside[:, 1:]].mean())

    assert grain(cleaned.image) < 0.5 * grain(raw.image)
    assert cleaned.record["stages"][0]["background"][0]["denoised"] is True
    again = chain(parts, background=[{"denoise": {"noise": 0.1}}], select={"skip": [1, 2]})
    with pytest.warns(OdekitWarning):
        assert not np.array_equal(again.run([noisy])[0].image.pixels, noisy.pixels)


def test_upscale_sets_the_size_without_a_background(parts):
    photo = Image(noise(140, 210).pixels, alpha=np.ones((140, 210), np.float32))
    out = chain(parts, paste={"upscale": 1.5}).run([photo])[0].image
    assert (out.height, out.width) == (210, 315) and out.alpha.shape == (210, 315)


def test_alpha_and_metadata_stay(parts):
    alpha = np.linspace(0, 1, 140 * 210, dtype=np.float32).reshape(140, 210)
    photo = Image(noise(140, 210).pixels, alpha, Metadata(bits=16, exif=b"Exif", icc=b"icc"))
    out = chain(parts).run([photo])[0].image
    assert np.array_equal(out.alpha, alpha) and out.meta == photo.meta


def test_a_photograph_without_a_face_stays_unchanged_and_is_reported(parts, monkeypatch):
    monkeypatch.setattr(At, "frames", [])
    photo = noise(40, 50)
    with pytest.warns(OdekitWarning, match="no face found"):
        result = chain(parts).run([photo])[0]
    assert np.array_equal(result.image.pixels, photo.pixels)
    assert result.record["stages"][0]["message"] == "no face found"
    failed = chain(parts, require_face=True).run([photo])[0]
    assert "no face found" in str(failed.error)


def test_a_face_that_fails_fails_its_photograph_alone_or_is_left(parts):
    dark, fine = Image(np.zeros((3, 140, 210), np.float32)), noise(140, 210)
    bad, good = chain(parts).run([dark, fine])
    assert "face 1: too dark" in str(bad.error) and "faces.failed=keep" in str(bad.error)
    assert good.error is None
    with pytest.warns(OdekitWarning):
        kept = chain(parts, failed="keep").run([dark])[0]
    assert np.array_equal(kept.image.pixels, dark.pixels)
    assert kept.record["stages"][0]["faces"][0]["failed"] == "too dark"


def test_align_none_takes_the_picture_as_the_face(parts):
    square = noise(64, 64)
    out = chain(parts, align="none").run([square, noise(64, 90)])
    assert np.allclose(out[0].image.pixels, np.clip(square.pixels + 0.2, 0, 1), atol=1e-6)
    assert "not an aligned square face" in str(out[1].error)


def test_each_must_give_squares(parts):
    with pytest.raises(ConfigError, match="must stay square"):
        chain(parts, each="stretch").run([noise(140, 210)])


def test_a_grey_photograph_stays_grey(parts):
    grey = np.repeat(noise(140, 210).pixels[:1], 3, axis=0)
    photo = Image(grey, meta=Metadata(grey=True))
    out = chain(parts, each="redder", tone="keep", paste={"match_colour": "lab-mean"}).run([photo])[0].image
    free = chain(parts, each="redder", tone="free").run([photo])[0].image
    assert np.abs(free.pixels[0] - free.pixels[2]).max() > 0.05
    assert np.array_equal(out.pixels[0], out.pixels[1]) and np.array_equal(out.pixels[0], out.pixels[2])


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (8, 8)])
def test_tiny_and_long_pictures(parts, monkeypatch, shape):
    monkeypatch.setattr(At, "frames", [Frame.from_centre((0.5, 0.5), 30.0)])
    photo = noise(*shape)
    assert chain(parts, select={"min_side": 0.0}).run([photo])[0].image.pixels.shape == (3, *shape)


def test_a_face_cut_by_the_border(parts, monkeypatch):
    monkeypatch.setattr(At, "frames", [Frame.from_centre((5.0, 70.0), 80.0)])
    photo = noise(140, 210)
    out = chain(parts).run([photo])[0].image.pixels
    assert (out - photo.pixels)[:, 60:80, :10].mean() > 0.1


def test_hundreds_of_faces(parts, monkeypatch):
    frames = [Frame.from_centre((20.0 + 40 * x, 20.0 + 40 * y), 38.0) for y in range(15) for x in range(15)]
    monkeypatch.setattr(At, "frames", frames)
    record = chain(parts, select={"min_side": 0.0}, align={"side": 32}).run([noise(620, 620)])[0].record
    assert [face["number"] for face in record["stages"][0]["faces"]] == list(range(1, 226))


NESTED = "chain:\n  - faces:\n      each:\n        - faces: {each: [restore]}\n"


@pytest.mark.parametrize(
    "text,words",
    [
        (NESTED, "a face stage inside a face stage"),
        ("chain: [{faces: {each: [restore, save]}}]", "'save' belongs at the end of the chain"),
        ("chain: [faces]", "the option 'each' of stage 'faces' is missing"),
        ("chain: [{faces: {each: [restore], paste: {fether: 1.0}}}]", "did you mean 'feather'"),
        ("chain: [{faces: {each: [restore], select: {boxes: [[3, 0, 1, 1]]}}}]", "x0 < x1"),
        ("chain: [{faces: {each: [restore], select: {which: index}}}]", "belong together"),
        ("chain: [{faces: {each: [{restore: {prior: other}}]}}]", "no prior is named 'other'"),
        (
            "chain: [{faces: {each: [{restore: {enhancer: {use: langevin, levels: [4000]}}}]}}]",
            "chain[0].faces.each[0].restore",
        ),
        ("chain: [{faces: {each: [{upsample: elephant}]}}]", "unknown upsampler 'elephant'"),
    ],
)
def test_wrong_chains_are_refused_at_check(cli, tmp_path, text, words):
    path = tmp_path / "wrong.yaml"
    path.write_text("odekit: 1\n" + text)
    done = cli("check", path)
    assert done.code == 2 and words in done.err and done.err.count("\n") == 1


def test_explain_counts_calls_per_face(cli, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(EXACT.replace("  - restore:\n      inverter", "  - faces:\n      each:\n        - restore:\n            inverter").replace("      enhancer", "            enhancer"))  # fmt: skip
    explained = cli("explain", path)
    assert explained.code == 0 and "28 network calls per detected face" in explained.out
    plan = json.loads(cli("explain", path, "--json").out)
    assert [(s["place"], s["per"], s["calls"]) for s in plan["stages"]] == [("0", "image", 0), ("0.each.0", "face", 28)]
    assert plan["calls_per_image"] is None


def test_photo_is_a_shipped_chain_without_torch():
    import subprocess

    code = "import sys; from odekit import Chain; p = Chain.load('photo').plan(); print(p.calls_per_face, 'torch' in sys.modules, 'cv2' in sys.modules)"  # fmt: skip
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["None", "False", "False"]  # how many calls a face takes is decided when it is seen
