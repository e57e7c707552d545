"""A visit: the photographs of one browser, as files in a folder of their own that goes when the browser does."""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

import odekit
from odekit_web.engine import FoundFace
from odekit_web.messages import page_message
from odekit_web.settings import MAX_FILE_BYTES, MAX_FILE_MB, MAX_MEGAPIXELS

if TYPE_CHECKING:
    from odekit.plugins import Image

FOLDER = "visit-"
"""What the names of the folders begin with."""
SHOWN_SIDE = 1600
"""Longer side of the pictures that the page shows, in pixels; downloads have all pixels."""
ANIMATED = ("GIF", "WEBP", "PNG", "AVIF", "TIFF")
"""Formats whose files may have several frames. Those in JPEG files of telephones are no animation."""
FIRST_ONLY = "; the file has several frames: only the first one is kept"
TICKED, SKIPPED, OUT = (60, 200, 60), (235, 140, 40), (150, 150, 150)


@dataclass
class View:
    """A pair of pictures for the slider."""

    label: str
    before: Path
    after: Path


@dataclass
class Photo:
    """One uploaded picture. No pixels are kept in memory."""

    name: str
    path: Path
    error: str = ""
    """Why it cannot be read or restored."""
    width: int = 0
    height: int = 0
    faces: list[FoundFace] = field(default_factory=list)
    searched: str = ""
    """The chain that `faces` were found with."""
    ticked: list[int] = field(default_factory=list)
    mask: Path | None = None
    text: str = ""
    """What was done."""
    result: Path | None = None
    record: Path | None = None
    views: list[View] = field(default_factory=list)
    results: int = 0
    """How many results there have been, those that were removed included: tells an old one from a new one."""
    label: str = ""
    """The name, with a number if it is not the first photograph of this name."""
    note: str = ""
    """What is said behind each line about it."""
    key: str = field(default_factory=lambda: secrets.token_hex(8))
    """What the page sends of this photograph, and of no other one."""

    def __post_init__(self) -> None:
        self.label = self.label or self.name

    @property
    def line(self) -> str:
        """The photograph in one line."""
        return f"{self.label}: {self.error or self.text or 'not restored yet'}{self.note}"

    def forget_result(self) -> None:
        """Remove the files of an earlier result, so that nothing stale can be downloaded."""
        for path in (self.result, self.record, *(p for view in self.views for p in (view.before, view.after))):
            if path is not None:
                path.unlink(missing_ok=True)
        self.result = self.record = None
        self.views, self.text, self.error = [], "", ""
        self.results += 1


@dataclass
class Visit:
    """The photographs of one browser."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix=FOLDER)))
    photos: list[Photo] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    """Of what was asked for last."""
    earlier: list[threading.Event] = field(default_factory=list)
    """Of what was asked for before, and may still run."""
    closed: bool = False
    count: int = 0
    running: int = 0
    """How much was asked for and has not ended."""
    changes: int = 0
    """How often results have come or gone."""
    archive: Path | None = None
    """A zip of the results as they are now."""

    def begin(self) -> None:
        """Something new was asked for; a stop from now on counts. What was stopped before stays stopped."""
        self.running += 1
        self.earlier = [stop for stop in (*self.earlier, self.stop) if not stop.is_set()]
        self.stop = threading.Event()

    def end(self) -> None:
        """What was asked for has ended."""
        self.running = max(0, self.running - 1)

    def change(self) -> None:
        """Results come or go: an archive of the earlier ones is not offered any longer."""
        self.changes += 1
        if self.archive is not None:
            self.archive.unlink(missing_ok=True)
        self.archive = None

    def free_label(self, name: str) -> str:
        """The name, or the name with a number if a photograph has it."""
        label, number, used = name, 2, {photo.label for photo in self.photos}
        while label in used:
            label, number = f"{name} ({number})", number + 1
        return label

    def halt(self) -> None:
        """Stop everything that was asked for."""
        for stop in (*self.earlier, self.stop):
            stop.set()
        self.earlier = []

    def close(self) -> None:
        """Stop what runs, and remove the files."""
        self.closed = True
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)

    def photo(self, key: str | None) -> Photo | None:
        """The photograph with this key."""
        return next((photo for photo in self.photos if photo.key == key), None)

    def place(self, stem: str, suffix: str) -> Path:
        """A new file name in the folder.

        Raises:
            Stopped: the visit has ended.
        """
        if self.closed:
            raise odekit.Stopped
        self.count += 1
        folder = self.folder / f"{self.count}"
        folder.mkdir()
        return folder / f"{stem}{suffix}"


def read_upload(path: Path, name: str) -> Image:
    """An uploaded file as a picture; its content is checked, not its name.

    Raises:
        InputError: too large, or no picture; the message begins with the name.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise odekit.InputError(f"{name}: is larger than {MAX_FILE_MB} MB")
    try:
        return odekit.read(path, max_megapixels=MAX_MEGAPIXELS)
    except odekit.InputError as error:
        raise odekit.InputError(page_message(error).replace(str(path), name)) from error


