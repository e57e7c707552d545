"""Evidence for scratches: which marked pixels are damage, on drawn pictures whose truth is known."""

import numpy as np
import pytest

from odekit.parts.repair import scratch_evidence as evidence


def picture(height=200, width=300, level=0.4):
    return np.full((3, height, width), level, np.float32)


def marked(mask, value=0.95):
    return (np.float32(value) * mask).astype(np.float32)


def line(shape, rows, columns):
    mask = np.zeros(shape, bool)
    mask[rows, columns] = True
    return mask


@pytest.mark.parametrize("level", [0.9, 0.05])
def test_a_line_that_is_lighter_or_darker_than_both_sides_is_a_scratch(level):
    pixels, mask = picture(), line((200, 300), np.s_[20:180], np.s_[50:53])
    pixels[:, mask] = level
    found = evidence.detect_scratches(pixels, marked(mask), 0.7, 0.1)
    assert found.count == 1 and np.array_equal(found.mask, mask)
    assert found.length == pytest.approx(160 / 200, rel=0.12)
    assert found.share == pytest.approx(mask.mean())


def test_the_side_of_an_edge_is_content():
    pixels = picture()
    pixels[:, :, 53:] = 0.9  # the mark lies on the light side of a step
    mask = line((200, 300), np.s_[20:180], np.s_[53:56])
    found = evidence.detect_scratches(pixels, marked(mask), 0.7, 0.1)
    assert found.count == 0 and found.rejected == 1


def test_a_scratch_across_unrelated_content_is_found():
    pixels = picture()
    pixels[:, :, 150:] = 0.6
    mask = line((200, 300), np.s_[100:103], np.s_[20:280])
    pixels[:, mask] = 0.95
    assert evidence.detect_scratches(pixels, marked(mask), 0.7, 0.1).count == 1


def test_what_runs_along_the_border_is_no_scratch_but_what_leaves_the_picture_is():
    for rows, columns, count in (
        (np.s_[1:4], np.s_[:], 0),
        (np.s_[:], np.s_[297:300], 0),
        (np.s_[0:80], np.s_[60:63], 1),
    ):
        pixels, mask = picture(), line((200, 300), rows, columns)
        pixels[:, mask] = 0.95
        assert evidence.detect_scratches(pixels, marked(mask), 0.7, 0.1).count == count


def test_a_scratch_has_a_sure_part_and_keeps_its_fainter_ones():
    pixels, mask = picture(), line((200, 300), np.s_[20:180], np.s_[50:53])
    pixels[:, mask] = 0.9
    probability = marked(mask, 0.45)
    assert evidence.detect_scratches(pixels, probability, 0.7, 0.1).count == 0
    probability[60:120, 50:53] = 0.9
    assert np.array_equal(evidence.detect_scratches(pixels, probability, 0.7, 0.1).mask, mask)
    assert evidence.detect_scratches(pixels, probability, 0.95, 0.1).count == 0


def test_specks_of_a_few_pixels_stay():
    pixels, mask = picture(), line((200, 300), np.s_[20:22], np.s_[50:52])
    pixels[:, mask] = 0.9
    assert evidence.detect_scratches(pixels, marked(mask), 0.7, 0.1).count == 0


def test_faint_pixels_count_only_where_they_differ_from_both_sides():
    pixels, mask = picture(), line((200, 300), np.s_[20:180], np.s_[50:53])
    pixels[:, 20:100, 50:53] = 0.9  # the lower half is not visible
    probability = marked(mask, 0.3)
    probability[40:60, 50:53] = 0.9
    found = evidence.detect_scratches(pixels, probability, 0.7, 0.1).mask
    assert found[22:98, 51].all() and not found[104:].any()


def test_thick_and_compact_marks_are_content():
    pixels, mask = picture(), line((200, 300), np.s_[60:90], np.s_[100:130])
    pixels[:, mask] = 0.9
    probability = marked(mask, 0.5)
    probability[70, 110] = 0.9
    assert evidence.detect_scratches(pixels, probability, 0.7, 0.1).count == 0  # a bow in the hair
    pixels, mask = picture(), line((200, 300), np.s_[60:64], np.s_[100:110])
    pixels[:, mask] = 0.9
    assert evidence.detect_scratches(pixels, marked(mask), 0.7, 0.1).count == 0  # a highlight


def test_a_light_mark_is_not_followed_along_a_dark_thing():
    pixels, crack = picture(), line((200, 300), np.s_[100:103], np.s_[20:280])
    lid = line((200, 300), np.s_[103:106], np.s_[140:170])
    pixels[:, crack], pixels[:, lid] = 0.9, 0.1
    found = evidence.detect_scratches(pixels, marked(crack) + marked(lid, 0.2), 0.7, 0.1).mask
    assert found[101, 22:278].all() and not found[104, 145:165].any()


def test_faint_parts_bridge_surer_ones_but_do_not_lead_away_from_them():
    probability = np.zeros((60, 120), np.float32)
    probability[30:33, 10:50] = probability[30:33, 80:110] = 0.9
    probability[30:33, 50:80] = 0.1  # a bridge
    probability[33:55, 20:23] = 0.1  # an edge of the content, from the crack downwards
    probability[28:30, 95:98] = 0.1  # a short one
    weak, strong = (np.full(probability.shape, level, np.float32) for level in (0.05, 0.3))
    kept = evidence.without_dangling_parts(probability, weak, 0.05) > 0
    assert kept[31, 10:110].all() and kept[29, 96]
    assert not kept[33:, 20:23].any()
    assert np.array_equal(evidence.without_dangling_parts(probability, strong, 0.05), probability)


