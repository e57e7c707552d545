"""The page: its components, and what happens when they are used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import gradio as gr

import odekit
from odekit_web.api import Api
from odekit_web.engine import Engine
from odekit_web.settings import MAX_FILE_MB, MAX_MEGAPIXELS, SCRATCHES, STRENGTHS, Settings, chain_names
from odekit_web.visit import Photo, Visit, draw_boxes, keep_mask, make_zip, read_upload, small
from odekit_web.visits import Visits
from odekit_web.work import add_photos, find_faces, restore_photos

LINE = "one-at-a-time"
"""The queue of everything that computes: all visitors wait for each other."""
NOTHING_READABLE = "nothing to restore: none of the files is a picture that can be read"
CSS = "footer {opacity: .7} #lines textarea {font-family: monospace}"
T = TypeVar("T")


def told(call: Callable[[], T]) -> T:
    """A call whose errors become a line in the page."""
    try:
        return call()
    except odekit.OdekitError as error:
        raise gr.Error(str(error), print_exception=False) from error


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

    def add(
        self, files: list[str] | None, chain: str, request: gr.Request, progress: Any = gr.Progress()
    ) -> tuple[Any, ...]:
        """Files were dropped."""
        visit = self.visits.of(request.session_hash)
        visit.begin()
        added = told(lambda: add_photos(self.engine, visit, files or [], chain, in_page(progress)))
        first = next((photo for photo in added if photo.width), added[0] if added else None)
        number = visit.photos.index(first) if first is not None else None
        left = len(files or []) - len(added)
        state = f"stopped: {left} of {len(added) + left} photographs were not taken" if left else ""
        return state, None, self.chooser(visit, number), *self.photo(visit, number)

    def chooser(self, visit: Visit, number: int | None) -> Any:
        """The list of photographs, one chosen."""
        return gr.Dropdown(choices=[(photo.name, i) for i, photo in enumerate(visit.photos)], value=number)

    def choose(self, number: int | None, request: gr.Request) -> tuple[Any, ...]:
        """Another photograph was chosen."""
        return self.photo(self.visits.of(request.session_hash), number)

    def photo(self, visit: Visit, number: int | None) -> tuple[Any, ...]:
        """What the page shows of a photograph: boxes, ticks, then the result."""
        photo = chosen(visit, number)
        ticks = gr.CheckboxGroup(
            choices=[(face_label(face), face.number) for face in photo.faces if not face.left_out] if photo else [],
            value=photo.ticked if photo else [],
        )
        return self.boxes(photo), ticks, *self.result(visit, photo)

    def boxes(self, photo: Photo | None) -> Any:
        """The photograph with its boxes; None if it cannot be read."""
        if photo is None or not photo.width:
            return None
        return draw_boxes(photo, read_upload(photo.path, photo.name))

    def result(self, visit: Visit, photo: Photo | None, view: int = 0) -> tuple[Any, ...]:
        """Lines of all photographs, views, slider and downloads."""
        lines = "\n".join(each.line for each in visit.photos)
        views = photo.views if photo else []
        done = photo is not None and photo.result is not None
        return (
            lines,
            gr.Dropdown(choices=[(each.label, i) for i, each in enumerate(views)], value=view if views else None),
            (str(views[view].before), str(views[view].after)) if views else None,
            gr.DownloadButton(value=str(photo.result) if done and photo else None, interactive=done),
            gr.DownloadButton(value=str(photo.record) if done and photo else None, interactive=done),
            gr.Button(interactive=any(each.result is not None for each in visit.photos)),
        )

    def tick(self, ticked: list[int], number: int | None, request: gr.Request) -> Any:
        """Faces were ticked or skipped."""
        photo = chosen(self.visits.of(request.session_hash), number)
        if photo is None:
            return None
        photo.ticked = list(ticked)
        return self.boxes(photo)

    def change_chain(self, chain: str, number: int | None, request: gr.Request) -> tuple[Any, ...]:
        """Another chain finds other faces: those of the chosen photograph now, those of others in their turn."""
        visit = self.visits.of(request.session_hash)
        photo = chosen(visit, number)
        if photo is not None and photo.width and photo.searched != chain:
            told(lambda: find_faces(self.engine, photo, chain))
        return self.photo(visit, number)

    def draw(self, number: int | None, request: gr.Request) -> Any:
        """The photograph in the editor."""
        photo = chosen(self.visits.of(request.session_hash), number)
        if photo is None or not photo.width:
            raise gr.Error("choose a photograph first", print_exception=False)
        return {"background": small(read_upload(photo.path, photo.name)), "layers": [], "composite": None}

    def use_mask(self, editor: dict[str, Any] | None, number: int | None, request: gr.Request) -> str:
        """What was drawn becomes the mask of the photograph."""
        visit = self.visits.of(request.session_hash)
        photo = chosen(visit, number)
        if photo is None:
            raise gr.Error("choose a photograph first", print_exception=False)
        drawn = keep_mask(visit, photo, (editor or {}).get("layers") or [])
        return f"{photo.name}: {'what you drew will be filled' if drawn else 'no mask'}"

    def begin(self, request: gr.Request) -> str:
        """The button was pressed; a stop from now on counts, while others are served, too."""
        self.visits.of(request.session_hash).begin()
        return "waiting for its turn"

    def stop(self, request: gr.Request) -> str:
        """Stop before the next network call."""
        self.visits.of(request.session_hash).stop.set()
        return "stopping"

    def restore(
        self, every: bool, number: int | None, settings: Settings, request: gr.Request, progress: Any
    ) -> Iterator[tuple[Any, ...]]:
        """Restore all photographs, or the chosen one."""
        visit = self.visits.of(request.session_hash)
        shown = chosen(visit, number)
        photos = visit.photos if every else [shown] if shown is not None else []
        readable = [photo for photo in photos if photo.width]
        state = "done" if readable else NOTHING_READABLE if photos else "drop a photograph first"
        try:
            for done, photo in enumerate(restore_photos(self.engine, visit, readable, settings, in_page(progress)), 1):
                yield f"{done} of {len(readable)}: {photo.line}", *self.result(visit, shown)
            if failed := sum(bool(photo.error) for photo in readable):
                state = f"failed: {failed} of {len(readable)}; the list tells why"
        except odekit.Stopped:
            state = "stopped"
        except odekit.OdekitError as error:
            state = f"failed: {error}"  # in the page until the next run, where a message would go after some seconds
        yield state, *self.result(visit, shown)

    def restore_all(
        self, number: int | None, chain: str, strength: str, own: bool, fidelity: float, scratches: str,
        request: gr.Request, progress: Any = gr.Progress(),
    ) -> Iterator[tuple[Any, ...]]:  # fmt: skip
        """Restore all photographs."""
        yield from self.restore(
            True, number, Settings(chain, strength, fidelity if own else None, scratches), request, progress
        )

    def restore_one(
        self, number: int | None, chain: str, strength: str, own: bool, fidelity: float, scratches: str,
        request: gr.Request, progress: Any = gr.Progress(),
    ) -> Iterator[tuple[Any, ...]]:  # fmt: skip
        """Restore the chosen photograph."""
        yield from self.restore(
            False, number, Settings(chain, strength, fidelity if own else None, scratches), request, progress
        )

    def view(self, view: int | None, number: int | None, request: gr.Request) -> Any:
        """The whole photograph, or a face of it, in the slider."""
        photo = chosen(self.visits.of(request.session_hash), number)
        views = photo.views if photo else []
        if view is None or not 0 <= view < len(views):
            return None
        return str(views[view].before), str(views[view].after)

    def zip(self, request: gr.Request) -> Any:
        """Everything that was restored, as an archive."""
        return gr.File(value=str(told(lambda: make_zip(self.visits.of(request.session_hash)))), visible=True)

    def clear(self, request: gr.Request) -> tuple[Any, ...]:
        """Remove all photographs."""
        self.visits.end(request.session_hash)
        visit = self.visits.of(request.session_hash)
        return "", self.chooser(visit, None), gr.File(value=None, visible=False), *self.photo(visit, None)

    def leave(self, request: gr.Request) -> None:
        """The browser has left the page."""
        self.visits.end(request.session_hash)


def chosen(visit: Visit, number: int | None) -> Photo | None:
    """The photograph with this number."""
    return visit.photos[number] if number is not None and 0 <= number < len(visit.photos) else None


def face_label(face: Any) -> str:
    """A face in the list."""
    return f"face {face.number}"


def make_page(engine: Engine | None = None) -> gr.Blocks:
    """The page, not yet served."""
    page = Page(engine or Engine())
    api = Api(page.engine)
    hidden: dict[str, Any] = {"api_visibility": "private"}
    queued: dict[str, Any] = {**hidden, "concurrency_id": LINE, "concurrency_limit": 1}
    at_once: dict[str, Any] = {**hidden, "queue": False, "show_progress": "hidden"}
    with gr.Blocks(title="odekit", analytics_enabled=False, delete_cache=(600, 7200)) as blocks:
        gr.Markdown(
            "# odekit\nDrop photographs, choose faces, compare. Everything stays on this machine. A restored face is "
            "one of many plausible faces: do not use it to identify people."
        )
        with gr.Row():
            with gr.Column():
                files = gr.File(
                    label=f"Photographs (at most {MAX_FILE_MB} MB and {MAX_MEGAPIXELS:g} megapixels each)",
                    file_count="multiple", height=140, elem_id="files",
                )  # fmt: skip
                chooser = gr.Dropdown(label="Photograph", choices=[], elem_id="chooser")
                boxes = gr.Image(label="Faces", interactive=False, buttons=[], elem_id="boxes", type="pil")
                ticks = gr.CheckboxGroup(label="Restore these faces", choices=[], elem_id="ticks")
            with gr.Column():
                chain = gr.Dropdown(label="Chain", choices=chain_names(), value=chain_names()[0], elem_id="chain")
                strength = gr.Radio(label="Strength", choices=list(STRENGTHS), value="auto", elem_id="strength")
                with gr.Row():
                    own = gr.Checkbox(label="Choose fidelity", value=False)
                    fidelity = gr.Slider(
                        0, 1, 0.5, step=0.05, label="Fidelity: 0 faithful, 1 realistic (where the strength is not auto)"
                    )
                scratches = gr.Radio(label="Scratches", choices=list(SCRATCHES), value=SCRATCHES[0])
                with gr.Accordion("Draw scratches yourself", open=False, elem_id="drawing"):
                    start = gr.Button("Draw on the chosen photograph", size="sm", elem_id="draw")
                    editor = gr.ImageEditor(
                        label="What you draw is filled", sources=(), transforms=(), layers=False, buttons=[],
                        brush=gr.Brush(default_size=6, colors=["#ff2020"], color_mode="fixed"), elem_id="editor",
                    )  # fmt: skip
                    use = gr.Button("Use this mask", size="sm", elem_id="use-mask")
                    mask_state = gr.Markdown()
                with gr.Row():
                    go = gr.Button("Restore all", variant="primary", elem_id="restore")
                    one = gr.Button("Restore this one", elem_id="restore-one")
                    halt = gr.Button("Stop", variant="stop", elem_id="stop")
                    empty = gr.Button("Remove all", elem_id="clear")
                state = gr.Textbox(label="State", interactive=False, elem_id="state")
                lines = gr.Textbox(label="What was done", interactive=False, lines=5, max_lines=12, elem_id="lines")
        views = gr.Dropdown(label="Show", choices=[], elem_id="views")
        slider = gr.ImageSlider(label="Before and after", interactive=False, type="filepath", elem_id="slider")
        with gr.Row():
            picture = gr.DownloadButton("Picture", interactive=False, elem_id="picture")
            record = gr.DownloadButton("Record", interactive=False, elem_id="record")
            pack = gr.Button("Make a zip of all", interactive=False, elem_id="zip")
            archive = gr.File(label="Zip", interactive=False, visible=False, height=90, elem_id="archive")
        result = [lines, views, slider, picture, record, pack]
        shown = [boxes, ticks, *result]
        files.upload(page.add, [files, chain], [state, files, chooser, *shown], **queued)
        chooser.input(page.choose, chooser, shown, **at_once).then(page.change_chain, [chain, chooser], shown, **queued)
        ticks.input(page.tick, [ticks, chooser], boxes, **at_once)
        chain.input(page.change_chain, [chain, chooser], shown, **queued)
        start.click(page.draw, chooser, editor, **at_once)
        use.click(page.use_mask, [editor, chooser], mask_state, **at_once)
        choices = [chooser, chain, strength, own, fidelity, scratches]

        for button, work in ((go, page.restore_all), (one, page.restore_one)):
            button.click(page.begin, None, state, **at_once).then(work, choices, [state, *result], **queued)
        halt.click(page.stop, None, state, **at_once)
        views.input(page.view, [views, chooser], slider, **at_once)
        pack.click(page.zip, None, archive, **at_once)
        empty.click(page.clear, None, [state, chooser, archive, *shown], **at_once)
        blocks.unload(page.leave)
        add_api(api)
    return blocks


def add_api(api: Api) -> None:
    """The endpoint `/restore`: components that are not shown say its types."""
    with gr.Row(visible=False):
        picture = gr.File(label="picture", type="filepath")
        chain = gr.Textbox("photo", label="chain")
        strength = gr.Textbox("auto", label="strength")
        fidelity = gr.Number(None, label="fidelity")
        scratches = gr.Textbox(SCRATCHES[0], label="scratches")
        leave = gr.Textbox("", label="leave")
        restored, record, text = gr.File(label="restored"), gr.File(label="record"), gr.Textbox(label="text")
        call = gr.Button("call")

    def restore(
        picture: str, chain: str, strength: str, fidelity: float | None, scratches: str, leave: str
    ) -> tuple[Any, ...]:
        return told(lambda: api.restore(picture, chain, strength, fidelity, scratches, leave))

    call.click(
        restore, [picture, chain, strength, fidelity, scratches, leave], [restored, record, text], api_name="restore",
        concurrency_id=LINE, concurrency_limit=1,
        api_description="Restore one picture: the restored picture, its record, and what was done in one line.",
    )  # fmt: skip
