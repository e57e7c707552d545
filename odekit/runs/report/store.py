"""The pictures of a report: embedded in the page while they are few, else in a folder beside it.

A browser reads a page as a whole but loads pictures beside it one by one, so a page of thousands of pictures opens at
once, and only those that are looked at are decoded.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import PIL.Image

from odekit.core.files import write_atomic
from odekit.core.image import Image
from odekit.runs.report.embed import data_uri, encode_picture

MAX_EMBEDDED = 48_000_000
"""Largest sum of the pictures embedded in a page, in bytes; base64 makes it 64 MB of HTML."""
MAX_SIDE = 2400
"""Longer side to which larger pictures are reduced, in pixels: the width of a large window."""
FOLDER = "report_files"
_OWN_FILE = re.compile(r"\d{5}-[a-z0-9-]+\.(png|webp)")


@dataclass
class StoredPicture:
    """One picture of a page."""

    width: int
    """Of the picture before it was reduced, in pixels."""
    height: int
    shown_width: int
    """Of the stored picture, in pixels."""
    shown_height: int
    kind: str
    """MIME type."""
    file: str
    """Name in the folder."""
    store: PictureStore
    data: bytes | None
    """None once it is written to the folder."""

    @property
    def uri(self) -> str:
        """A data URI, or the path of the file relative to the page."""
        if self.data is not None:
            return data_uri(self.kind, self.data)
        return f"{self.store.folder.name}/{self.file}"


class PictureStore:
    """Keeps pictures in memory up to `MAX_EMBEDDED` bytes; beyond it, all of them go to a folder beside the page.

    Args:
        out: the folder of the page.
        used: paths of results relative to `out`; the folder of the pictures is none of theirs.
    """

    def __init__(self, out: Path, used: Iterable[str] = ()) -> None:
        self.folder = out / _unused_folder(out, used)
        self.size = 0
        self.pictures: list[StoredPicture] = []
        self.in_folder = False
        self._remove_old()

    def add(self, image: Image, name: str, max_side: int = MAX_SIDE) -> StoredPicture:
        """Store a picture.

        Args:
            image: any size; reduced to `max_side` if larger.
            name: lower-case letters, digits and hyphens; ends the file name.
            max_side: of the stored picture, in pixels.

        Raises:
            OSError: the folder cannot be written.
        """
        picture = PIL.Image.fromarray(image.to_uint8())
        picture.thumbnail((max_side, max_side), PIL.Image.Resampling.LANCZOS, reducing_gap=3.0)
        kind, data = encode_picture(picture)
        file = f"{len(self.pictures):05d}-{name}.{kind.partition('/')[2]}"
        stored = StoredPicture(image.width, image.height, *picture.size, kind, file, self, data)
        self.pictures.append(stored)
        self.size += len(data)
        if self.in_folder:
            self._write(stored)
        elif self.size > MAX_EMBEDDED:
            self.in_folder = True
            for earlier in self.pictures:
                self._write(earlier)
        return stored

    def _write(self, picture: StoredPicture) -> None:
        assert picture.data is not None
        write_atomic(picture.data, self.folder / picture.file)
        picture.data = None

    def _remove_old(self) -> None:
        """Remove the pictures of an earlier page, and nothing else."""
        with contextlib.suppress(FileNotFoundError):
            for path in list(self.folder.iterdir()):
                if _OWN_FILE.fullmatch(path.name):
                    path.unlink()
            with contextlib.suppress(OSError):  # it holds other files
                self.folder.rmdir()


def _unused_folder(out: Path, used: Iterable[str]) -> str:
    """`report_files`, or with a number if results lie in it, or if it is a link or a file."""
    taken = {Path(name).parts[0].casefold() for name in used if Path(name).parts}
    number, name = 1, FOLDER
    while name in taken or (out / name).is_symlink() or (out / name).is_file():
        number += 1
        name = f"{FOLDER}-{number}"
    return name
