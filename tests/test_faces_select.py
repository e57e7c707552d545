"""Which faces are restored: every rule of `select`, and the reasons it gives."""

import json

import pytest
from photos import noise

from odekit.core.image import Image, Metadata
from odekit.core.interfaces import Face
from odekit.errors import ConfigError, InputError
from odekit.parts.faces.options import FaceSelection
from odekit.parts.faces.select import (
    boxes_for,
    intersection_over_union,
    read_boxes,
    reading_order,
    suppress_duplicates,
)
from odekit.parts.faces.select import left_out as choose


def face(x, y, side=40, score=0.9):
    return Face((x, y, x + side, y + side), (), score)


FACES = [face(0, 0, 40), face(100, 0, 80, 0.7), face(220, 90, 20, 0.95)]
"""In a photograph of 300x200, whose middle lies nearest to the second."""


def test_the_width_of_a_face_on_its_side_is_the_height_of_its_box():
    lying, upright = Face((0, 0, 60, 20), (), 0.9, turn=90), Face((0, 0, 20, 60), (), 0.9, turn=180)
    assert choose([lying, upright], FaceSelection(), 300, 200).keys() == {1, 2}
    assert choose([Face((0, 0, 60, 30), (), 0.9, turn=270)], FaceSelection(), 300, 200) == {}


@pytest.mark.parametrize(
    "options,left_out",
    [
        ({"min_side": 0.0}, {}),
        ({}, {3: "20 px wide, under select.min_side 24"}),
        ({"which": "largest"}, {1: "not the one of 'which: largest'", 3: "20 px wide, under select.min_side 24"}),
        (
            {"which": "centre", "min_side": 0.0},
            {1: "not the one of 'which: centre'", 3: "not the one of 'which: centre'"},
        ),
        ({"which": "index", "index": [1]}, {2: "not in select.index", 3: "20 px wide, under select.min_side 24"}),
        ({"skip": [1], "min_side": 0.0}, {1: "in select.skip"}),
        ({"score": 0.8, "min_side": 0.0}, {2: "score 0.70, under select.score 0.8"}),
        ({"max_faces": 2, "min_side": 0.0}, {3: "beyond select.max_faces 2"}),
    ],
)
def test_rules(options, left_out):
    assert choose(FACES, FaceSelection.model_validate(options), 300, 200) == left_out


def test_overlap_is_intersection_over_union():
    assert intersection_over_union((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert intersection_over_union((0, 0, 10, 10), (10, 0, 20, 10)) == 0


def test_of_doubles_the_better_stays_also_at_another_size():
    best, double, inner, other = face(0, 0, 40, 0.9), face(4, 0, 40, 0.8), face(10, 10, 20, 0.7), face(80, 0, 40, 0.6)
    kept, out = suppress_duplicates([double, other, inner, best], 0.4)
    assert kept == [best, other] and {f for f, _ in out} == {double, inner}


def test_numbers_follow_the_rows_of_a_group():
    back, front = [face(x, 5 * (x % 3), 30) for x in (0, 50, 100)], [face(x, 80, 30) for x in (20, 70)]
    assert reading_order([front[1], back[2], back[0], front[0], back[1]]) == [*back, *front]


def test_boxes_come_from_the_chain_or_from_a_file_by_name(tmp_path):
    photo = Image(noise(20, 20).pixels, meta=Metadata(path=tmp_path / "a.png"))
    assert boxes_for(photo, read_boxes([[1, 2, 3, 4]])) == [(1, 2, 3, 4)]
    table = tmp_path / "boxes.json"
    table.write_text(json.dumps({"a.png": [[0, 0, 9, 9]], "c.png": "no"}))
    boxes = read_boxes(str(table))
    assert boxes_for(photo, boxes) == [(0, 0, 9, 9)]
    with pytest.raises(InputError, match=r"has no entry for 'b\.png'"):
        boxes_for(Image(photo.pixels, meta=Metadata(path=tmp_path / "b.png")), boxes)
    with pytest.raises(InputError, match="is not a list of"):
        boxes_for(Image(photo.pixels, meta=Metadata(path=tmp_path / "c.png")), boxes)


@pytest.mark.parametrize("content", [None, "[1", "[[0, 0, 9, 9]]", "null"])
def test_a_file_of_boxes_that_is_no_table_is_refused_before_any_photograph(tmp_path, content):
    if content is not None:
        (tmp_path / "boxes.json").write_text(content)
    with pytest.raises(ConfigError, match=r"boxes\.json (cannot be read as JSON|must hold one JSON object)"):
        read_boxes(str(tmp_path / "boxes.json"))


@pytest.mark.parametrize("boxes", [[[1, 2, 3]], [[3, 2, 1, 4]], [[float("nan"), 0, 9, 9]], [[0, 0, float("inf"), 9]]])
def test_lists_that_are_no_boxes_are_refused(boxes):
    with pytest.raises(ConfigError, match="is not a list of"):
        read_boxes(boxes)
