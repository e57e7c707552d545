"""A run of `odekit video`: its folder, its two passes, and its record."""

from __future__ import annotations

import contextlib
import json
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from odekit.chains.chain import Chain
from odekit.core.files import write_atomic
from odekit.errors import ConfigError, InputError, NoFaceWarning, OdekitError, OutputError
from odekit_video.assemble import assemble
from odekit_video.colour import HDR_TRANSFERS
from odekit_video.continued import continue_stamps, missing_streams
from odekit_video.decide import decide
from odekit_video.encode import Encoding, codec_for
from odekit_video.find import Tell, find
from odekit_video.layout import Layout, layout_of
from odekit_video.lost import frame_losses
from odekit_video.place import Place
from odekit_video.plan import Plan
from odekit_video.quality import DEFAULT, check_quality, quality_note, scale_of
from odekit_video.read import VideoInfo, probe
from odekit_video.report import counted, tracks_tree
from odekit_video.restore import Restorer
from odekit_video.sessions import Sessions
from odekit_video.trial import try_encoder
from odekit_video.watch import Watch
from odekit_video.whole import check_single, cut_note

SHORT_SECONDS, SHORT_SHARE = 0.2, 0.02
"""A video that ends earlier than its file says, by more than this and this share of its length, is incomplete."""


