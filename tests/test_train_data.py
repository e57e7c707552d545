"""Reading faces for training: accepted and refused data, error messages, and a split that never leaks."""

import csv
import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from odekit.errors import InputError
from odekit.images import face_sets
from odekit.training.data import faces


def pictures(count, side=16, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def save_npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def save_folder(folder, images, split=None, identity=None):
    folder.mkdir()
    names = [f"{i:03d}.png" for i in range(len(images))]
    for name, image in zip(names, images, strict=True):
        Image.fromarray(image).save(folder / name)
    if split is not None:
        with (folder / "index.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "split"] + (["identity"] if identity else []))
            for i, name in enumerate(names):
                writer.writerow([name, split[i]] + ([identity[i]] if identity else []))
    return folder


SPLIT = np.array(["train"] * 20 + ["val"] * 4 + ["test"] * 3)


def as_set(images):
    return {i.tobytes() for i in images}


def test_npz_folder_and_tar_give_the_same_faces(tmp_path):
    images = pictures(27)
    npz = faces.load(save_npz(tmp_path / "f.npz", images=images, split=SPLIT), 16)
    folder = faces.load(save_folder(tmp_path / "faces", images, SPLIT), 16)
    with tarfile.open(tmp_path / "f.tar", "w") as tar:
        tar.add(tmp_path / "faces", arcname=".")
    tar = faces.load(tmp_path / "f.tar", 16)
    np.testing.assert_array_equal(npz.train, images[:20])
    np.testing.assert_array_equal(npz.val, images[20:24])
    assert npz.fingerprint == folder.fingerprint == faces.load(tmp_path / "f.npz", 16).fingerprint
    assert as_set(tar.train) == as_set(npz.train)
    assert as_set(tar.val) == as_set(npz.val)


def test_a_tar_takes_its_split_from_the_index_beside_it(tmp_path):
    save_folder(tmp_path / "faces", pictures(27), SPLIT)
    with tarfile.open(tmp_path / "f.tar", "w") as tar:
        for png in (tmp_path / "faces").glob("*.png"):
            tar.add(png, arcname=png.name)
    (tmp_path / "faces" / "index.csv").rename(tmp_path / "index.csv")
    found = faces.load(tmp_path / "f.tar", 16)
    assert (len(found.train), len(found.val)) == (20, 4)


def test_held_out_pictures_never_train_not_even_mirrored_copies(tmp_path):
    images = pictures(27)
    images[3] = images[21]  # a validation picture among the training ones
    images[5] = images[25][:, ::-1]  # a mirrored test picture
    found = faces.load(save_npz(tmp_path / "f.npz", images=images, split=SPLIT), 16)
    held = as_set(images[20:]) | as_set(images[20:, :, ::-1])
    assert not as_set(found.train) & held
    assert len(found.train) == 18
    assert "left out 2 training pictures that are also held out" in found.notes


def test_one_person_on_both_sides_is_refused(tmp_path):
    people = [f"p{i}" for i in range(27)]
    people[22] = "p4"
    path = save_npz(tmp_path / "f.npz", images=pictures(27), split=SPLIT, identity=np.array(people))
    with pytest.raises(InputError, match="'p4' and 0 more are both in train and held out"):
        faces.load(path, 16)
    with pytest.raises(InputError, match="'p4'"):
        faces.load(save_folder(tmp_path / "faces", pictures(27), SPLIT, people), 16)


def test_without_a_split_names_decide_and_new_pictures_move_none():
    names = [f"face{i}.png" for i in range(2000)]
    split = face_sets.hashed_split(names)
    assert (split == "val").mean() == pytest.approx(0.05, abs=0.015)
    np.testing.assert_array_equal(face_sets.hashed_split(names[500:]), split[500:])
    assert (face_sets.hashed_split(["a", "b", "c"]) == "val").sum() == 1


def test_large_pictures_are_kept_at_twice_the_side(tmp_path):
    images = pictures(20, 64)
    found = faces.load(save_npz(tmp_path / "f.npz", images=images, split=SPLIT[4:24]), 16)
    assert found.train.shape[1:] == (32, 32, 3)
    blocks = images[0].reshape(32, 2, 32, 2, 3).mean((1, 3))
    assert np.abs(found.train[0] - blocks).max() <= 0.51
    mixed = save_folder(tmp_path / "faces", pictures(20, 32))
    Image.fromarray(pictures(1, 20)[0]).save(mixed / "small.png")
    assert faces.load(mixed, 16).train.shape[1:] == (16, 16, 3)


def test_bad_pictures_stop_the_run_or_are_left_out_by_name(tmp_path):
    folder = save_folder(tmp_path / "faces", pictures(24))
    (folder / "broken.png").write_bytes(b"no picture")
    Image.fromarray(pictures(1, 24)[0][:16]).save(folder / "wide.png")
    Image.fromarray(pictures(1, 8)[0]).save(folder / "tiny.png")
    with pytest.raises(InputError, match=r"3 pictures cannot be used .*skip_bad") as caught:
        faces.load(folder, 16)
    for part in ("broken.png: broken", "wide.png: 24 x 16, not square", "tiny.png: 8 px, smaller than 16"):
        assert part in str(caught.value)
    found = faces.load(folder, 16, skip_bad=True)
    assert len(found.train) + len(found.val) == 24
    assert len([n for n in found.notes if n.startswith("left out ")]) == 3


def test_pictures_the_index_does_not_know_are_left_out(tmp_path):
    folder = save_folder(tmp_path / "faces", pictures(27), SPLIT)
    Image.fromarray(pictures(1, seed=9)[0]).save(folder / "stranger.png")
    found = faces.load(folder, 16)
    assert (len(found.train), len(found.val)) == (20, 4)
    assert found.notes == ("left out 1 pictures that index.csv does not list",)


def test_grey_and_alpha_become_rgb(tmp_path):
    folder = save_folder(tmp_path / "faces", pictures(20))
    Image.fromarray(pictures(1)[0]).convert("L").save(folder / "grey.png")
    Image.fromarray(pictures(1)[0]).convert("RGBA").save(folder / "alpha.png")
    found = faces.load(folder, 16)
    assert len(found.train) + len(found.val) == 22


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"faces": pictures(3)}, "`images` must be uint8 .* not missing"),
        ({"images": pictures(3).astype(np.float32)}, "not float32"),
        ({"images": pictures(3)[:, :8]}, r"not uint8 \(3, 8, 16, 3\)"),
        ({"images": pictures(30, 8)}, "pictures of 8 px are smaller than side 16"),
        ({"images": pictures(27), "split": SPLIT[:9]}, "`split` has shape"),
        ({"images": pictures(3), "split": np.array(["train", "val", "dev"])}, "`split` contains 'dev'"),
        ({"images": pictures(8)}, "at least 16 and 1 are needed"),
        ({"images": pictures(20), "split": np.array(["train"] * 20)}, "20 training and 0 validation"),
    ],
)
def test_wrong_npz_is_refused_in_one_line(tmp_path, arrays, message):
    with pytest.raises(InputError, match=message) as caught:
        faces.load(save_npz(tmp_path / "f.npz", **arrays), 16)
    assert "\n" not in str(caught.value)