def test_contrast_is_the_smaller_one_of_both_sides():
    step = np.full((60, 60), 0.2, np.float32)
    step[:, 30:] = 0.7
    lighter, darker = evidence.two_sided_contrast(step)
    assert lighter[20:40].max() < 0.0625 and darker[20:40].max() < 0.0625  # an eighth of the step
    ridge = np.full((60, 60), 0.2, np.float32)
    ridge[:, 28:32] = 0.7
    ridge[:, 32:] = 0.4
    lighter, darker = evidence.two_sided_contrast(ridge)
    assert lighter[30, 29:31] == pytest.approx(0.3, abs=0.02) and darker[30, 29] < 0.01
    assert evidence.two_sided_contrast(1 - ridge)[1][30, 30] == pytest.approx(0.3, abs=0.02)


def test_the_length_counts_branches_once():
    mask = np.zeros((120, 120), bool)
    mask[10:110, 58:61] = True
    assert evidence.length_of(mask) == pytest.approx(100, rel=0.12)
    mask[58:61, 10:110] = True
    assert evidence.length_of(mask) == pytest.approx(197, rel=0.12)


def test_two_scratches_that_cross_are_no_wider_than_one():
    seen = np.zeros((60, 60), bool)
    for wide in (3, 6):
        strip = seen.copy()
        strip[:, 20 : 20 + wide] = True
        assert evidence.mean_width(strip) == pytest.approx(wide, abs=0.4)
        strip[30 : 30 + wide] = True
        assert evidence.mean_width(strip) == pytest.approx(wide, abs=0.6)


def test_a_picture_without_marks_has_no_scratches():
    found = evidence.detect_scratches(picture(20, 30), np.zeros((20, 30), np.float32), 0.1, 0.1)
    assert (found.count, found.length, found.share) == (0, 0, 0)


@pytest.mark.parametrize(("level", "left"), [(0.05, True), (0.95, False)])
def test_in_a_print_with_light_cracks_a_dark_mark_is_content(level, left):
    """A light crack of 160 pixels, and a mark of 40: dirt among paper is rarer than a rim or a seam."""
    pixels = picture()
    crack, mark = line((200, 300), np.s_[20:180], np.s_[50:53]), line((200, 300), np.s_[100:103], np.s_[150:190])
    pixels[:, crack], pixels[:, mark] = 0.95, level
    found = evidence.detect_scratches(pixels, marked(crack | mark), 0.7, 0.1)
    assert (found.count, found.rejected) == ((1, 1) if left else (2, 0))


def test_in_a_print_with_much_of_both_all_is_damage():
    pixels = picture()
    crack, dirt = line((200, 300), np.s_[20:180], np.s_[50:53]), line((200, 300), np.s_[20:180], np.s_[150:153])
    pixels[:, crack], pixels[:, dirt] = 0.95, 0.05
    assert evidence.detect_scratches(pixels, marked(crack | dirt), 0.7, 0.1).count == 2


@pytest.mark.parametrize(("level", "followed"), [(0.9, 160), (0.5, 60)])
def test_a_crack_is_followed_further_where_it_stands_out(level, followed):
    """Beyond the sure part the probability is 0.06, under the faint one of 0.1: enough for strong contrast only."""
    pixels, mask = picture(), line((200, 300), np.s_[20:180], np.s_[50:53])
    pixels[:, mask] = level
    probability = marked(mask)
    probability[80:] = np.float32(0.06) * mask[80:]
    found = evidence.detect_scratches(pixels, probability, 0.7, 0.1)
    assert found.count == 1 and int(found.mask.any(1).sum()) == followed


@pytest.mark.parametrize(("sure_pixels", "count"), [(20, 0), (120, 1)])
def test_content_that_looks_like_a_crack_in_places_is_content(sure_pixels, count):
    """160 pixels of probability 0.1, of which some are sure: a crack looks like one all along."""
    pixels, mask = picture(), line((200, 300), np.s_[20:180], np.s_[50:53])
    pixels[:, mask] = 0.9
    probability = marked(mask, 0.1)
    probability[20 : 20 + sure_pixels] = np.float32(0.95) * mask[20 : 20 + sure_pixels]
    found = evidence.detect_scratches(pixels, probability, 0.7, 0.06)
    assert (found.count, found.rejected) == (count, 1 - count)


def test_a_dark_line_that_touches_a_light_crack_is_left_with_what_hangs_on_it():
    """A crack, an eyelid that begins at it, and a light spot at the end of the eyelid."""
    pixels = picture()
    crack = line((200, 300), np.s_[20:180], np.s_[50:53])
    eyelid, spot = line((200, 300), np.s_[100:103], np.s_[53:75]), line((200, 300), np.s_[100:103], np.s_[75:78])
    for part, level in ((crack, 0.95), (eyelid, 0.1), (spot, 0.95)):
        pixels[:, part] = level
    probability = marked(crack) + marked(eyelid | spot, 0.2)
    found = evidence.detect_scratches(pixels, probability, 0.7, 0.06)
    assert found.count == 1 and (found.mask & crack).sum() == crack.sum()
    assert not found.mask[:, 54:].any()
