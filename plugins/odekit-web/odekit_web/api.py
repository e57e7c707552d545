"""The HTTP API: one picture in, the restored picture, its record and one line out."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import odekit
from odekit.core.text import given
from odekit_web.engine import Engine
from odekit_web.messages import writing
from odekit_web.settings import SCRATCHES, Settings, check
from odekit_web.visit import Photo, Visit, keep_result, note_of, read_upload

KEPT = 3600
"""Seconds for which a result can be fetched."""
MOST_DIGITS = 6
"""Of the number of a face."""


class Api:
    """Calls without a page. Results are removed an hour later.

    Args:
        engine: restores.
        kept: seconds for which results are kept.
    """

    def __init__(self, engine: Engine, kept: float = KEPT) -> None:
        self.engine = engine
        self.kept = kept
        self.lock = threading.Lock()
        self.made: list[tuple[float, Visit]] = []

    def restore(
        self, picture: str, chain: str, strength: str, fidelity: float | None, scratches: str, leave: str
    ) -> tuple[str, str, str]:
        """Restore one picture.

        Args:
            picture: path of the uploaded file.
            chain: a name.
            strength: auto, none, light, medium or heavy.
            fidelity: 0 to 1; None: as the chain does.
            scratches: as the chain does, fill or leave.
            leave: numbers of faces that stay as they are, separated by commas.

        Returns:
            The paths of the result and of its record, and what was done in one line.

        Raises:
            OdekitError: the picture, a choice, or weights that are missing.
        """
        if not picture:
            raise odekit.InputError("picture: upload a file first")
        path = Path(picture)
        settings = Settings(chain, strength, fidelity, scratches or SCRATCHES[0])
        check(settings)
        image = read_upload(path, path.name)
        numbers = read_numbers(leave)
        faces = {face.number: face.box for face in self.engine.find(image, chain)} if numbers else {}
        if missing := numbers - faces.keys():
            raise odekit.ConfigError(f"leave: there is no face {min(missing)}; {found_text(len(faces))}")
        boxes = [faces[number] for number in sorted(numbers)]
        photo = Photo(path.name, path, width=image.width, height=image.height, note=note_of(path))
        result = self.engine.restore(image, settings, lambda progress: None, boxes)
        with writing(photo.name):
            keep_result(self._new(), photo, image, result)
        return str(photo.result), str(photo.record), photo.text + photo.note

    def _new(self) -> Visit:
        """A folder for a result, and a thread that removes it, unless one runs already."""
        visit = Visit()
        with self.lock:
            self.made.append((time.monotonic() + self.kept, visit))
            if len(self.made) == 1:
                threading.Thread(target=self._remove, name="remove results", daemon=True).start()
        return visit

    def _remove(self) -> None:
        while True:
            with self.lock:
                wait = self.made[0][0] - time.monotonic()
                if wait <= 0:
                    self.made.pop(0)[1].close()
                    if not self.made:
                        return
                    continue
            time.sleep(wait)


def found_text(number: int) -> str:
    """How many faces were found."""
    return f"{number} {'was' if number == 1 else 'were'} found"


def read_numbers(text: str) -> set[int]:
    """`1, 3` as numbers.

    Raises:
        ConfigError: anything else.
    """
    words = [word.strip() for word in (text or "").split(",") if word.strip()]
    if any(not (word.isascii() and word.isdigit() and len(word) <= MOST_DIGITS) for word in words):
        raise odekit.ConfigError(f"leave {given(text)}: write numbers of faces, such as 1,3")
    return {int(word) for word in words}
