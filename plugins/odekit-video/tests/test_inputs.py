"""Inputs of `odekit video` that are more, less or other than one whole video: joined, cut, changed meanwhile."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from odekit_video.job import VideoJob
from odekit_video.layout import layout_of
from odekit_video.report import line_of
from odekit_video.sections import Sections

from benchmarks import clips
from odekit.errors import InputError


@pytest.fixture
def run(quick):
    def started(source, output, tell=lambda *progress: None, span=(0, None), **more):
        job = VideoJob(source, output, span)
        job.check(more.pop("resume", False), False)
        return job.run(job.chain(quick, [], "auto"), 0, "cpu", "float32", tell, **more)

    return started


def film(path, count=8, audio=True, seed=0):
    """A clip without faces whose frames differ in brightness."""
    frames = np.stack([clips.background(96, 64, seed) * (0.5 + 0.03 * n) for n in range(count)])
    return clips.write(path, frames, audio=audio)


def remuxed(source, path, **options):
    """A copy of the streams of a file, in another container or with other options of it."""
    with av.open(str(source)) as original, av.open(str(path), "w", options=options) as target:
        copied = {stream.index: target.add_stream_from_template(stream) for stream in original.streams}
        for packet in original.demux():
            if packet.dts is not None:
                packet.stream = copied[packet.stream_index]
                target.mux(packet)
    return path


def joined(path, *parts):
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def sounds(path):
    """The data of the packets of the sound, and their times; MPEG-TS has a header before each, which others have not."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        found = [(bytes(p), float(p.pts * p.time_base)) for p in container.demux(stream) if p.size]
    return [data[7:] if data[:2] == b"\xff\xf1" else data for data, _ in found], [time for _, time in found]


@pytest.mark.parametrize("output", ["out.mp4", "out.mkv"])
@pytest.mark.parametrize("suffix", ["ts", "mkv"])
def test_a_joined_file_comes_out_whole_with_its_sound(tmp_path, run, suffix, output):
    one, two = film(tmp_path / f"a.{suffix}", 12), film(tmp_path / f"b.{suffix}", 7, seed=1)
    parts = (one, two, one) if suffix == "ts" else (one, two)
    record = run(joined(tmp_path / f"film.{suffix}", *parts), tmp_path / output)
    frames, times = clips.read(tmp_path / output)
    expected = np.concatenate([clips.read(part)[0] for part in parts])
    assert record["frames"] == len(expected) == len(frames) and not record["packets_damaged"]
    assert np.abs(frames - expected).mean((1, 2, 3)).max() < 0.02
    assert np.diff(times).min() > 0.03
    sound, at = sounds(tmp_path / output)
    assert sound == [data for part in parts for data in sounds(part)[0]]
    assert at == sorted(at) and np.diff(at).max() < 0.03  # the sound has no hole
    count = len(sounds(one)[0])
    assert times[12] - times[0] == pytest.approx(at[count] - at[0], abs=2e-3)  # both were moved alike
    often = "2 times" if suffix == "ts" else "once"
    assert f"its time stamps begin again {often}; they were continued" in line_of(record)


@pytest.mark.parametrize("output", ["out.mp4", "out.mkv"])
def test_a_broadcast_that_begins_at_any_time_is_a_film_from_its_start(tmp_path, run, output):
    source = remuxed(film(tmp_path / "a.ts"), tmp_path / "late.ts", output_ts_offset="40000")
    assert clips.read(source)[1][0] > 40000
    run(source, tmp_path / output)
    assert clips.read(tmp_path / output)[1][0] < 0.2 and sounds(tmp_path / output)[1][0] < 0.05
    with av.open(str(tmp_path / output)) as container:
        assert container.duration / 1e6 < 2
    parts = joined(tmp_path / "film.ts", tmp_path / "a.ts", source)
    assert run(parts, tmp_path / "both.mp4")["frames"] == 16
    assert clips.read(tmp_path / "both.mp4")[1][-1] < 3


