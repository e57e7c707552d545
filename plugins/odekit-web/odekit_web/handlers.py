"""What happens when the components of the page are used.

One handler, `show`, writes what concerns the chosen photograph, one call at a time. The others change the visit and ask
for it by `news`. So a reply that comes late does not put one photograph over another.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import gradio as gr

import odekit
from odekit_web.archive import make_zip
from odekit_web.engine import Engine
from odekit_web.messages import page_message, writing
from odekit_web.settings import Settings
from odekit_web.shown import Shown, show
from odekit_web.visit import Visit, keep_mask, read_upload, small
from odekit_web.visits import Visits
from odekit_web.work import add_photos, find_faces, restore_photos

NOTHING_READABLE = "nothing to restore: none of the files is a picture that can be read"
NO_PHOTO = "choose a photograph first"
T = TypeVar("T")


def told(call: Callable[[], T]) -> T:
    """A call whose errors become a line in the page."""
    try:
        return call()
    except odekit.OdekitError as error:
        raise gr.Error(page_message(error), print_exception=False) from error


def in_page(progress: gr.Progress) -> Callable[[float, str], None]:
    """Shows progress in the page."""
    return lambda share, words: progress(share, desc=words)


class Page:
    """What the handlers share.

    Args:
        engine: restores.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.visits = Visits()
        self.count = itertools.count(1)

    def news(self) -> str:
        """A text that is new: the page asks for what is to be shown."""
        return str(next(self.count))

    def add(
        self, files: list[str] | None, chain: str, key: str | None, request: gr.Request, progress: Any = gr.Progress()
    ) -> tuple[Any, ...]:
        """Files were dropped."""
        visit = self.visits.of(request.session_hash)
        visit.begin()
        earlier, state = len(visit.photos), ""
        try:
            add_photos(self.engine, visit, files or [], chain, in_page(progress))
        except odekit.OdekitError as error:
            state = f"failed: {page_message(error)}"
        except odekit.Stopped:
            pass
        finally:
            visit.end()
        added = visit.photos[earlier:]
        visit = self.visits.of(request.session_hash)  # another one if all were removed meanwhile
        if left := len(files or []) - len(added):
            state = (
                state
                or f"stopped: {left} of {photographs(len(files or []))} {'was' if left == 1 else 'were'} not taken"
            )
        first = next((photo for photo in added if photo.width), added[0] if added else None)
        chosen = first.key if first is not None else key
        return state, None, self.chooser(visit, chosen), *self.lines(visit)

    def chooser(self, visit: Visit, key: str | None) -> Any:
        """The list of photographs, one chosen."""
        known = visit.photo(key) is not None
        choices = [(photo.label, photo.key) for photo in visit.photos]
        return gr.Dropdown(choices=choices, value=key if known else None)

    def lines(self, visit: Visit) -> tuple[Any, ...]:
        """A line for each photograph, whether there is something for a zip, the zip unless it is old, and `news`."""
        done = any(photo.result is not None for photo in visit.photos)
        archive = gr.File(value=None, visible=False) if visit.archive is None else gr.skip()
        return "\n".join(photo.line for photo in visit.photos), gr.Button(interactive=done), archive, self.news()

    def show(self, key: str | None, view: int | None, shown: str, request: gr.Request) -> tuple[Any, ...]:
        """What the page shows of the chosen photograph."""
        photo = self.visits.of(request.session_hash).photo(key)
        return told(lambda: show(photo, view, Shown.read(shown)))

    def tick(self, ticked: list[int], shown: str, request: gr.Request) -> str:
        """Faces of the photograph that is shown were ticked or skipped."""
        now = Shown.read(shown)
        photo = self.visits.of(request.session_hash).photo(now.photo)
        if photo is not None and photo.searched == now.searched:
            photo.ticked = list(ticked)
        return self.news()

    def search(self, chain: str, key: str | None, request: gr.Request) -> str:
        """Another chain finds other faces: those of the chosen photograph now, those of others in their turn."""
        photo = self.visits.of(request.session_hash).photo(key)
        if photo is not None and photo.width and photo.searched != chain:
            told(lambda: find_faces(self.engine, photo, chain))
        return self.news()

    def draw(self, key: str | None, request: gr.Request) -> tuple[Any, ...]:
        """The photograph in the editor, with its key."""
        photo = self.visits.of(request.session_hash).photo(key)
        if photo is None or not photo.width:
            raise gr.Error(NO_PHOTO, print_exception=False)
        background = small(told(lambda: read_upload(photo.path, photo.name)))
        return {"background": background, "layers": [], "composite": None}, photo.key, f"drawing on {photo.label}"

    def use_mask(self, editor: dict[str, Any] | None, drawn_on: str, request: gr.Request) -> str:
        """What was drawn becomes the mask of the photograph on which it was drawn, whichever is chosen now."""
        visit = self.visits.of(request.session_hash)
        photo = visit.photo(drawn_on)
        if photo is None:
            return "draw on a photograph first"
        try:
            with writing("the mask"):
                drawn = keep_mask(visit, photo, (editor or {}).get("layers") or [])
        except odekit.OutputError as error:
            return str(error)
        return f"{photo.label}: {'what you drew will be filled' if drawn else 'no mask'}"

    def begin(self, request: gr.Request) -> str:
        """The button was pressed; a stop from now on counts, while others are served, too."""
        self.visits.of(request.session_hash).begin()
        return "waiting for its turn"

    def stop(self, request: gr.Request) -> Any:
        """Stop before the next network call; nothing changes where nothing runs."""
        visit = self.visits.of(request.session_hash)
        if not visit.running:
            return gr.skip()
        visit.halt()
        return "stopping"

    def restore(
        self, every: bool, key: str | None, settings: Settings, request: gr.Request, progress: Any
    ) -> Iterator[tuple[Any, ...]]:
        """Restore all photographs, or the chosen one."""
        visit = self.visits.of(request.session_hash)
        one = visit.photo(key)
        photos = visit.photos if every else [one] if one is not None else []
        readable = [photo for photo in photos if photo.width]
        state = "done" if readable else NOTHING_READABLE if photos else "drop a photograph first"
        try:
            for done, photo in enumerate(restore_photos(self.engine, visit, readable, settings, in_page(progress)), 1):
                yield f"{done} of {len(readable)}: {photo.line}", *self.lines(visit)
            if failed := sum(bool(photo.error) for photo in readable):
                state = f"failed: {failed} of {len(readable)}; the list tells why"
        except odekit.Stopped:
            state = "" if visit.closed else "stopped"
        except odekit.OdekitError as error:
            state = f"failed: {page_message(error)}"  # stays until the next run, where a message would go after seconds
        finally:
            visit.end()
        yield state, *self.lines(self.visits.of(request.session_hash))

    def restore_all(
        self, key: str | None, chain: str, strength: str, own: bool, fidelity: float, scratches: str,
        request: gr.Request, progress: Any = gr.Progress(),
    ) -> Iterator[tuple[Any, ...]]:  # fmt: skip
        """Restore all photographs."""
        settings = Settings(chain, strength, fidelity if own else None, scratches)
        yield from self.restore(True, key, settings, request, progress)

    def restore_one(
        self, key: str | None, chain: str, strength: str, own: bool, fidelity: float, scratches: str,
        request: gr.Request, progress: Any = gr.Progress(),
    ) -> Iterator[tuple[Any, ...]]:  # fmt: skip
        """Restore the chosen photograph."""
        settings = Settings(chain, strength, fidelity if own else None, scratches)
        yield from self.restore(False, key, settings, request, progress)

    def zip(self, request: gr.Request) -> Any:
        """Everything that was restored, as an archive."""
        visit = self.visits.of(request.session_hash)

        def make() -> Any:
            path = make_zip(visit)
            with writing("the zip"):  # Gradio copies it
                return gr.File(value=str(path), visible=True)

        return told(make)

    def clear(self, request: gr.Request) -> tuple[Any, ...]:
        """Remove all photographs."""
        self.visits.end(request.session_hash)
        visit = self.visits.of(request.session_hash)
        return "", self.chooser(visit, None), None, "", "", *self.lines(visit)

    def leave(self, request: gr.Request) -> None:
        """The browser has left the page."""
        self.visits.end(request.session_hash)


def photographs(number: int) -> str:
    """`1 photograph`, `2 photographs`."""
    return f"{number} photograph{'' if number == 1 else 's'}"
