"""What the page shows of the chosen photograph, and what of it has changed since it was sent."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from odekit_web.visit import Photo, View, draw_boxes, read_upload


@dataclass(frozen=True)
class Shown:
    """What a browser shows. It travels with what it describes, so that both are always of the same photograph."""

    photo: str = ""
    """Its key."""
    searched: str = ""
    ticked: tuple[int, ...] = ()
    results: int = 0
    view: int = 0

    @classmethod
    def read(cls, text: str) -> Shown:
        """What a browser sent; nothing is shown if it is not of this form."""
        try:
            values = json.loads(text)
            return cls(**values | {"ticked": tuple(values["ticked"])})
        except (ValueError, TypeError, KeyError):
            return cls()

    def text(self) -> str:
        """For `read`."""
        return json.dumps(asdict(self))


def show(photo: Photo | None, view: int | None, before: Shown) -> tuple[Any, ...]:
    """Boxes, ticks, views, slider, downloads and `Shown` of a photograph; what the browser has already is left out.

    Args:
        photo: the chosen one.
        view: the chosen place of the views.
        before: what the browser shows.
    """
    now = Shown() if photo is None else Shown(photo.key, photo.searched, tuple(photo.ticked), photo.results)
    same_result = (now.photo, now.results) == (before.photo, before.results)
    views = photo.views if photo else []
    if same_result and view is not None and 0 <= view < len(views):
        now = Shown(now.photo, now.searched, now.ticked, now.results, view)
    same_faces = (now.photo, now.searched) == (before.photo, before.searched)
    faces = [(f"face {face.number}", face.number) for face in photo.faces if not face.left_out] if photo else []
    result, record = (photo.result, photo.record) if photo else (None, None)
    return (
        gr.skip() if same_faces and now.ticked == before.ticked else boxes(photo),
        gr.skip() if same_faces else gr.CheckboxGroup(choices=faces, value=list(now.ticked)),
        gr.skip() if same_result else view_list(views),
        gr.skip() if same_result and now.view == before.view else pair(views, now.view),
        gr.skip() if same_result else download(result),
        gr.skip() if same_result else download(record),
        gr.skip() if now == before else now.text(),
    )


def view_list(views: list[View]) -> Any:
    """The whole photograph and its faces, to choose from."""
    return gr.Dropdown(choices=[(view.label, i) for i, view in enumerate(views)], value=0 if views else None)


def pair(views: list[View], number: int) -> tuple[str, str] | None:
    """Before and after, for the slider; both files were written together."""
    return (str(views[number].before), str(views[number].after)) if views else None


def download(path: Path | None) -> Any:
    """A button for a file, if there is one."""
    return gr.DownloadButton(value=None if path is None else str(path), interactive=path is not None)


def boxes(photo: Photo | None) -> Any:
    """The photograph with its boxes; None if it cannot be read."""
    if photo is None or not photo.width:
        return None
    return draw_boxes(photo, read_upload(photo.path, photo.name))