class VideoJob:
    """What `odekit video` was asked to do.

    Args:
        source: the video.
        output: the file to write.
        span: first frame, and the one after the last; None: to the end.
        codec: encoder; None: by the ending of the output.
        quality: constant rate factor; None: 17, or what the encoder does where it has no scale for it.

    Raises:
        ConfigError: the encoder cannot write such a file, or has no scale for a quality.
    """

    def __init__(
        self, source: Path, output: Path, span: tuple[int, int | None] = (0, None), codec: str | None = None,
        quality: int | None = None,
    ) -> None:  # fmt: skip
        self.source, self.output, self.span = source, output, span
        self.codec = codec_for(output, codec)
        check_quality(self.codec, quality)
        self.quality = DEFAULT if quality is None else quality
        self.place = Place(output)
        self.folder = self.place.folder

    def check(self, resume: bool, overwrite: bool) -> None:
        """Refuse what cannot be written, or is there already. Raises what `Place.check` does."""
        self.place.check(self.source, resume, overwrite)

    def chain(self, name: str, settings: Sequence[str], strength: str) -> Chain:
        """The chain, with the settings of a person."""
        return Chain.load(name, settings).adjusted(strength)

    def run(
        self, chain: Chain, seed: int | None, device: str, precision: str, tell: Tell, preview: Path | None = None
    ) -> dict[str, Any]:
        """Both passes and the joined file; returns the record.

        Raises:
            InputError: not a video, or it changed.
            ConfigError: the chain has no stage `faces`, or changes the size of pictures.
            OutputError: the output cannot be written.
        """
        began = time.monotonic()
        watch = Watch(self.source)
        check_single(self.source)
        probe(self.source)
        layout = layout_of(self.source)
        seed = chain.spec.seed if seed is None else seed
        key = {
            "video": watch.digest, "chain": chain.tree(), "seed": seed, "frames": list(self.span),
            "encoding": [self.codec, self.quality],
        }  # fmt: skip
        name = f"video {watch.digest[:32]}"

        def tell_watching(phase: str, done: int, total: int) -> None:
            tell(phase, done, total)
            watch.glance()

        with self.place.working(), self._unchanged(watch), warnings.catch_warnings():
            warnings.simplefilter("ignore", NoFaceWarning)  # the line of the run says it once
            source = continue_stamps(self.source, layout, self.folder) if len(layout.sections) > 1 else self.source
            with named(source, self.source):
                info = probe(source)
                encoding = Encoding.of(self.codec, self.quality, info)
                notes = try_encoder(source, encoding, info, self.output.suffix.lower(), self.folder)
                sessions = Sessions(chain, seed, device, precision)
                plan = self._plan(source, chain, sessions, info, key, name, tell_watching)
                restorer = Restorer(source, info, plan, sessions, name, encoding, tell_watching, first=self.span[0])
                notes += self._assembled(restorer, layout, watch) + self._input_notes(source, layout)
            record = {
                "video": str(self.source), "sha256": watch.digest, "output": str(self.output), "chain": chain.tree(),
                "seed": seed, "size": [info.width, info.height], "frames": len(plan.pts) - self.span[0],
                "failed": restorer.failures(self.folder), "shots": len(plan.shots), "tracks": tracks_tree(plan),
                "pictures": plan.pictures, "packets_damaged": plan.damaged, "notes": notes, "codec": self.codec,
                "quality": self.quality if scale_of(self.codec) else None,
                "seconds": round(time.monotonic() - began, 1),
            }  # fmt: skip
            try:
                write_atomic(json.dumps(record, indent=1).encode(), self.place.record)
            except OSError as error:
                raise OutputError(f"{self.place.record}: cannot be written ({error.strerror or error})") from error
            if preview is not None:
                from odekit_video.preview import write_preview

                write_preview(source, self.output, preview, float(plan.pts[self.span[0]] * info.time_base))
        return record

    @contextlib.contextmanager
    def _unchanged(self, watch: Watch) -> Iterator[None]:
        """What was made of an input that changed is of no use: it is removed, and the error says why."""
        try:
            yield
        except OdekitError:
            try:
                watch.check()
            finally:
                if watch.changed:
                    self.place.plan.unlink(missing_ok=True)
            raise

    def _plan(
        self,
        source: Path,
        chain: Chain,
        sessions: Sessions,
        info: VideoInfo,
        key: Mapping[str, Any],
        name: str,
        tell: Tell,
    ) -> Plan:
        """The plan of an earlier run, or a new one."""
        plan = Plan.read(self.place.plan, key)
        if plan is None:
            plan = find(source, info, chain, tell, self.span)
            if self.span[0] >= len(plan.pts):
                raise InputError(
                    f"{self.source} has {counted(len(plan.pts), 'frame')}; --frames begins with {self.span[0]}"
                )
            decide(source, info, plan, sessions, name, tell, self.span[0])
            plan.write(self.place.plan, key)
        return plan

    def _assembled(self, restorer: Restorer, layout: Layout, watch: Watch) -> list[str]:
        """Restore all segments and join them; notes for the record."""
        pts, info = restorer.plan.pts, restorer.info
        segments = restorer.run(self.folder)
        times = [pts[start:end] for start, end in restorer.segments()]
        begin = pts[self.span[0]] if self.span[0] else int(layout.start / info.time_base)
        end = None if self.span[1] is None else after_last(pts)

        def publish(part: Path) -> None:
            watch.check(content=True)
            self.place.publish(part)

        notes = assemble(
            restorer.path, segments, times, restorer.encoding.counted, info.time_base, info.rate, info.tags,
            self.output,
            (begin, end), publish,
        )  # fmt: skip
        last = after_last(pts)
        length, reached = float((last - pts[0]) * info.time_base), float(last * info.time_base)
        # The length that a Matroska file states counts from 0, also where its first frame comes later.
        if self.span[1] is None and info.seconds - max(length, reached) > max(
            SHORT_SECONDS, SHORT_SHARE * info.seconds
        ):
            notes.append(f"it ends after {length:.1f} of {info.seconds:.1f} s: the input is damaged or incomplete")
        if info.transfer in HDR_TRANSFERS:
            notes.append(f"{HDR_TRANSFERS[info.transfer]} video: faces were restored in its coded values")
        return notes

    def _input_notes(self, source: Path, layout: Layout) -> list[str]:
        """What of the input is not as it should be, or not kept; `source` is what was read."""
        notes = frame_losses(source)
        if source != self.source:
            notes += missing_streams(self.source, source)
        if note := quality_note(self.codec):
            notes.append(note)
        if len(layout.sections) > 1:
            count = len(layout.sections) - 1
            notes.append(
                f"its time stamps begin again {'once' if count == 1 else f'{count} times'}; they were continued"
            )
        if layout.corrupt:
            several = layout.corrupt > 1
            notes.append(f"{layout.corrupt} packet{'s' * several} of its video {'are' if several else 'is'} incomplete")
        if self.span[1] is None and layout.pid is not None and (note := cut_note(self.source, layout.pid)):
            notes.append(note)
        return notes


@contextlib.contextmanager
def named(copy: Path, source: Path) -> Iterator[None]:
    """Errors about a copy of the input name the input."""
    try:
        yield
    except InputError as error:
        if copy == source or str(copy) not in str(error):
            raise
        raise InputError(str(error).replace(str(copy), str(source))) from error


def parse_frames(text: str | None) -> tuple[int, int | None]:
    """`a:b` as first frame and the one after the last. Raises ConfigError for anything else."""
    if text is None:
        return 0, None
    first, _, last = text.partition(":")
    try:
        span = int(first or 0), int(last) if last else None
    except ValueError:
        span = (-1, None)
    if ":" not in text or span[0] < 0 or (span[1] is not None and span[1] <= span[0]):
        raise ConfigError(f"--frames {text}: write first:last, such as 100:200; the last is excluded")
    return span


def after_last(pts: Sequence[int]) -> int:
    """The time stamp at which the last frame ends: as long as the one before."""
    return pts[-1] + (pts[-1] - pts[-2] if len(pts) > 1 else 1)
