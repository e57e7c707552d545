"""`odekit video`: restore the faces of a video with a chain, without flicker."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer


def video(
    chain: Annotated[str, typer.Argument(help="A chain with the stage `faces`, such as photo.")],
    source: Annotated[Path, typer.Argument(help="The video.", metavar="INPUT")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The video to write: .mp4, .mov, .m4v, .mkv or .webm.")],
    settings: Annotated[list[str] | None, typer.Option("--set", help="Change an option: path=value.")] = None,
    strength: Annotated[
        str, typer.Option(help="auto (decided once for each face), or for every face: none, light, medium, heavy.")
    ] = "auto",
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the noise; default: the chain's seed.")] = None,
    frames: Annotated[
        str | None, typer.Option(help="Only the frames A:B, counted from 0, without B; either may be left out.")
    ] = None,
    preview: Annotated[
        Path | None, typer.Option(help="Also write a contact sheet: frames before and after, as PNG or JPEG.")
    ] = None,
    codec: Annotated[str | None, typer.Option(help="Encoder; default: libx264, for .webm libvpx-vp9.")] = None,
    quality: Annotated[
        int | None, typer.Option(min=0, max=63, help="Constant rate factor, lower is better; default: 17.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32, tf32, bfloat16, float16 or int8.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output, and what a run left.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Restore the faces of a video with a chain.

    Faces are followed through each shot, it is decided once for each what is done, and a face gets the same noise in
    every frame. Audio and subtitles are copied. The record is written beside the output, as OUTPUT.json.

    Example: odekit video photo film.mp4 -o restored.mp4
    """
    from odekit.cli.show import print_json, print_line, print_message
    from odekit_video.job import VideoJob, parse_frames
    from odekit_video.preview import check_sheet
    from odekit_video.report import line_of

    job = VideoJob(source, out, parse_frames(frames), codec, quality)
    job.check(resume, overwrite)
    if preview is not None:
        check_sheet(preview, overwrite or resume)
    bar = Line()
    try:
        record = job.run(job.chain(chain, settings or [], strength), seed, device, precision, bar.tell, preview)
    except KeyboardInterrupt:
        bar.end()
        kept = f"; what is done is in {job.folder}, and --resume continues" if job.folder.exists() else ""
        print_message(f"interrupted{kept}")
        raise typer.Exit(130) from None
    bar.end()
    print_json(record) if as_json else print_line(line_of(record))
    if record["failed"]:
        raise typer.Exit(3)


class Line:
    """Progress on one line of the terminal; where stderr is no terminal, a line every ten seconds."""

    def __init__(self) -> None:
        self.stream = sys.stderr
        self.live = self.stream is not None and self.stream.isatty()
        self.shown, self.phase, self.began = 0.0, "", time.monotonic()

    def tell(self, phase: str, done: int, total: int) -> None:
        """Show how far a phase is."""
        now = time.monotonic()
        if phase != self.phase:
            self.end()
            self.phase, self.began, self.shown = phase, now, 0.0
        if self.stream is None or (now - self.shown < (0.2 if self.live else 10) and done != total):
            return
        self.shown = now
        seconds = now - self.began
        rate = done / max(1e-6, seconds)
        speed = f", {rate:.1f} a second" if seconds > 1 else ""
        left = f", {(total - done) / rate:.0f} s left" if rate and total > done and seconds > 3 else ""
        text = f"{phase}: frame {done}{f' of {total}' if total else ''}{speed}{left}"
        self.stream.write(f"\r\x1b[K{text}" if self.live else f"{text}\n")
        self.stream.flush()

    def end(self) -> None:
        """Finish the line."""
        if self.live and self.phase and self.stream is not None:
            self.stream.write("\n")
            self.stream.flush()
