"""The parts of odekit-video: colours of frames, smoothing, tracks, cuts, decisions."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from odekit_video.average import REACH, averaged, patches_of
from odekit_video.colour import Coding, changed_planes, coding_of, frame_of, pixels_of, planar, planes_of, upright
from odekit_video.cuts import LEAST_CHANGE, CutFinder, thumbnail
from odekit_video.decide import face_decisions, majority, picture_decisions
from odekit_video.encode import codec_for
from odekit_video.hidden import SIDE, with_visible
from odekit_video.job import parse_frames
from odekit_video.motion import IDENTITY, after_both, inverse, moved_by, step, view_of
from odekit_video.smooth import smoothed
from odekit_video.threads import map_ahead
from odekit_video.tracks import LONGEST_GAP, Follower, overlap

from benchmarks import clips
from odekit.core.image import KnownFace
from odekit.core.interfaces import Face
from odekit.errors import ConfigError


def frame(format="yuv420p", width=48, height=32, seed=0):
    values = (clips.background(width, height, seed) * 65535).astype(np.uint16)
    made = av.VideoFrame.from_ndarray(values, "rgb48le").reformat(format=format)
    made.pts, made.time_base = 7, Fraction(1, 25)
    return made


FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuv420p10le", "yuv444p10le", "yuv411p", "gray"]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("size", [(48, 32), (47, 31)])
def test_planes_go_into_a_frame_and_come_out_as_they_were(format, size):
    original = planar(frame(format, *size))
    copy = frame_of(planes_of(original), original)
    assert all(np.array_equal(a, b) for a, b in zip(planes_of(original), planes_of(copy), strict=True))
    assert (copy.pts, copy.time_base, copy.format.name) == (7, Fraction(1, 25), original.format.name)


@pytest.mark.parametrize("format", FORMATS)
def test_only_changed_places_get_other_values(format):
    original = planar(frame(format))
    planes, coding = planes_of(original), coding_of(original)
    before = pixels_of(planes, coding)
    after = before.copy()
    after[:, 8:16, 8:16] = np.clip(after[:, 8:16, 8:16] + 0.1, 0, 1)
    changed = changed_planes(planes, coding, before, after)
    assert np.array_equal(changed[0][20:], planes[0][20:]) and not np.array_equal(changed[0], planes[0])
    grey_change = pixels_of(changed, coding)[:, 9:15, 9:15] - before[:, 9:15, 9:15]
    assert np.abs(grey_change - 0.1).max() < 0.02


@pytest.mark.parametrize(("format", "code", "matrix"), [("yuv444p", 1, "bt709"), ("yuv444p", 5, "bt601"), ("yuv444p10le", 9, "bt2020")])  # fmt: skip
def test_pixels_are_those_of_ffmpegs_own_conversion(format, code, matrix):
    values = (clips.background(64, 48) * 255).astype(np.uint8)
    made = av.VideoFrame.from_ndarray(values, "rgb24").reformat(format=format, dst_colorspace=code)
    made.colorspace = code
    coding = coding_of(made)
    assert coding.matrix == matrix and not coding.full
    theirs = made.to_ndarray(format="rgb24", src_colorspace=code).transpose(2, 0, 1) / 255
    assert np.abs(pixels_of(planes_of(made), coding) - theirs).max() < 3 / 255


def test_untagged_video_has_the_matrix_that_players_take():
    assert coding_of(frame(width=64, height=720)).matrix == "bt709"
    assert coding_of(frame(width=64, height=576)).matrix == "bt601"


def test_the_matrices_are_those_of_the_recommendations():
    """ITU-R BT.601-7, 2.5.3: Cb = (B' - Y') / 1.772, Cr = (R' - Y') / 1.402."""
    matrix = Coding("bt601", False, 8, 2, 2).to_ycc
    assert matrix[0] == pytest.approx([0.299, 0.587, 0.114], abs=1e-6)
    assert matrix[1] == pytest.approx(np.array([-0.299, -0.587, 0.886]) / 1.772, abs=1e-6)
    assert matrix[2] == pytest.approx(np.array([0.701, -0.587, -0.114]) / 1.402, abs=1e-6)


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("format", ["yuv420p", "yuv422p"])
def test_turned_frames_are_the_turned_pixels(turns, format):
    original = frame(format)
    turned = upright(original, turns)
    expected = np.rot90(pixels_of(planes_of(planar(original)), coding_of(planar(original))), turns, (1, 2))
    assert np.abs(pixels_of(planes_of(turned), coding_of(turned)) - expected).mean() < 2 / 255


# Smoothing


def path(count, speed=0.0, noise=0.5, seed=0):
    rng = np.random.Generator(np.random.Philox(seed))
    true = np.arange(count)[:, None] * speed + rng.uniform(50, 100, 14)
    return true, true + noise * rng.standard_normal(true.shape)


@pytest.mark.parametrize("speed", [0.0, 2.0])
def test_points_of_a_still_or_evenly_moving_face_lose_most_of_their_jitter(speed):
    true, seen = path(80, speed)
    error = (smoothed(seen) - true)[10:-10]
    assert np.sqrt(np.mean(error**2)) < 0.25 * 0.5


def test_a_face_that_starts_to_move_is_not_left_behind():
    true, seen = path(80, 0.0, noise=0.3)
    jump = np.where(np.arange(80) < 40, 0, 6.0 * (np.arange(80) - 39))[:, None]
    error = np.abs(smoothed(seen + jump) - true - jump).mean(1)
    assert error[36:44].max() < 1.5 and error[:25].mean() < 0.15


def test_two_points_in_time_stay_as_they_are():
    values = path(2)[1]
    assert np.array_equal(smoothed(values), values)


def test_a_still_face_does_not_move_and_one_wrong_frame_is_left_out():
    true, seen = path(80, noise=0.6)
    seen[30] += 4 * 0.6 * np.sign(np.random.Generator(np.random.Philox(5)).standard_normal(14))
    out = smoothed(seen)
    assert np.abs(np.diff(out, axis=0)).max() < 0.05
    assert np.sqrt(np.mean((out - true) ** 2)) < 0.15 * 0.6


# Averages of a face over time

POINTS = ((140.0, 100.0), (180.0, 100.0), (160.0, 122.0), (145.0, 142.0), (177.0, 142.0))


def faces_of(frames, speed=0.0, decided=None):
    """Frames (3, H, W) of a clip, and the surroundings of their faces."""
    pixels = [np.ascontiguousarray(frame.transpose(2, 0, 1)) for frame in frames]
    known = [
        KnownFace((0, 0, 1, 1), tuple((x + speed * n, y) for x, y in POINTS), "one", decided=decided or {})
        for n in range(len(frames))
    ]
    return pixels, {n: patches_of(p, [face]) for n, (p, face) in enumerate(zip(pixels, known, strict=True))}


def error(pixels, clean, place):
    return float(np.sqrt(np.mean((pixels - clean.transpose(2, 0, 1))[place] ** 2)))


@pytest.mark.parametrize("speed", [0.0, 3.0])
@pytest.mark.parametrize("damage", ["noise", "jpeg"])
def test_noise_of_a_face_falls_and_the_rest_of_the_frame_stays(speed, damage):
    clean = clips.clip(13, speed=speed)
    spoiled = clips.damaged(clean, 1.0, 0.03, 30) if damage == "jpeg" else clips.clip(13, speed=speed, noise=0.05)
    truth = clips.damaged(clean, 1.0, 0.0, 100) if damage == "jpeg" else clean
    pixels, near = faces_of(spoiled, speed)
    place = np.s_[:, 90:150, 130 + int(6 * speed) : 190 + int(6 * speed)]
    out = averaged(pixels[6], 6, near)
    least = {"noise": 0.6, "jpeg": 0.75}[damage]  # what JPEG does is alike in all frames of a still face
    assert error(out, truth[6], place) < least * error(pixels[6], truth[6], place)
    patch = near[6]["one"]
    assert np.array_equal(out[:, :, : patch.left], pixels[6][:, :, : patch.left])


def test_a_mouth_that_opens_is_not_mixed_with_the_closed_one():
    clean = clips.clip(13)
    for n in range(13):
        clean[n, 142 - n % 5 * 2 : 142 + n % 5 * 2, 148:174] = 0.1
    pixels, near = faces_of(clips.damaged(clean, 1.0, 0.02, 40))
    truth = clips.damaged(clean, 1.0, 0.0, 100)
    for n in (4, 5, 6, 7):
        place = np.s_[:, 128:156, 144:178]
        assert error(averaged(pixels[n], n, near), truth[n], place) < 1.02 * error(pixels[n], truth[n], place)


def test_a_face_that_is_left_or_alone_stays_as_it_is():
    frames = clips.clip(3, noise=0.05)
    pixels, near = faces_of(frames, decided={"restore": False, "detail": False})
    assert averaged(pixels[1], 1, near) is pixels[1]
    pixels, near = faces_of(frames)
    assert averaged(pixels[1], 1, {1: near[1]}) is pixels[1]


# Motion


def picture_of(matrix, noise=0.0, seed=0):
    """A frame (3, 240, 320) with a face that was moved from the middle, blurred as a treated one is."""
    moved = cv2.warpAffine(clips.pan(1, 320, 240)[0], np.asarray(matrix)[:2], (320, 240), borderMode=cv2.BORDER_REFLECT)
    grain = np.random.Generator(np.random.Philox(seed)).standard_normal(moved.shape)
    return np.clip(cv2.GaussianBlur(moved, (0, 0), 1.5) + noise * grain, 0, 1).astype(np.float32).transpose(2, 0, 1)


BOX = (105.0, 55.0, 215.0, 185.0)


def moved_box(matrix):
    return tuple(moved_by(np.asarray(matrix), np.array(BOX).reshape(2, 2)).ravel())


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize(("angle", "zoom", "right", "down"), [(0, 1, 1.3, 0), (0, 1, -9.4, 6.2), (3, 1.04, 2, 1)])
def test_a_step_is_how_the_pixels_of_the_face_moved(noise, angle, zoom, right, down):
    turn = cv2.getRotationMatrix2D((160, 120), angle, zoom) + np.array([[0, 0, right], [0, 0, down]])
    before = view_of(picture_of(IDENTITY, noise, 1), BOX)
    found = step(before, view_of(picture_of(turn, noise, 2), moved_box(turn)))
    points = np.array([[130.0, 100], [190, 100], [160, 150]])
    assert np.abs(moved_by(found, points) - moved_by(turn, points)).max() < (0.1 if noise == 0 else 0.4)


def test_a_wrong_box_does_not_mislead_a_step():
    shift = np.array([[1.0, 0, 2], [0, 1, 0]])
    wrong = tuple(v + d for v, d in zip(moved_box(shift), (5, -4, 5, -4), strict=True))
    found = step(view_of(picture_of(IDENTITY), BOX), view_of(picture_of(shift), wrong))
    assert np.abs(found - shift).max() < 0.1


@pytest.mark.parametrize("noise", [0.0, 0.06])
def test_a_face_in_new_noise_is_still(noise):
    views = [view_of(picture_of(IDENTITY, noise, seed), BOX) for seed in range(6)]
    assert sum(step(a, b) is IDENTITY for a, b in itertools.pairwise(views)) >= 4


def test_where_nothing_can_be_followed_no_step_is_known():
    flat = view_of(np.full((3, 240, 320), 0.5, np.float32), BOX)
    assert step(flat, flat) is None
    assert step(view_of(picture_of(IDENTITY), BOX), flat) is None


def test_transforms_are_joined_and_turned_back():
    one, two = cv2.getRotationMatrix2D((3, 4), 20, 1.1), cv2.getRotationMatrix2D((9, 1), -50, 0.7)
    points = np.array([[1.0, 2], [5, 7]])
    np.testing.assert_allclose(moved_by(after_both(one, two), points), moved_by(two, moved_by(one, points)))
    np.testing.assert_allclose(moved_by(inverse(one), moved_by(one, points)), points)


def test_a_face_that_moves_keeps_its_size_though_the_detector_errs_alike_in_frames_that_are_alike():
    """Its errors change slowly while the face moves over its grid, so that no smoothing over time takes them off."""
    follower, count = Follower(), 48
    place = np.array([[136.0, 110], [184, 110], [160, 135], [142, 158], [178, 158]])
    for n in range(count):
        shift = np.array([[1.0, 0, 0.8 * n - 20], [0, 1, 0]])
        error = 2 * np.array([np.sin(n / 6), np.cos(n / 5)])
        points = moved_by(shift, place) + error * np.array([[-1, -1], [1, -1], [0, 0], [-1, 1], [1, 1]])
        box = moved_box(shift)
        follower.add(n, [Face(box, tuple(map(tuple, points)), 0.9)], [view_of(picture_of(shift), box)])
    (track,) = follower.finished(count)
    found = np.stack([track.faces()[n][0] for n in range(count)])
    widths = found[:, 1, 0] - found[:, 0, 0]
    assert np.ptp(widths[8:-8]) < 3
    steps = np.diff(found[:, :, 0].mean(1))
    assert np.abs(steps - 0.8).max() < 0.15
    track.unseen = count  # by the points alone
    alone = np.stack([track.faces()[n][0] for n in range(count)])
    assert np.ptp((alone[:, 1, 0] - alone[:, 0, 0])[8:-8]) > 6


def test_points_follow_a_head_that_turns_and_not_the_errors_of_a_detector():
    """Over 33 frames a turn is smeared; errors of a hundredth of the face, alike in frames that are alike, are not followed."""
    frames = np.arange(40)[:, None]
    turning = np.where(frames < 20, 0.0, 2.0 * (frames - 20)) * np.linspace(-1, 1, 10)
    assert np.abs(smoothed(turning, 16) - turning).max() > 5
    assert np.abs(smoothed(turning, 16, tolerance=1.6) - turning).max() < 2.5
    erring = 0.8 * np.sin(frames / 6 + np.arange(10))
    assert np.abs(smoothed(erring, 16, tolerance=1.6)).max() < 0.6


# What hides a face


def shown(hide=None, seed=0, found=True, turned=0.0):
    """The face of a frame in noise, turned by degrees, hidden by a bar between two columns, as a patch of frame `seed`."""
    clear = clips.clip(1, seed=3)[0]
    turn = cv2.getRotationMatrix2D((160, 120), turned, 1)
    clear = cv2.warpAffine(clear, turn, (320, 240), borderMode=cv2.BORDER_REFLECT)
    pixels = clear.transpose(2, 0, 1) + 0.03 * np.random.default_rng(7).standard_normal((3, 240, 320), np.float32)
    pixels += 0.02 * np.random.default_rng(seed).standard_normal(pixels.shape).astype(np.float32)
    if hide is not None:
        pixels[:, :, hide[0] : hide[1]] = 0.1
    face = KnownFace((120, 70, 200, 170), tuple(map(tuple, FACE_POINTS)), "film 1")
    return patches_of(np.clip(pixels, 0, 1), [face], () if found else ("film 1",)), face


FACE_POINTS = ((143.0, 110.0), (177.0, 110.0), (160.0, 130.0), (147.0, 148.0), (173.0, 148.0))


def test_what_is_hidden_in_a_frame_without_the_face_is_seen_by_the_frames_with_it():
    near = {n: shown(seed=n)[0] for n in (0, 1, 2, 9)}
    near[5], face = shown((160, 240), seed=5, found=False)
    (known,) = with_visible([face], 5, near)
    middle = known.visible[24:44]
    assert known.visible.shape == (SIDE, SIDE) and middle[:, 8:26].min() > 0.9 and middle[:, 34:].max() < 0.05
    (clear,) = with_visible([face], 1, near)
    assert clear.visible is None  # found there: all of it is seen


def test_a_face_of_which_no_frame_nearby_shows_anything_is_left_out():
    lost, face = shown(seed=5, found=False)
    assert with_visible([face], 5, {5: lost, 5 + REACH + 1: shown()[0]}) == ()
    elsewhere, _ = shown(seed=5, found=False, turned=14)
    assert with_visible([face], 5, {5: elsewhere, 6: shown()[0]}) == ()  # not hidden: turned
    slightly, _ = shown(seed=5, found=False, turned=3)
    assert len(with_visible([face], 5, {5: slightly, 6: shown()[0]})) == 1
    (other,) = with_visible([replace(face, track="film 2")], 5, {5: lost})
    assert other.visible is None  # not treated at all: no patch


# Tracks and cuts


def at(x, y=0.0, side=40.0):
    return Face((x, y, x + side, y + side), tuple((x + i, y + i) for i in range(5)), 0.9)


def test_overlap_is_intersection_over_union():
    assert overlap((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3) and overlap((0, 0, 1, 1), (2, 2, 3, 3)) == 0


def test_faces_that_come_near_each_other_keep_their_numbers():
    follower = Follower()
    for n in range(20):
        follower.add(n, [at(100 + n), at(160 - n)] if n % 2 else [at(160 - n), at(100 + n)])
    tracks = follower.finished(20)
    assert [len(track.found) for track in tracks] == [20, 20]
    assert {round(tracks[0].found[19].box[0]), round(tracks[1].found[19].box[0])} == {119, 141}


def test_a_face_that_is_lost_for_some_frames_is_one_track_with_points_between():
    follower = Follower()
    for n in range(40):
        follower.add(n, [] if 8 <= n < 8 + LONGEST_GAP - 2 else [at(10.0 + n / 2)])
    (track,) = follower.finished(40)
    assert sorted(track.faces()) == list(range(40))
    assert track.faces()[12][1][0] == pytest.approx(16, abs=0.1)
    assert track.parts() == [list(range(8)), list(range(8 + LONGEST_GAP - 2, 40))]


def test_a_face_squeezed_by_what_hides_it_keeps_its_place_and_its_track():
    """Somebody walks past: the detector squeezes the face into its right half, sees none, squeezes it into the left."""
    follower = Follower()
    for n in range(60):
        whole, right, left = (0.0, 40.0), (min(24.0, 4.0 * (n - 20)), 40.0), (0.0, min(40.0, 14.0 + 4 * (n - 38)))
        low, high = whole if n < 20 or n >= 45 else right if n < 28 else left
        box = (low, 0.0, high, 40.0)
        found = Face(box, tuple((low + (high - low) * x, 20.0) for x in (0.2, 0.8, 0.5, 0.3, 0.7)), 0.9)
        follower.add(n, [] if 28 <= n < 38 else [found])
    (track,) = follower.finished(60)
    assert track.parts() == [list(range(21)), list(range(45, 60))]
    for points, _ in track.faces().values():
        np.testing.assert_allclose(points[:, 0], [8, 32, 20, 12, 28], atol=1.2)


def test_a_face_that_walks_away_is_not_squeezed():
    follower = Follower()
    for n in range(60):
        follower.add(n, [] if 30 <= n < 33 else [at(0, side=80.0 - 0.2 * n)])
    (track,) = follower.finished(60)
    assert track.parts() == [list(range(30)), list(range(33, 60))]


def test_a_cut_ends_tracks_and_single_detections_are_mistakes():
    follower = Follower()
    for n in range(20):
        if n == 10:
            follower.cut()
        follower.add(n, [at(0), at(200)] if n == 5 else [at(0)])
    assert [(track.first, track.last, track.shot) for track in follower.finished(20)] == [(0, 9, 0), (10, 19, 1)]


def test_ended_tracks_keep_no_pictures():
    follower, view = Follower(), view_of(np.full((3, 60, 60), 0.5, np.float32), (0, 0, 40, 40))
    follower.add(0, [at(0)], [view])
    assert follower.tracks[0].view is view
    follower.add(LONGEST_GAP + 1, [at(0)], [view])
    assert [track.view for track in follower.tracks] == [None, view]
    follower.cut()
    assert [track.view for track in follower.tracks] == [None, None]


def test_cuts_are_found_and_pans_and_flashes_of_noise_are_not():
    one, two = (clips.background(96, 64, seed).transpose(2, 0, 1) for seed in (1, 2))
    rng = np.random.Generator(np.random.Philox(3))
    frames = [one] * 4 + [two] * 4 + [np.roll(two, 6 * n, 2) for n in range(4)]
    noisy = [np.clip(f + 0.1 * rng.standard_normal(f.shape), 0, 1).astype(np.float32) for f in frames]
    assert cuts_of(noisy) == [4]


def cuts_of(frames):
    """Numbers of the frames that begin a shot."""
    cuts, small = CutFinder(), [thumbnail(frame) for frame in frames]
    return [n for n, (one, two) in enumerate(itertools.zip_longest(small, small[1:])) if cuts.begins_shot(one, two)]


def test_where_a_pan_begins_there_is_no_cut_and_a_shot_may_be_one_frame_long():
    one, two, three = (clips.background(96, 64, seed).transpose(2, 0, 1) for seed in (1, 2, 3))
    pan = [np.roll(one, 24 * n, 2) for n in range(4)]
    assert min(np.abs(thumbnail(a) - thumbnail(b)).mean() for a, b in itertools.pairwise(pan)) > LEAST_CHANGE
    assert cuts_of(pan) == [] and cuts_of([one] * 3 + pan) == []
    assert cuts_of([two, *pan[:1] * 2]) == [1]
    assert cuts_of([one] * 3 + [two] + [three] * 3) == [4]


# Decisions and options


def test_decisions_are_read_from_records_and_the_majority_counts():
    face = {
        "stages": [{"stage": "restore", "blind": {"untouched": False}}, {"stage": "upsample", "detail": {"act": True}}]
    }
    assert dict(face_decisions(face)) == {"restore": True, "detail": True}
    stages = [{"mended": ["blocks"]}, {"faces": [], "background": [{"denoised": True, "impulses_removed": False}]}]
    assert dict(picture_decisions(stages)) == {
        "blocks": True, "scratches": False, "blur": False, "fading": False, "noise": True, "impulses": False,
    }  # fmt: skip
    assert majority({"a": [True, False], "b": [True, False, False]}) == {"a": True, "b": False}


@pytest.mark.parametrize(("text", "span"), [(None, (0, None)), ("3:9", (3, 9)), (":9", (0, 9)), ("3:", (3, None))])
def test_spans_of_frames(text, span):
    assert parse_frames(text) == span


@pytest.mark.parametrize("text", ["3", "9:3", "a:b", "-2:4", "3:3"])
def test_spans_that_are_none(text):
    with pytest.raises(ConfigError, match="--frames"):
        parse_frames(text)


def test_an_unknown_ending_or_encoder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="ends with"):
        codec_for(tmp_path / "out.gif", None)
    with pytest.raises(ConfigError, match="cannot encode"):
        codec_for(tmp_path / "out.mp4", "libnothing")


# Threads


@pytest.mark.parametrize("threads", [1, 3])
def test_work_ahead_keeps_the_order_and_waits_for_the_caller(threads):
    begun = []

    def items():
        for item in range(20):
            begun.append(item)
            yield item

    for count, outcome in enumerate(map_ahead(lambda item: item * item, items(), threads)):
        assert outcome == count * count and len(begun) <= count + 2 * threads + 1


def test_what_the_work_raises_comes_in_its_turn():
    outcomes = map_ahead(lambda item: 1 // item, [1, 1, 0, 1], 2)
    assert [next(outcomes), next(outcomes)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(outcomes)


def test_work_under_way_is_told_when_the_caller_ends_early():
    told = threading.Event()

    def work(item):
        assert item == 0 or told.wait(30)

    outcomes = map_ahead(work, range(9), 2, abandon=told.set)
    next(outcomes)
    outcomes.close()
    assert told.is_set()
    told.clear()
    assert list(map_ahead(lambda item: item, range(3), 2, abandon=told.set)) == [0, 1, 2] and not told.is_set()