def note_of(path: Path) -> str:
    """What is said of a file of several frames, of which one is restored."""
    try:
        with PIL.Image.open(path) as picture:
            return FIRST_ONLY if picture.format in ANIMATED and getattr(picture, "n_frames", 1) > 1 else ""
    except Exception:  # PIL raises many kinds; the file was read, so this is only about its further frames
        return ""


def small(image: Image) -> PIL.Image.Image:
    """A copy for the page."""
    picture = image.to_pil().convert("RGB")
    picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    return picture


def draw_boxes(photo: Photo, image: Image) -> PIL.Image.Image:
    """The photograph with numbered boxes: green for ticked faces, orange for skipped ones, grey for those left out."""
    picture = small(image)
    pen = PIL.ImageDraw.Draw(picture)
    width = max(2, round(max(picture.size) / 400))
    for face in photo.faces:
        x0, x1 = (face.box[i] * picture.width for i in (0, 2))
        y0, y1 = (face.box[i] * picture.height for i in (1, 3))
        colour = OUT if face.left_out else TICKED if face.number in photo.ticked else SKIPPED
        pen.rectangle((x0, y0, x1, y1), outline=colour, width=width)
        font = PIL.ImageFont.load_default(max(16, round(max(picture.size) / 30)))
        pen.text((x0 + 2 * width, y0), str(face.number), fill=colour, font=font, stroke_width=1, stroke_fill="black")
    return picture


def keep_result(visit: Visit, photo: Photo, image: Image, result: odekit.Result) -> None:
    """Write the result, its record and what the slider shows."""
    stem = output_stem(photo.name)
    target = visit.place(stem, ".png")
    try:
        written = odekit.write(result.image, target.with_name(f"{stem}-restored"))
        record = target.with_name(f"{written.name}.json")
        entries = result.record | {"input": {**result.record.get("input", {}), "path": photo.name}}
        entries["output"] = {"path": written.name}
        record.write_text(json.dumps(entries, indent=1, default=str) + "\n", encoding="utf-8")
        views = [_view(target.with_name("0"), "whole photograph", image, result.image)]
        for face in odekit.face_crops(result.record, image, result.image):
            if face.before is not None and face.after is not None:
                label = f"face {face.number}: {face.decision}"
                views.append(_view(target.with_name(str(len(views))), label, face.before, face.after))
    except BaseException:
        shutil.rmtree(target.parent, ignore_errors=True)  # half of a result is of no use, and the disk may be full
        raise
    photo.text = odekit.findings_of(result.record).text
    photo.result, photo.record, photo.views, photo.error = written, record, views, ""
    photo.results += 1
    visit.change()


def output_stem(name: str) -> str:
    """What the names of a photograph's results begin with; no dot, because Gradio hands out no hidden files."""
    return Path(name).stem.lstrip(". ") or "picture"


def _view(path: Path, label: str, before: Image, after: Image) -> View:
    """Both pictures at the size of the result, at most `SHOWN_SIDE`, beside a path."""
    second = small(after)
    first = before.to_pil().convert("RGB").resize(second.size, PIL.Image.Resampling.LANCZOS)
    paths = path.with_name(f"before-{path.name}.webp"), path.with_name(f"after-{path.name}.webp")
    for picture, place in zip((first, second), paths, strict=True):
        picture.save(place, quality=90)
    return View(label, *paths)


def mask_of(photo: Photo) -> Any:
    """The drawn mask at the photograph's size, float32 (H, W); None if none was drawn."""
    if photo.mask is None:
        return None
    with PIL.Image.open(photo.mask) as picture:
        grown = picture.convert("L").resize((photo.width, photo.height), PIL.Image.Resampling.NEAREST)
    return np.asarray(grown, np.float32) / np.float32(255)


def keep_mask(visit: Visit, photo: Photo, layers: list[Any]) -> bool:
    """Store what was drawn, (H, W, 4) layers of which alpha counts; False if nothing was drawn."""
    drawn = None
    for layer in layers:
        alpha = np.asarray(layer)[..., 3] > 127
        drawn = alpha if drawn is None else drawn | alpha
    if drawn is None or not drawn.any():
        photo.mask = None
        return False
    photo.mask = visit.place("mask", ".png")
    PIL.Image.fromarray(np.where(drawn, np.uint8(255), np.uint8(0))).save(photo.mask)
    return True
