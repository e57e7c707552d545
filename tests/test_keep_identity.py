"""The stage `keep-identity` and `--max-identity-shift`: results stay within a face distance of their originals."""

import json
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
from conftest import ROOT

from odekit import Chain
from odekit.core.image import Image
from odekit.errors import ConfigError
from odekit.images import io
from odekit.parts.stages.keep_identity import SHARES, KeepIdentityStage
from odekit.parts.stages.options import KeepIdentity
from odekit.runs.findings import findings_of
from odekit.runs.outcomes import TOO_DIFFERENT
from odekit.testing import StandaloneTools

FACES = sorted((ROOT / "examples" / "clean").glob("*.png"))


@pytest.fixture(scope="module")
def stage():
    return lambda limit: KeepIdentityStage(KeepIdentity(max_shift=limit), StandaloneTools())


@pytest.fixture(scope="module")
def two_people():
    """A face of one person, and one of another as its result."""
    return tuple(io.read(path) for path in FACES[:2])


def ran(stage, original, result):
    notes = {}
    context = SimpleNamespace(originals=[original], note=lambda i, **facts: notes.update(facts))
    (out,) = stage.run([result], context)
    return out, notes["identity"]


def test_a_result_within_the_limit_is_not_touched(stage, two_people):
    _, other = two_people
    out, note = ran(stage(0.45), other, other)
    assert out is other and note == {"moved": 0.0, "share": 1.0}


def test_a_result_beyond_it_is_mixed_with_the_original_as_little_as_needed(stage, two_people):
    original, other = two_people
    moved = stage(2).metric.between(original, other)
    assert moved > 0.45
    out, note = ran(stage(0.45), original, other)
    share = note["share"]
    assert share in SHARES and note["moved"] == moved and note["left"] <= 0.45
    assert note["left"] == stage(2).metric.between(original, out)
    expected = original.pixels + np.float32(share) * (other.pixels - original.pixels)
    assert np.array_equal(out.pixels, expected)
    larger = [one for one in SHARES if one > share]
    for one in larger:
        mixture = original.with_pixels(original.pixels + np.float32(one) * (other.pixels - original.pixels))
        assert stage(2).metric.between(original, mixture) > 0.45


def test_where_no_mixture_is_near_enough_the_original_stays_bit_for_bit(stage, two_people):
    original, other = two_people
    out, note = ran(stage(0), original, other)
    assert out is original and note["share"] == 0.0


def test_a_larger_result_is_mixed_with_the_enlarged_original(stage, two_people):
    original, other = two_people
    half = original.with_pixels(original.pixels.reshape(3, 32, 2, 32, 2).mean((2, 4)))
    out, note = ran(stage(0), half, other)
    assert out.pixels.shape == other.pixels.shape and note["share"] == 0.0
    assert np.abs(out.pixels - original.pixels).mean() < 0.05


def test_a_face_that_the_descriptor_says_nothing_about_passes(stage):
    original, other = (Image(np.full((3, 16, 16), value, np.float32)) for value in (0.2, 0.8))
    out, note = ran(stage(0), original, other)
    assert out is other and note == {"moved": None, "share": 1.0}


@pytest.mark.parametrize(("chain", "path"), [("odedit-plus", None), ("photo", "faces"), ("old-photo", "faces")])
def test_the_option_puts_the_stage_behind_what_treats_faces(chain, path):
    tree = Chain.load(chain).adjusted(max_identity_shift=0.3).tree()
    stages = tree["chain"] if path is None else next(s["faces"]["each"] for s in tree["chain"] if "faces" in s)
    names = [next(iter(stage)) for stage in stages if next(iter(stage)) != "save"]
    assert names[-1] == "keep-identity" and stages[len(names) - 1]["keep-identity"]["max_shift"] == 0.3
    again = Chain.load(chain).adjusted(max_identity_shift=0.2).adjusted(max_identity_shift=0.3)
    assert again.tree() == tree


def test_a_chain_without_faces_and_a_limit_out_of_range_are_refused(tmp_path):
    (tmp_path / "c.yaml").write_text("odekit: 1\nname: big\nchain:\n  - upsample: {use: resize, scale: 2}\n")
    with pytest.raises(ConfigError, match="'big' treats no faces"):
        Chain.load(tmp_path / "c.yaml").adjusted(max_identity_shift=0.3)
    for limit in (-0.1, 2.5, float("nan")):
        with pytest.raises(ConfigError, match="choose a number from 0 to 2"):
            Chain.load("odedit-plus").adjusted(max_identity_shift=limit)


def test_a_run_says_which_faces_changed_less(cli, exact, tmp_path):
    """With the limit 0 the face stays as it was, bit for bit."""
    exact.write_text(exact.read_text().replace("side: 8", "side: 32"))
    PIL.Image.open(FACES[0]).convert("RGB").resize((32, 32)).save(tmp_path / "a.png")
    done = cli("run", exact, tmp_path / "a.png", "-o", tmp_path / "out", "--max-identity-shift", 0)
    assert done.code == 0, done.err
    record = json.loads((tmp_path / "out" / "a.png.json").read_text())
    assert record["stages"][-1]["stage"] == "keep-identity" and record["stages"][-1]["identity"]["share"] == 0.0
    before, after = (np.asarray(PIL.Image.open(path)) for path in (tmp_path / "a.png", tmp_path / "out" / "a.png"))
    assert np.array_equal(before, after)
    changed = cli("run", exact, tmp_path / "a.png", "-o", tmp_path / "out", "--max-identity-shift", 1, "--resume")
    assert changed.code == 2 and "max_shift" in changed.err


def test_findings_name_faces_that_were_left_or_changed_less():
    def face(number, share):
        stage = {"stage": "keep-identity", "identity": {"share": share}}
        return {"number": number, "stages": [{"stage": "restore"}, stage]}

    stages = [{"stage": "faces", "faces": [face(1, 1.0), face(2, 0.5), face(3, 0.0)]}]
    text = findings_of({"stages": stages}).text
    assert text.startswith(f"3 faces, 2 restored, 1 left ({TOO_DIFFERENT})")
    assert "1 face changed less, to keep the face distance" in text


def test_the_descriptor_is_named_with_the_weights_of_the_chain():
    plan = Chain.load("odedit-plus").adjusted(max_identity_shift=0.3).plan()
    assert any("keep-identity" in stage for stage in map(str, plan.stages))
