"""An inverter that runs before the other, hidden parts, and masks: what the stage `restore` makes of them. Exact priors."""

import json

import numpy as np
import PIL.Image
import pytest
from aligned_faces import sharp_face

import odekit
from odekit import Chain, Image
from odekit.core.image import RELIABILITY
from odekit.errors import ConfigError
from odekit.parts.priors.exact import example_mixture
from odekit.parts.repair.burnt_out import burnt_share
from odekit.parts.repair.occlusion import Area, accepted, candidate_areas, constant_saturated, ellipse
from odekit.runs.findings import findings_of

SIDE = 16
MIXTURE = example_mixture((3, SIDE, SIDE))
RUN = {"device": "cpu", "precision": "float32", "batch_size": 2}
FIRST = {"use": "blind", "steps": 8}


def generator(seed=0):
    return np.random.Generator(np.random.Philox(seed))


def clean(seed, count=1):
    states = MIXTURE.sample(count, generator(seed))
    return [Image(((state.clamp(-1, 1) + 1) / 2).float().numpy()) for state in states]


def noisy(image, std=0.2, seed=5):
    noise = std * generator(seed).standard_normal(image.pixels.shape)
    return image.with_pixels(np.clip(image.pixels + noise, 0, 1).astype(np.float32))


def chain(**options):
    stage = {"aligned": "trust", "inverter": {"use": "ode", "steps": 4}, "enhancer": "none", **options}
    return Chain([{"restore": stage}], priors={"face": {"use": "mixture", "side": SIDE}})


def run(images, **options):
    return chain(**options).run(images, **RUN)


# An inverter that runs first


def test_the_second_edit_continues_from_the_result_of_the_first():
    image = noisy(clean(1)[0])
    alone = run([image], inverter=FIRST)[0]
    exact = {"use": "ode", "solver": "reversible-heun", "steps": 4}
    both = run([image], first=FIRST, inverter=exact)[0]
    stage = both.record["stages"][0]
    assert stage["blind"]["noise"] == pytest.approx(0.2, rel=0.3)
    assert stage["calls"] == alone.record["stages"][0]["calls"] + chain(inverter=exact).plan().calls
    assert np.abs(both.image.pixels - image.pixels).mean() > 0.1  # a round trip of the noisy picture would return it
    truth = clean(1)[0].pixels
    assert np.abs(both.image.pixels - truth).mean() < 0.3 * np.abs(image.pixels - truth).mean()


def test_edits_of_one_stage_draw_independent_noise():
    """`blind` twice: were the noise the same, the second would repeat the first's draws."""
    image = noisy(clean(1)[0])
    once = run([image], inverter=FIRST | {"tolerance": 0})[0].image.pixels
    other = run([image], first=FIRST | {"tolerance": 0}, inverter=FIRST | {"tolerance": 0})[0]
    assert not np.array_equal(once, other.image.pixels)
    assert other.record["stages"][0]["calls"] > 10


def test_updates_at_a_given_strength_alone_cost_nothing_until_one_is_given():
    auto = Chain.load("odedit-auto")
    assert auto.plan().call_span("image")[0] == 2
    assert "no updates" in auto.plan().stages[0].what
    given = auto.adjusted("light")
    assert given.plan().call_span("image")[0] > 24
    none = auto.adjusted("none")
    assert none.plan().calls == 0
    stage = none.tree()["chain"][0]["restore"]
    assert stage["first"] is None and stage["occlusions"] == "keep"
    assert auto.adjusted("auto") == auto


def test_a_face_of_strength_none_comes_back_and_the_record_says_who_chose_that():
    face = clean(2)[0]
    meter = {"use": "langevin", "iterations": "auto", "strength": "none"}
    inverter = {"use": "ode", "solver": "dpmpp-2m", "steps": 11, "top": 0.354}
    stage = {"restore": {"aligned": "trust", "inverter": inverter, "enhancer": meter}}
    (done,) = Chain([stage]).run([Image(np.repeat(np.repeat(face.pixels, 4, 1), 4, 2))], **RUN)
    assert done.record["stages"][0]["strength"] == [{"strength": "none", "given": True}]
    assert done.record["stages"][0]["calls"] == 0


def test_the_result_does_not_depend_on_the_others_with_a_first_inverter():
    images = [noisy(image, seed=i) for i, image in enumerate(clean(3, 3))]
    together = run(images, first=FIRST)
    for image, one in zip(images, together, strict=True):
        assert np.array_equal(run([image], first=FIRST)[0].image.pixels, one.image.pixels)