def test_wrong_places_are_refused_in_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.tar").write_text("no tar")
    (tmp_path / "text.npz").write_text("no npz")
    cases = {"none": "no such folder", "empty": "no pictures in it", "text.tar": "neither", "text.npz": "cannot be"}
    for name, message in cases.items():
        with pytest.raises(InputError, match=message):
            faces.load(tmp_path / name, 16)


def test_half_a_tar_and_half_an_npz_are_refused(tmp_path):
    folder = save_folder(tmp_path / "faces", pictures(27))
    with tarfile.open(tmp_path / "f.tar", "w") as tar:
        tar.add(folder, arcname="faces")
    whole = (tmp_path / "f.tar").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        middle = tar.getmembers()[10]
    (tmp_path / "half.tar").write_bytes(whole[: middle.offset_data + 40])
    npz = save_npz(tmp_path / "f.npz", images=pictures(27)).read_bytes()
    (tmp_path / "half.npz").write_bytes(npz[: len(npz) // 2])
    for name in ("half.tar", "half.npz"):
        with pytest.raises(InputError, match="cannot be read"):
            faces.load(tmp_path / name, 16)


@pytest.mark.parametrize(
    ("text", "message"), [("name\nx", "needs the columns"), ("file,split\n000.png,dev", "split 'dev' must be one of")]
)
def test_wrong_index_is_refused(tmp_path, text, message):
    folder = save_folder(tmp_path / "faces", pictures(20))
    (folder / "index.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        faces.load(folder, 16)
