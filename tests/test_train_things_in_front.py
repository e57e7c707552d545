"""Things that are drawn in front of training faces: how much they hide, what stays, how often, and what is learned."""

import numpy as np
import PIL.Image
import pytest

from odekit.errors import OptionError
from odekit.training.data.guided_faces import Pair, draw_face, find_pairs
from odekit.training.data.things_in_front import INNER, MOST_HIDDEN, hiding, put_in_front
from odekit.training.options.guided import GuidedDamageOptions, GuidedOptions

QUIET = GuidedDamageOptions(
    share=0, clean=0, ideal=0, noisy=0, grey=0, toned=0, jitter=0, hue=0, spectacles=0, in_front=0
)
FACE = np.linspace(0.3, 0.7, 3 * 64 * 64, dtype=np.float32).reshape(3, 64, 64)
PICTURE = np.full((64, 64, 3), 150, np.uint8)


@pytest.mark.parametrize("seed", range(40))
def test_a_thing_hides_a_part_of_the_inner_face_and_leaves_a_part(seed):
    cover = hiding(64, np.random.default_rng(seed))
    inner = slice(int(INNER[0] * 64), int(INNER[1] * 64))
    assert cover.shape == (64, 64) and cover.min() >= 0 and cover.max() <= 1
    assert 0.03 < cover[inner, inner].mean() < MOST_HIDDEN


@pytest.mark.parametrize("seed", range(20))
def test_the_face_beside_the_thing_stays_but_for_a_shadow(seed):
    hidden = put_in_front(FACE, np.random.default_rng(seed))
    free = hiding(64, np.random.default_rng(seed)) < 1e-6
    assert hidden.shape == FACE.shape and hidden.dtype == np.float32
    assert hidden.min() >= 0 and hidden.max() <= 1 and not np.array_equal(hidden, FACE)
    assert (hidden <= FACE + 1e-6)[:, free].all() and (hidden >= 0.45 * FACE)[:, free].all()


def test_things_differ_and_are_a_function_of_the_generator():
    one, again, other = (put_in_front(FACE, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_so_many_training_faces_have_one():
    options = QUIET.model_copy(update={"clean": 1, "in_front": 0.3})
    drawn = [draw_face(PICTURE, None, 64, 16, options, np.random.default_rng(i)) for i in range(300)]
    assert np.mean([np.ptp(face.truth) > 0 for face in drawn]) == pytest.approx(0.3, abs=0.08)
    assert all(np.array_equal(face.truth, face.original) for face in drawn)  # undamaged: the thing is to stay


def test_the_restored_face_has_the_thing_or_the_face_behind_it():
    options = QUIET.model_copy(update={"ideal": 1, "in_front": 1, "severities": (1, 1e-9, 1e-9, 1e-9, 1e-9)})
    kept = erased = 0
    for seed in range(160):
        face = draw_face(PICTURE, None, 64, 16, options, np.random.default_rng(seed))
        small = face.truth.reshape(3, 16, 4, 16, 4).mean((2, 4))
        seen = face.original.reshape(3, 16, 4, 16, 4).mean((2, 4))
        hidden = np.abs(small - 150 / 255).max(0) > 0.15
        if hidden.sum() > 8:
            nearer = np.abs(face.small - 150 / 255)[:, hidden].mean() < 0.8 * np.abs(seen - 150 / 255)[:, hidden].mean()
            kept, erased = kept + (not nearer), erased + nearer
    assert kept > 5 and erased > 5


def test_a_pair_has_a_truth_of_its_own_where_the_folder_has_one(tmp_path):
    for folder, level, names in (("damaged", 90, "ab"), ("restored", 120, "ab"), ("truth", 200, "a")):
        (tmp_path / folder).mkdir()
        for name in names:
            PIL.Image.fromarray(np.full((64, 64, 3), level, np.uint8)).save(tmp_path / folder / f"{name}.png")
    options = QUIET.model_copy(
        update={"share": 1, **{name: tmp_path / name for name in ("damaged", "restored", "truth")}}
    )
    pairs = find_pairs(options, ("a.jpg", "b.jpg", "c.jpg"))
    assert pairs[0] == Pair(*(tmp_path / name / "a.png" for name in ("damaged", "restored", "truth")))
    assert pairs[1].truth is None and set(pairs) == {0, 1}
    faces = [draw_face(PICTURE, pairs[i], 64, 16, options, np.random.default_rng(i)) for i in (0, 1)]
    assert [round(255 * float(face.truth.mean())) for face in faces] == [200, 150]
    assert [round(255 * float(face.original.mean())) for face in faces] == [90, 90]


def test_a_folder_of_truths_alone_is_refused(tmp_path):
    with pytest.raises(OptionError, match=r"damage\.truth belongs to"):
        GuidedOptions(damage=GuidedDamageOptions(truth=tmp_path))
