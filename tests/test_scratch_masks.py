"""`mend.mask`: a person's own mask; what may change, and what is wrong with a mask in one line."""

import numpy as np
import pytest
from photos import PHOTOS

from odekit import Chain, read
from odekit.core.image import Image
from odekit.errors import InputError
from odekit.images.io import write
from odekit.parts.repair.mend import dilate
from odekit.parts.repair.options import Mend

PHOTO = read(PHOTOS / "astronaut.jpg")
PART = PHOTO.with_pixels(np.ascontiguousarray(PHOTO.pixels[:, 40:264, 120:344]))


def mend(photo, **options):
    result = Chain([{"mend": {"blocks": False, "blur": False, **options}}]).run([photo])[0]
    if result.error:
        raise result.error
    return result


def save_mask(path, mask, alpha=None):
    plane = np.repeat(mask[None].astype(np.float32), 3, axis=0)
    write(Image(plane, alpha), path)
    return str(path)


@pytest.fixture
def line():
    mask = np.zeros((224, 224), bool)
    mask[100:104, 20:200] = True
    return mask


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "in" / "a.png"
    path.parent.mkdir()
    return write(PART, path)


def test_exactly_the_masked_pixels_and_those_that_touch_them_change(tmp_path, line):
    result = mend(PART, mask=save_mask(tmp_path / "mask.png", line))
    changed = (result.image.pixels != PART.pixels).any(0)
    assert not changed[~dilate(line)].any()
    assert changed[line].mean() > 0.9
    name, used = result.extras[0]
    assert name == "scratches" and np.array_equal(used.pixels[0] > 0.5, line)
    facts = result.record["stages"][0]
    assert facts["scratch_mask"] == "given" and facts["mended"] == ["scratches"]
    assert facts["scratched_share"] == pytest.approx(line.mean(), abs=1e-6)


def test_a_mask_hides_what_was_under_it(tmp_path, line):
    """The filling is computed from the surroundings: whatever lies under the mask has no effect."""
    path = save_mask(tmp_path / "mask.png", line)
    painted = PART.pixels.copy()
    painted[:, line] = 1.0
    a, b = (mend(PART.with_pixels(pixels), mask=path).image.pixels for pixels in (PART.pixels, painted))
    assert np.array_equal(a[:, line], b[:, line])
    error = [np.abs(one - PART.pixels)[:, line].mean() for one in (painted, b)]
    assert error[1] < 0.3 * error[0]


def test_a_large_photograph_is_filled_where_its_mask_is(tmp_path, monkeypatch):
    monkeypatch.setattr("odekit.parts.repair.mend.DETECTION_SIDE", 100)
    mask = np.zeros((224, 224), bool)
    mask[31:38, 10:150] = True
    result = mend(PART, mask=save_mask(tmp_path / "mask.png", mask))
    changed = (result.image.pixels != PART.pixels).any(0)
    assert changed[mask].mean() > 0.9 and not changed[~dilate(mask)].any()


def test_a_folder_has_a_mask_for_each_photograph_by_its_name(tmp_path, line, saved):
    folder = tmp_path / "masks"
    folder.mkdir()
    save_mask(folder / "a.scratches.png", line)
    photo, other = read(saved), PART
    assert mend(photo, mask=str(folder)).extras
    left = mend(other, mask=str(folder))
    assert not left.extras and left.image.pixels is other.pixels
    save_mask(folder / "a.png", line)
    with pytest.raises(InputError, match=r"a.png and a.scratches.png are for one photograph"):
        mend(photo, mask=str(folder))


def test_transparent_pixels_of_a_mask_are_not_filled(tmp_path, line):
    alpha = np.zeros((224, 224), np.float32)
    alpha[:, :100] = 1
    result = mend(PART, mask=save_mask(tmp_path / "mask.png", line, alpha))
    changed = (result.image.pixels != PART.pixels).any(0)
    assert changed[line][:50].any() and not changed[:, 102:].any()


def test_an_empty_mask_changes_nothing(tmp_path, line):
    result = mend(PART, mask=save_mask(tmp_path / "mask.png", line & False), scratches=True)
    assert result.image.pixels is PART.pixels and result.record["stages"][0]["mended"] == []


def test_a_mask_that_does_not_fit_is_one_line(tmp_path, line):
    small = save_mask(tmp_path / "small.png", line[:100])
    with pytest.raises(InputError, match=r"small.png: 224 x 100 pixels, but the photograph has 224 x 224"):
        mend(PART, mask=small)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InputError, match=r"text.png") as error:
        mend(PART, mask=str(tmp_path / "text.png"))
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=r"none.png: no such file or folder"):
        mend(PART, mask=str(tmp_path / "none.png"))


def test_with_a_mask_alone_no_network_is_needed_but_a_picture_is_announced():
    assert Mend(mask="a.png").weight_names() == [] and Mend(mask="a.png").extras == ["scratches"]
    assert Mend(scratches=True).extras == ["scratches"]
    assert Mend().weight_names() == [] and Mend().extras == []
