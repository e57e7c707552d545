"""What a film holds beside its pictures and sound is in the restored one too, or a line says that it is not."""

from __future__ import annotations

import io
import struct
from fractions import Fraction

import av
import numpy as np
import PIL.Image
import pytest
from av.stream import Disposition
from odekit_video.extras import chapters_within
from odekit_video.job import VideoJob
from odekit_video.read import probe
from odekit_video.report import line_of

from benchmarks import clips

MS = Fraction(1, 1000)


@pytest.fixture
def run(quick):
    def started(source, output, span=(0, None), **more):
        job = VideoJob(source, output, span, **more)
        job.check(False, False)
        return job.run(job.chain(quick, [], "auto"), 0, "cpu", "float32", lambda *progress: None)

    return started


def picture():
    """The bytes of a JPEG file."""
    file = io.BytesIO()
    PIL.Image.new("RGB", (32, 32), (200, 0, 0)).save(file, "JPEG")
    return file.getvalue()


def film(path, subtitles=(), cover=False, attachment=False, codec="srt"):
    """Ten frames of 40 ms with sound, tags, dispositions, chapters, and what the arguments say.

    Args:
        path: the file to write.
        subtitles: begin and duration in ms, and text.
        cover: whether there is a cover picture.
        attachment: whether there is a font.
        codec: of the subtitles.
    """
    frames = np.stack([clips.background(96, 64)] * 10)
    plain = clips.write(path.with_name("plain.mp4"), frames, audio=True)
    with av.open(str(plain)) as original, av.open(str(path), "w") as target:
        target.metadata.update({"title": "Film", "comment": "by hand", "odd one": "Tom"})
        copied = {stream.index: target.add_stream_from_template(stream) for stream in original.streams}
        copied[0].disposition = Disposition.default | Disposition.original
        copied[1].disposition = Disposition.comment
        copied[1].metadata.update({"language": "deu", "title": "Ton"})
        marks = [("One", 0, 200), ("Two", 200, 400)]
        target.set_chapters(
            [{"id": n, "start": a, "end": b, "time_base": MS, "metadata": {"title": t}} for n, (t, a, b) in enumerate(marks)]
        )  # fmt: skip
        if attachment:
            target.add_attachment("letters.ttf", "application/x-truetype-font", b"letters" * 50)
        if cover and path.suffix == ".mkv":
            target.add_attachment("cover.jpg", "image/jpeg", picture())
        elif cover:
            covering = target.add_mux_stream("mjpeg", width=32, height=32)
            covering.disposition, covering.time_base = Disposition.attached_pic, MS
        written = target.add_mux_stream(codec, time_base=MS) if subtitles else None
        if written is not None:
            written.metadata["language"], written.disposition = "eng", Disposition.forced
        target.start_encoding()
        if cover and path.suffix != ".mkv":
            mux(target, covering, picture(), 0, 0)
        for begin, length, text in subtitles:
            mux(target, written, text.encode(), begin, length)
        for packet in original.demux():
            if packet.dts is not None:
                packet.stream = copied[packet.stream_index]
                target.mux(packet)
    return path


def mux(target, stream, data, begin, length):
    packet = av.Packet(data)
    packet.stream, packet.time_base, packet.is_keyframe = stream, MS, True
    packet.pts, packet.dts, packet.duration = begin, begin, length
    target.mux(packet)


def flags(stream):
    return {flag.name for flag in Disposition if stream.disposition & flag}


@pytest.mark.parametrize(("source", "output"), [("in.mkv", "out.mkv"), ("in.mkv", "out.mp4"), ("in.mp4", "out.mkv"), ("in.mp4", "out.mp4")])  # fmt: skip
def test_tags_dispositions_and_chapters_are_copied(tmp_path, run, source, output):
    record = run(film(tmp_path / source), tmp_path / output)
    with av.open(str(tmp_path / output)) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
        assert (tags["title"], tags["comment"]) == ("Film", "by hand")
        assert [mark["metadata"]["title"] for mark in container.chapters()] == ["One", "Two"]
        assert [float(m["end"] * m["time_base"]) for m in container.chapters()] == [0.2, 0.4]
        sound = container.streams.audio[0]
        assert sound.metadata["language"] == "deu" and "Ton" in (
            sound.metadata.get("title"),
            sound.metadata.get("name"),
        )
        assert "default" in flags(container.streams.video[0])
        if source.endswith("mkv") and output.endswith("mkv"):
            assert flags(container.streams.video[0]) == {"default", "original"} and flags(sound) == {"comment"}
        assert source[2:] != output[2:] or not record["notes"]
    if (source, output) == ("in.mkv", "out.mp4"):
        assert "the tag odd_one is left out" in line_of(record)
        assert "of stream 0, original is left out" in record["notes"]


def test_attachments_are_copied_or_it_is_said(tmp_path, run):
    source = film(tmp_path / "in.mkv", attachment=True)
    assert not run(source, tmp_path / "out.mkv")["notes"]
    with av.open(str(tmp_path / "out.mkv")) as container:
        (letters,) = (stream for stream in container.streams if stream.type == "attachment")
        assert letters.metadata["filename"] == "letters.ttf" and bytes(letters.data) == b"letters" * 50
        assert letters.mimetype == "application/x-truetype-font"
    assert "the attachment stream 2 (letters.ttf) is left out" in run(source, tmp_path / "out.mp4")["notes"]


