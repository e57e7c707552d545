"""The line of the console."""

from __future__ import annotations

import pytest
from odekit_video.report import counted, faces_line, pictures_lines

NOTHING = {"noise": False, "impulses": False, "blocks": False, "scratches": False}


@pytest.mark.parametrize(("shots", "lines"), [
    ([NOTHING], []),
    ([{}], []),
    ([{**NOTHING, "noise": True}], ["all frames denoised"]),
    ([NOTHING, {**NOTHING, "blocks": True}], ["the frames of 1 of 2 shots mended (blocks)"]),
    ([{**NOTHING, "impulses": True, "scratches": True}], ["all frames denoised", "all frames mended (scratches)"]),
])  # fmt: skip
def test_what_was_done_with_whole_frames_is_said(shots, lines):
    """A film of which the frames are denoised and the face is left would read as if nothing was done."""
    assert pictures_lines(shots) == lines


def test_a_face_about_which_nothing_was_decided_is_not_called_left():
    assert faces_line([{"restore": True}, {"restore": False}]) == "2 faces, 1 restored, 1 left"
    assert faces_line([{}]) == "1 face, 0 restored, 0 left, 1 decided anew in each frame"
    assert faces_line([]) == "no faces found"


def test_one_is_singular():
    assert [counted(n, "frame") for n in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]