# Areas that hide a part of the face


def with_stroke(pixels, value=1.0):
    """A stroke over the middle of a face: rows 3/8 to 5/8, columns 1/4 to 3/4."""
    out, n = pixels.copy(), pixels.shape[1]
    out[:, 3 * n // 8 : 5 * n // 8, n // 4 : 3 * n // 4] = value
    return out


def textured(side, seed=0):
    return (0.3 + 0.3 * generator(seed).random((3, side, side))).astype(np.float32)


def test_a_white_stroke_is_found_with_its_edges():
    (area,) = candidate_areas(Image(with_stroke(textured(256))), 64)
    covered = with_stroke(np.zeros((3, 64, 64), np.float32))[0] > 0
    assert area.hidden[covered].all()
    assert area.hidden.sum() < 1.5 * covered.sum()
    assert (area.face & ~(covered & ellipse(64, 64))).sum() == 0
    (large,) = candidate_areas(Image(with_stroke(textured(512))), 64)
    assert large.hidden[covered].all()


@pytest.mark.parametrize(
    ("what", "pixels"),
    [
        ("not saturated", with_stroke(textured(64), 0.8)),
        ("black and inside, as spectacles", with_stroke(textured(64), 0.0)),
        (
            "not constant",
            np.clip(with_stroke(textured(64)) - 0.03 * generator(1).random((3, 64, 64)), 0, 1).astype("f"),
        ),
        ("small", np.where(np.arange(64) % 9 == 0, 1, textured(64)).astype("f")),
        ("beside the face", np.where(np.arange(64) < 12, 1, textured(64)).astype("f")),
    ],
)
def test_what_is_no_candidate(what, pixels):
    assert candidate_areas(Image(pixels), 64) == [], what


def lit(face, light):
    """A face under so many times its light, as a camera records it."""
    return Image.from_uint8(Image(np.clip(light * face.pixels, 0, 1)).to_uint8())


@pytest.mark.parametrize("name", ["portrait", "astronaut"])
@pytest.mark.parametrize("light", [1.5, 1.8, 2.2, 3.0])
def test_burnt_out_skin_is_no_candidate(name, light):
    """Too much light makes white areas without a value of their own, too; but it falls off around them."""
    face = lit(sharp_face(256, name), light)
    assert candidate_areas(face, 64) == []
    corner = sharp_face(256, name).pixels.copy()
    corner[:, 120:, 120:] = 1
    assert len(candidate_areas(Image(corner), 64)) == 1, "torn off"


def test_faces_under_too_much_light_are_not_drawn_anew():
    faces = [Image(lit(sharp_face(256, "astronaut"), light).pixels, native=187) for light in (1.5, 2.2)]
    for face, result in zip(faces, Chain.load("odedit-plus").run(faces, **RUN), strict=True):
        assert all("occlusions" not in stage for stage in result.record["stages"])
        assert np.array_equal(result.image.pixels, face.pixels)
        assert result.record["stages"][1]["blind"]["burnt_out"] > 0.08
        assert "burnt out" in findings_of({"stages": result.record["stages"], "changed": False}).text


def test_hair_of_a_dark_picture_is_no_torn_corner():
    """Its edge before a bright sky is as sharp as that of a tear; but a dark picture is black elsewhere, too."""
    torn = sharp_face(256).pixels.copy()
    torn[:, 60:, 150:] = 0
    assert len(candidate_areas(Image(torn), 64)) == 1
    dark = np.clip(torn**3 - 0.06, 0, 1).astype(np.float32)
    dark[:, 55:, 140:150] = 0.7  # the sky
    assert candidate_areas(Image(dark), 64) == []


def test_noise_masks_and_paint_burn_nothing_out():
    """What `blind` is for: single pixels, areas of one value, and pure colours."""
    face = sharp_face(64)
    salt = np.where(generator(1).random((3, 64, 64)) < 0.2, 1, face.pixels).astype(np.float32)
    yellow = np.array([1, 1, 0], np.float32)[:, None, None]
    masks = [np.where(with_stroke(np.zeros((3, 64, 64))) > 0, colour, face.pixels) for colour in (1.0, yellow)]
    own = burnt_share(face.pixels)
    assert own < 0.02 and all(burnt_share(pixels.astype(np.float32)) <= own + 0.01 for pixels in (salt, *masks))
    assert burnt_share(lit(face, 1.8).pixels) > 0.1


def test_a_black_corner_and_a_red_stroke_are_candidates():
    corner = textured(64)
    corner[:, 30:, 30:] = 0
    assert len(candidate_areas(Image(corner), 64)) == 1
    red = np.array([1.0, 0.0, 0.0], np.float32)[:, None, None]
    assert (
        len(candidate_areas(Image(np.where(with_stroke(np.zeros((3, 64, 64), "f")) > 0, red, textured(64))), 64)) == 1
    )


def test_constant_and_saturated_is_told_by_value_and_neighbours():
    pixels = np.full((3, 8, 8), 0.5, np.float32)
    pixels[:, 2:7, 2:7] = 1.0
    assert constant_saturated(pixels).sum() == 9


@pytest.mark.parametrize(("drawn", "hides"), [(0.4, True), (0.75, True), (0.88, False), (1.0, False)])
def test_an_area_is_accepted_where_the_face_that_is_drawn_is_far_from_it(drawn, hides):
    """White over skin is rubbish; white where the face is white (a highlight) is the face."""
    inside = np.ones((4, 4), bool)
    observed = np.ones((3, 4, 4), np.float32)
    assert accepted(Area(inside, inside), observed, np.full((3, 4, 4), drawn, np.float32)) is hides


@pytest.fixture(scope="module")
def hidden():
    """Faces of the mixture, enlarged, with a white stroke; and what they become."""
    faces = clean(4, 4)
    pictures = [Image(with_stroke(np.kron(f.pixels, np.ones((1, 4, 4))).astype(np.float32))) for f in faces]
    return faces, pictures, run(pictures, inverter=FIRST | {"tolerance": 9}, occlusions="undo")


def test_the_face_is_drawn_anew_behind_a_stroke(hidden):
    faces, _, results = hidden
    covered = with_stroke(np.zeros((3, SIDE, SIDE), np.float32)) > 0
    for face, result in zip(faces, results, strict=True):
        assert 0.1 < result.record["stages"][0]["occlusions"] < 0.5
        assert np.abs(result.image.pixels - face.pixels)[covered].mean() < 0.1
        outside = np.broadcast_to(result.image.extra[RELIABILITY] == 1, covered.shape)
        assert np.abs(result.image.pixels - face.pixels)[outside].max() < 1e-6  # means of 4 x 4 equal values
        assert (result.image.extra[RELIABILITY][covered[0]] == 0).all()


def test_the_line_says_so_and_not_that_the_face_is_good_enough(hidden):

    for result in hidden[2]:
        line = findings_of(result.record | {"changed": True}).text
        assert "drawn anew" in line and "good enough" not in line


def test_an_area_that_the_face_explains_is_left_and_spoken_of():
    """The prior's own face is white there."""
    from odekit.parts.stages.holes import HoleFilling

    class Drawn:
        packs, images = True, []

        def run(self, images, part, context, keep):
            self.images += [(dict(images), keep)]
            return dict(images)

    class Context:
        notes = {}

        def note(self, i, **facts):
            self.notes[i] = facts

    from odekit.parts.stages.face_edit import EditPart

    image = Image(with_stroke(textured(64)))
    areas = candidate_areas(image, 64)
    context = Context()
    out = HoleFilling(Drawn()).filled({0: image}, {}, {0: areas}, EditPart(1, 0, 0, 0, 1), context)
    assert out[0] is image and context.notes == {0: {"areas_left": 1}}
    entry = {"stage": "restore", "size": [64, 64], "blind": {"untouched": True}, "areas_left": 1}
    assert "good enough" not in findings_of({"stages": [entry], "changed": False}).text
    assert "one-colour area left" in findings_of({"stages": [entry], "changed": False}).text


def test_only_the_areas_that_hide_something_are_drawn():
    from odekit.parts.stages.face_edit import EditPart
    from odekit.parts.stages.holes import HoleFilling

    pixels = textured(64)
    pixels[:, 20:30, 20:44] = 1
    pixels[:, 40:50, 20:44] = 1
    areas = candidate_areas(Image(pixels), 64)
    assert len(areas) == 2
    calls = []

    class Drawn:
        packs = True

        def run(self, images, part, context, keep):
            calls.append({i: mask.copy() for i, mask in keep.items()})
            face = images[0].pixels.copy()
            face[:, :32] = np.where(face[:, :32] == 1, np.float32(0.4), face[:, :32])
            return {0: images[0].with_pixels(face)}

    class Context:
        def note(self, i, **facts):
            pass

    out = HoleFilling(Drawn()).filled({0: Image(pixels)}, {}, {0: areas}, EditPart(1, 0, 0, 0, 1), Context())
    assert len(calls) == 1
    assert np.array_equal(out[0].pixels[:, 32:], pixels[:, 32:])
    assert (out[0].extra[RELIABILITY][40:50] == 1).all() and (out[0].extra[RELIABILITY][22:28, 22:42] == 0).all()


def test_hidden_parts_need_an_inverter_that_takes_masks():
    with pytest.raises(ConfigError, match="set first or inverter to blind"):
        chain(occlusions="undo").plan()


# Masks


def save_mask(path, hole, side):
    PIL.Image.fromarray(np.where(hole, 0, 255).astype(np.uint8)).resize((side, side), 0).save(path)


def test_a_folder_of_masks_has_one_for_each_picture_at_any_size(tmp_path):
    faces, hole = clean(6, 2), np.zeros((SIDE, SIDE), bool)
    hole[4:10, 4:10] = True
    (tmp_path / "in").mkdir()
    (tmp_path / "masks").mkdir()
    for name, face in zip("ab", faces, strict=True):
        odekit.write(
            face.with_pixels(np.where(hole & (name == "a"), np.float32(1), face.pixels)),
            tmp_path / "in" / f"{name}.png",
        )
    save_mask(tmp_path / "masks" / "a.png", hole, 80)
    pictures = [odekit.read(tmp_path / "in" / f"{name}.png") for name in "ab"]
    first, second = run(pictures, first=FIRST | {"tolerance": 9}, mask=str(tmp_path / "masks"))
    inside = np.broadcast_to(hole, (3, SIDE, SIDE))
    assert np.array_equal(first.image.pixels[~inside], pictures[0].pixels[~inside])
    assert np.abs(first.image.pixels - faces[0].pixels)[inside].mean() < 0.1
    assert np.array_equal(first.image.extra[RELIABILITY] == 0, hole)
    assert "occlusions" not in second.record["stages"][0] and RELIABILITY not in second.image.extra


def test_a_mask_that_cannot_be_read_fails_its_picture_only(tmp_path):
    faces = clean(6, 2)
    for name, face in zip("ab", faces, strict=True):
        odekit.write(face, tmp_path / f"{name}.png")
    masks = tmp_path / "masks"
    masks.mkdir()
    (masks / "a.png").write_bytes(b"no picture")
    pictures = [odekit.read(tmp_path / f"{name}.png") for name in "ab"]
    bad, good = run(pictures, first=FIRST | {"tolerance": 9}, mask=str(masks))
    assert bad.error is not None and good.error is None


# What later stages make of it


def test_hidden_parts_of_the_original_are_not_used_by_the_guided_upsampler():
    """The results for a stroke of any colour are the same where it is hidden."""
    from odekit.parts.upsamplers.face_guided import without_hidden

    restored = Image(textured(64), extra={RELIABILITY: 1 - with_stroke(np.zeros((3, 64, 64), "f"))[0]})
    seen = [without_hidden(Image(with_stroke(textured(256, 2), value)), restored)[0].pixels for value in (0.0, 1.0)]
    inner = np.s_[:, 104:152, 72:184]
    assert np.abs(seen[0] - seen[1])[inner].max() < 1e-6
    assert np.array_equal(seen[0][:, :80], textured(256, 2)[:, :80])
    plain = Image(textured(64))
    original = Image(textured(256))
    assert without_hidden(original, plain)[0] is original


def test_the_colour_of_a_pasted_face_does_not_follow_what_hid_it():
    from odekit.parts.faces.paste import reliability

    known = Image(textured(64), extra={RELIABILITY: 1 - with_stroke(np.zeros((3, 64, 64), "f"))[0]})
    weight = reliability(known, 256)
    assert weight[104:152, 72:184].max() < 0.01 and weight[:80].min() > 0.99
    assert (reliability(Image(textured(64)), 32) == 1).all()


def test_strength_of_the_record_is_json():
    done = run([noisy(clean(1)[0])], first=FIRST)[0]
    assert json.loads(json.dumps(done.record["stages"]))[0]["blind"]["untouched"] is False