@pytest.mark.parametrize("source", ["in.mkv", "in.mp4"])
@pytest.mark.parametrize("span", [(0, None), (3, 8)])
def test_a_cover_picture_is_copied_or_it_is_said(tmp_path, run, source, span):
    film(tmp_path / source, cover=True)
    for output in ("out.mkv", "out.mp4"):
        run(tmp_path / source, tmp_path / output, span)
        with av.open(str(tmp_path / output)) as container:
            cover = container.streams.video[1]
            assert cover.disposition & Disposition.attached_pic
            assert bytes(next(p for p in container.demux(cover) if p.size)) == picture()
    notes = run(tmp_path / source, tmp_path / "out.mov", span)["notes"]
    assert any(note.startswith("the cover picture") and note.endswith("(mjpeg) is left out") for note in notes)


def test_subtitles_that_run_into_some_frames_are_clipped(tmp_path, run):
    lines = [(0, 40, "before"), (20, 160, "over the start"), (60, 500, "over all"), (160, 40, "within"), (240, 400, "over the end"),
             (320, 50, "after")]  # fmt: skip
    source = film(tmp_path / "in.mkv", lines)
    run(source, tmp_path / "out.mkv", span=(3, 8))  # from 120 to 320 ms
    with av.open(str(tmp_path / "out.mkv")) as container:
        stream = container.streams.subtitles[0]
        shown = [(bytes(p).decode(), p.pts, p.duration) for p in container.demux(stream) if p.size]
        assert stream.metadata["language"] == "eng" and flags(stream) == {"forced"}
        assert [m["metadata"]["title"] for m in container.chapters()] == ["One", "Two"]
        ends = [float(mark["end"] * mark["time_base"]) for mark in container.chapters()]
        assert ends == [0.057, 0.2]  # the frames of the source begin with 23 ms, after a part of its sound
    assert [text for text, _, _ in shown] == ["over the start", "over all", "within", "over the end"]
    offset = shown[2][1] - 40  # Matroska delays all streams, so that those of decoding are not negative
    assert abs(offset) < 100
    assert [(begin - offset, length) for _, begin, length in shown] == [
        (0, 60), (1, 200), (40, 40), (120, 80),
    ]  # fmt: skip


def test_subtitles_of_mp4_are_clipped_too(tmp_path, run):
    lines = [(0, 200, "one"), (200, 200, "two")]
    source = film(tmp_path / "in.mp4", [(a, b, f"\0\3{text}") for a, b, text in lines], codec="mov_text")
    run(source, tmp_path / "out.mp4", span=(3, 8))  # from 120 to 320 ms
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.subtitles[0]
        shown = [
            (bytes(p)[2:], p.pts * p.time_base, p.duration * p.time_base) for p in container.demux(stream) if p.size
        ]
    shown = [one for one in shown if one[0]]  # MP4 ends each with an empty one
    assert [text for text, _, _ in shown] == [b"one", b"two"]
    assert [float(value) for _, *times in shown for value in times] == pytest.approx([0, 0.08, 0.08, 0.12], abs=2e-3)


def test_the_time_code_stays_where_it_is_that_of_the_first_frame(tmp_path, run):
    plain = clips.write(tmp_path / "plain.mp4", np.stack([clips.background(96, 64)] * 6))
    with av.open(str(plain)) as original, av.open(str(tmp_path / "in.mov"), "w") as target:
        stream = target.add_stream_from_template(original.streams.video[0])
        stream.metadata["timecode"], stream.codec_context.framerate = "01:02:03:04", 25
        stream.time_base = original.streams.video[0].time_base
        for packet in original.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert time_code(tmp_path / "in.mov") == "01:02:03:04"
    for output in ("out.mov", "out.mkv"):
        assert not run(tmp_path / "in.mov", tmp_path / output)["notes"]
        assert time_code(tmp_path / output) == "01:02:03:04"
    record = run(tmp_path / "in.mov", tmp_path / "cut.mov", span=(2, 5))
    assert time_code(tmp_path / "cut.mov") is None and "timecode" in line_of(record)


def time_code(path):
    with av.open(str(path)) as container:
        found = {key.lower(): value for key, value in container.streams.video[0].metadata.items()}
        return found.get("timecode")


def test_chapters_within_a_span():
    chapters = [
        {"id": n, "start": 10 * n, "end": 10 * n + 10, "time_base": Fraction(1), "metadata": {}} for n in range(4)
    ]
    found = chapters_within(chapters, (Fraction(15), Fraction(30)))
    assert [(one["id"], one["start"], one["end"]) for one in found] == [(1, 0, 5), (2, 5, 15)]


