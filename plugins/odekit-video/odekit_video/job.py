"""A run of `odekit video`: its folder, its two passes, and its record."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from odekit.chains.chain import Chain
from odekit.core.files import write_atomic
from odekit.errors import ConfigError, InputError, NoFaceWarning, OutputError
from odekit_video.assemble import assemble
from odekit_video.colour import HDR_TRANSFERS
from odekit_video.decide import decide
from odekit_video.encode import Encoding, codec_for
from odekit_video.find import Tell, find
from odekit_video.plan import Plan
from odekit_video.read import probe
from odekit_video.restore import BATCH, Restorer

PLAN = "plan.json"


class VideoJob:
    """What `odekit video` was asked to do.

    Args:
        source: the video.
        output: the file to write.
        span: first frame, and the one after the last; None: to the end.
        codec: encoder; None: by the ending of the output.
        quality: constant rate factor.
    """

    def __init__(
        self, source: Path, output: Path, span: tuple[int, int | None] = (0, None), codec: str | None = None,
        quality: int = 17,
    ) -> None:  # fmt: skip
        self.source, self.output, self.span, self.quality = source, output, span, quality
        self.codec = codec_for(output, codec)
        self.folder = output.with_name(f"{output.name}.parts")
        self.record_file = output.with_name(f"{output.name}.json")

    def check(self, resume: bool, overwrite: bool) -> None:
        """Refuse what would overwrite something, or begin in what an earlier run left.

        Raises:
            InputError: the input is missing, or is the output.
            OutputError: something is there, and neither `resume` nor `overwrite` says what to do with it.
        """
        if not self.source.is_file():
            raise InputError(f"{self.source}: there is no such file")
        if self.output.exists() and self.output.samefile(self.source):
            raise InputError(f"{self.output} is the input; choose another output")
        if not self.output.parent.is_dir():
            raise OutputError(f"{self.output}: there is no folder {self.output.parent}")
        if overwrite:
            if self.folder.is_dir():
                shutil.rmtree(self.folder)
            return
        if self.output.exists() and not resume:
            raise OutputError(f"{self.output} is there already; --overwrite replaces it")
        if self.folder.exists() and not resume:
            raise OutputError(
                f"{self.folder} is what an unfinished run left: --resume continues it, --overwrite starts anew"
            )

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
        info = probe(self.source)
        digest = file_digest(self.source)
        seed = chain.spec.seed if seed is None else seed
        key = {
            "video": digest, "chain": chain.tree(), "seed": seed, "frames": list(self.span),
            "encoding": [self.codec, self.quality],
        }  # fmt: skip
        self.folder.mkdir(exist_ok=True)
        name = f"video {digest[:32]}"
        plan = Plan.read(self.folder / PLAN, key)
        session = chain.open(images=BATCH, seed=seed, device=device, precision=precision)
        if plan is None:
            plan = find(self.source, info, chain, tell, self.span[1])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NoFaceWarning)
                decide(self.source, info, plan, session, name, tell)
            plan.write(self.folder / PLAN, key)
        if self.span[0] >= len(plan.pts):
            raise InputError(f"{self.source} has {len(plan.pts)} frames; --frames begins with {self.span[0]}")
        restorer = Restorer(
            self.source, info, plan, session, name,
            Encoding(self.codec, self.quality, info.time_base, info.rate, info.aspect), tell, first=self.span[0],
        )  # fmt: skip
        with warnings.catch_warnings():  # the line of the run says that frames have no face
            warnings.simplefilter("ignore", NoFaceWarning)
            segments = restorer.run(self.folder)
        starts = [plan.pts[start] for start, _ in restorer.segments()]
        begin = plan.pts[self.span[0]] if self.span[0] else 0
        end = None if self.span[1] is None else after_last(plan.pts)
        notes = assemble(self.source, segments, starts, info.time_base, self.output, (begin, end))
        if info.transfer in HDR_TRANSFERS:
            notes.append(f"{HDR_TRANSFERS[info.transfer]} video: faces were restored in its coded values")
        record = {
            "video": str(self.source), "sha256": digest, "output": str(self.output), "chain": chain.tree(),
            "seed": seed, "size": [info.width, info.height], "frames": len(plan.pts) - self.span[0],
            "frames_failed": restorer.failed, "failure": restorer.reason, "shots": len(plan.shots),
            "tracks": tracks_tree(plan), "pictures": plan.pictures, "packets_damaged": plan.damaged, "notes": notes,
            "codec": self.codec, "quality": self.quality, "seconds": round(time.monotonic() - began, 1),
        }  # fmt: skip
        write_atomic(json.dumps(record, indent=1).encode(), self.record_file)
        if preview is not None:
            from odekit_video.preview import write_preview

            write_preview(self.source, self.output, preview)
        shutil.rmtree(self.folder)
        return record


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


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file)


def _digest(file: Any) -> str:
    total = hashlib.sha256()
    while block := file.read(1 << 20):
        total.update(block)
    return total.hexdigest()


def after_last(pts: Sequence[int]) -> int:
    """The time stamp at which the last frame ends: as long as the one before."""
    return pts[-1] + (pts[-1] - pts[-2] if len(pts) > 1 else 1)


def tracks_tree(plan: Plan) -> list[dict[str, Any]]:
    """Each track in the form of the record: its frames, and what was decided."""
    frames: dict[int, list[int]] = {}
    for number, faces in enumerate(plan.faces):
        for track, _, _ in faces:
            frames.setdefault(track, []).append(number)
    return [
        {"track": track, "first": numbers[0], "last": numbers[-1], "decided": plan.tracks.get(track, {})}
        for track, numbers in sorted(frames.items())
    ]


def line_of(record: dict[str, Any]) -> str:
    """The line of the console: what was found and done."""
    tracks = record["tracks"]
    treated = sum(any(track["decided"].values()) for track in tracks)
    parts = [f"{record['frames']} frames, {record['shots']} shot{'s' * (record['shots'] > 1)}"]
    if not tracks:
        parts.append("no faces found")
    else:
        parts.append(f"{len(tracks)} face{'s' * (len(tracks) > 1)}, {treated} restored, {len(tracks) - treated} left")
    if record["packets_damaged"]:
        parts.append(f"{len(record['packets_damaged'])} damaged packets skipped")
    if record["frames_failed"]:
        parts.append(f"{record['frames_failed']} frames kept as they were ({record['failure']})")
    return "; ".join([f"{record['output']}: {parts[0]}", *parts[1:], *record["notes"]])