def test_joined_program_streams_come_out_whole(tmp_path, run):
    one = tmp_path / "a.mpg"
    with av.open(str(film(tmp_path / "a.mp4"))) as original, av.open(str(one), "w", format="vob") as target:
        stream, sound = target.add_stream("mpeg2video", rate=25), target.add_stream("mp2", rate=44100)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number, frame in enumerate(original.decode(video=0)):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            frame.pict_type = 0
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
        for start in range(0, 44100, 1152):
            part = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 1152), np.int16), "s16", "stereo")
            part.sample_rate, part.pts, part.time_base = 44100, start, Fraction(1, 44100)
            target.mux(sound.encode(part))
        target.mux(sound.encode())
    record = run(joined(tmp_path / "film.mpg", one, one), tmp_path / "out.mkv")
    frames, times = clips.read(tmp_path / "out.mkv")
    assert record["frames"] == len(frames) == 16 and np.diff(times).min() > 0.03
    assert "begin again once" in line_of(record)
    assert len(sounds(tmp_path / "out.mkv")[0]) >= 2 * 38


def test_a_joined_file_is_resumed_and_cut(tmp_path, run):
    one = film(tmp_path / "a.ts", 6)
    source = joined(tmp_path / "film.ts", one, one)

    def stop(phase, done, total):
        if phase == "restoring":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "out.mp4", stop)
    run(source, tmp_path / "out.mp4", resume=True)
    assert len(clips.read(tmp_path / "out.mp4")[0]) == 12
    run(source, tmp_path / "cut.mp4", span=(5, 8), preview=tmp_path / "sheet.png")
    assert len(clips.read(tmp_path / "cut.mp4")[0]) == 3 and (tmp_path / "sheet.png").exists()