def test_other_videos_and_data_are_told(tmp_path, run):
    plain = clips.write(tmp_path / "plain.mp4", np.stack([clips.background(96, 64)] * 4))
    with av.open(str(plain)) as original, av.open(str(tmp_path / "in.ts"), "w") as target:
        copies = [target.add_stream_from_template(original.streams.video[0]) for _ in range(2)]
        data = target.add_mux_stream("klv")
        target.start_encoding()
        mux(target, data, b"position", 0, 0)
        for packet in original.demux(video=0):
            if packet.dts is not None:
                for copy in copies:
                    again = av.Packet(bytes(packet))
                    again.stream, again.time_base, again.is_keyframe = copy, packet.time_base, packet.is_keyframe
                    again.pts, again.dts = packet.pts, packet.dts
                    target.mux(again)
    notes = run(tmp_path / "in.ts", tmp_path / "out.mp4")["notes"]
    assert "the video stream 1 (h264) is left out" in notes
    assert any(note.startswith("the data stream 2") for note in notes)


def test_transparency_and_interlacing_are_told(tmp_path, run):
    with av.open(str(tmp_path / "in.mov"), "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "rgba"
        frame = av.VideoFrame.from_ndarray(np.full((64, 96, 4), 99, np.uint8), "rgba")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert "its transparency (alpha) is left out" in run(tmp_path / "in.mov", tmp_path / "alpha.mp4")["notes"]
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"x264-params": "tff=1"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(3):
            noise = np.random.Generator(np.random.Philox(0)).integers(0, 255, (64, 96, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, "rgb24")))
        container.mux(stream.encode())
    assert any("it is interlaced" in note for note in run(tmp_path / "in.mkv", tmp_path / "out.mp4")["notes"])


CORNERS = {  # a, b, c, d of the display matrix; where the bright upper left corner of the stored frames is shown
    "as it is": ((1, 0, 0, 1), (0, 0)), "to the right": ((0, 1, -1, 0), (0, 1)), "half round": ((-1, 0, 0, -1), (1, 1)),
    "to the left": ((0, -1, 1, 0), (1, 0)), "left to right": ((-1, 0, 0, 1), (0, 1)),
    "upside down": ((1, 0, 0, -1), (1, 0)), "along the diagonal": ((0, 1, 1, 0), (0, 0)),
    "along the other": ((0, -1, -1, 0), (1, 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", CORNERS)
def test_turned_and_mirrored_videos_are_written_as_players_show_them(tmp_path, run, name):
    """The corner that is grey tells turns from mirrors: it is beside the bright one, to its right."""
    stored = np.full((4, 64, 96, 3), 0.1, np.float32)
    stored[:, :32, :48], stored[:, :32, 48:] = 0.9, 0.5
    lying = clips.write(tmp_path / "lying.mp4", stored)
    data = bytearray(lying.read_bytes())
    (a, b, c, d), bright = CORNERS[name]
    at = data.index(b"tkhd") + 44
    data[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    (tmp_path / "in.mp4").write_bytes(data)
    run(tmp_path / "in.mp4", tmp_path / "out.mp4")
    shown = clips.read(tmp_path / "out.mp4")[0][0].mean(2)
    height, width = shown.shape
    assert (height, width) == ((64, 96) if a else (96, 64)) and probe(tmp_path / "in.mp4").width == width
    quarters = [[shown[y * height // 2 + 8 : (y + 1) * height // 2 - 8, x * width // 2 + 8 : (x + 1) * width // 2 - 8].mean()
                 for x in (0, 1)] for y in (0, 1)]  # fmt: skip
    assert quarters[bright[0]][bright[1]] == pytest.approx(0.9, abs=0.03)
    grey = (bright[0] + b, bright[1] + a)  # one step to the right in the stored frame is (a, b) in the shown one
    assert quarters[grey[0]][grey[1]] == pytest.approx(0.5, abs=0.03)


def test_an_opaque_gif_has_no_transparency_to_lose(tmp_path, run):
    """Its decoder gives frames with transparency, whatever is in them."""
    pictures = [PIL.Image.new("P", (96, 64), color=n) for n in range(3)]
    for one in pictures:
        one.putpalette(list(range(256)) * 3)
    for name, more in (("opaque", {}), ("open", {"transparency": 0})):
        pictures[0].save(tmp_path / f"{name}.gif", save_all=True, append_images=pictures[1:], duration=40, **more)
        notes = run(tmp_path / f"{name}.gif", tmp_path / f"{name}.mp4")["notes"]
        assert ("its transparency (alpha) is left out" in notes) == (name == "open")


def test_an_angle_that_is_no_quarter_is_told(tmp_path, run):
    lying = clips.write(tmp_path / "lying.mp4", np.full((3, 64, 96, 3), 0.5, np.float32))
    data = bytearray(lying.read_bytes())
    at, half = data.index(b"tkhd") + 44, round(0.5**0.5 * 65536)
    data[at : at + 36] = struct.pack(">9i", half, half, 0, -half, half, 0, 0, 0, 1 << 30)
    (tmp_path / "in.mp4").write_bytes(data)
    notes = run(tmp_path / "in.mp4", tmp_path / "out.mp4")["notes"]
    assert notes == ["it is to be shown turned by 45 degrees; its frames were turned by quarters only"]