def test_a_joined_file_whose_rest_cannot_be_read_is_refused(tmp_path, run):
    one = film(tmp_path / "a.ts", 12)
    other = remuxed(one, tmp_path / "b.ts", mpegts_start_pid="0x300", mpegts_pmt_start_pid="0x1500")
    three, flash = [film(tmp_path / "a.mkv")] * 3, remuxed(film(tmp_path / "a.mp4"), tmp_path / "a.flv")
    run(flash, tmp_path / "flash.mp4")
    for source in (
        joined(tmp_path / "film.ts", one, other),
        joined(tmp_path / "film.mkv", *three),
        joined(tmp_path / "film.flv", flash, flash),
    ):
        with pytest.raises(InputError, match="are of other streams than those that it begins with"):
            run(source, tmp_path / "out.mp4")
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("flags", ["", "frag_keyframe+empty_moov"])
@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_joined_files_of_which_only_the_first_can_be_read_are_refused(tmp_path, run, suffix, flags):
    one = remuxed(film(tmp_path / "plain.mp4"), tmp_path / f"a.{suffix}", movflags=flags or "faststart")
    run(one, tmp_path / "one.mp4")
    with pytest.raises(InputError, match="2 videos joined byte by byte"):
        run(joined(tmp_path / f"film.{suffix}", one, one), tmp_path / "out.mp4")
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(("left", "said"), [(0, "within a frame"), (100, "within a packet")])
def test_a_transport_stream_that_was_cut_is_told(tmp_path, run, left, said):
    whole = film(tmp_path / "whole.ts", audio=False)
    assert "incomplete" not in line_of(run(whole, tmp_path / "whole.mp4"))
    data = whole.read_bytes()
    (tmp_path / "half.ts").write_bytes(data[: len(data) * 3 // 8 // 188 * 188 + left])
    record = run(tmp_path / "half.ts", tmp_path / "half.mp4")
    assert record["frames"] < 8 and f"it ends {said}: the input is incomplete" in line_of(record)


def test_lost_packets_of_a_transport_stream_are_told(tmp_path, run):
    data = film(tmp_path / "whole.ts", audio=False).read_bytes()
    middle = len(data) // 2 // 188 * 188
    (tmp_path / "lost.ts").write_bytes(data[:middle] + data[middle + 3 * 188 :])
    assert "1 packet of its video is incomplete" in line_of(run(tmp_path / "lost.ts", tmp_path / "out.mp4"))


def test_a_file_without_its_index_is_refused_and_it_is_said_why(tmp_path, run):
    data = film(tmp_path / "whole.mp4").read_bytes()
    assert data.index(b"mdat") < data.index(b"moov")
    (tmp_path / "half.mp4").write_bytes(data[: data.index(b"moov") - 40])
    with pytest.raises(InputError, match=r"the index at its end \(moov\) is missing"):
        run(tmp_path / "half.mp4", tmp_path / "out.mp4")


def test_what_is_wrong_with_a_joined_file_names_it_and_not_its_copy(tmp_path, run):
    small = clips.write(tmp_path / "b.ts", clips.background(64, 48)[None].repeat(8, 0), audio=True)
    source = joined(tmp_path / "film.ts", film(tmp_path / "a.ts"), small)
    with pytest.raises(InputError, match="its frames change their size") as caught:
        run(source, tmp_path / "out.mp4")
    assert str(caught.value).startswith(f"{source}: ") and "continued" not in str(caught.value)


@pytest.mark.parametrize("phase", ["finding faces", "restoring"])
@pytest.mark.parametrize("change", ["content", "size", "gone"])
def test_an_input_that_changes_meanwhile_leaves_nothing(tmp_path, run, phase, change):
    source = film(tmp_path / "film.mkv")

    def spoil(at, done, total):
        if at == phase and done == 8 and source.exists():
            was = source.stat()
            data = source.read_bytes()
            if change == "gone":
                source.unlink()
            elif change == "size":
                source.write_bytes(data + bytes(64))
            else:
                source.write_bytes(data[:-9] + bytes(9))
                os.utime(source, ns=(was.st_atime_ns, was.st_mtime_ns))

    with pytest.raises(InputError, match="changed while it was read"):
        run(source, tmp_path / "out.mkv", spoil)
    assert {path.name for path in tmp_path.iterdir()} <= {"film.mkv", "quick.yaml"}


def found(stamps, broadcast=True):
    """Parts of one stream with these times of decoding, in seconds, each frame 0.04 s long."""
    sections = Sections(broadcast)
    for stamp in stamps:
        time = Fraction(stamp).limit_denominator(1000)
        sections.add(0, time, time, Fraction(1, 25), True)
    return [float(section.shift) for section in sections.finish()], sections.strays


def test_a_jump_ahead_begins_a_part_and_a_pause_or_a_single_error_does_not():
    steps = [n * 0.04 for n in range(10)]
    assert found(steps + [t + 5000 for t in steps])[0] == [0, pytest.approx(0.4 - 5000)]
    assert found(steps + [t + 8 for t in steps]) == ([0], set())
    assert found([*steps, 0.1, 0.4, 0.44]) == ([0], {(0, 10)})
    assert found([*steps, 0.35, 0.4, 0.44]) == ([0], set())
    assert found(steps + [t + 5000 for t in steps], broadcast=False)[0] == [0]  # a picture that is shown for long


def test_the_parts_of_two_streams_that_do_not_change_at_once_are_the_same():
    sections = Sections(True)
    frame = Fraction(1, 25)
    order = [(0, 0), (1, 0), (0, 1), (1, 1), (1, 0), (0, 2), (1, 1), (0, 0), (0, 1), (1, 2), (0, 2)]
    for stream, number in order:
        sections.add(stream, number * frame * 3, number * frame * 3, 3 * frame, True)
    assert [section.first for section in sections.finish()] == [{0: 0, 1: 0}, {1: 2, 0: 3}]
    assert float(sections.found[1].shift) == pytest.approx(0.36)


def test_a_rate_that_is_none_does_not_reach_the_encoder(tmp_path, run):
    """A file may state the unit of its times as its rate, which VP9 refuses."""
    source = remuxed(film(tmp_path / "plain.mp4"), tmp_path / "film.mkv")
    with av.open(str(source)) as container:
        assert container.streams.video[0].average_rate > 1000
    run(source, tmp_path / "out.webm")
    assert len(clips.read(tmp_path / "out.webm")[0]) == 8


def test_files_as_usual_are_one_part(tmp_path):
    for suffix in ("ts", "mkv", "mp4", "mov"):
        layout = layout_of(film(tmp_path / f"film.{suffix}"))
        assert len(layout.sections) == 1 and not layout.strays and not layout.corrupt
    raw = remuxed_video(tmp_path / "film.mp4", tmp_path / "film.h264")
    assert len(layout_of(raw).sections) <= 1


def remuxed_video(source: Path, path: Path) -> Path:
    """The video of a file alone, without a container."""
    with av.open(str(source)) as original, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(original.streams.video[0])
        for packet in original.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return path
