"""What the page does with the photographs of a visit: add, find faces, restore, stop."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import odekit
from odekit_web.engine import Engine
from odekit_web.messages import page_message, writing
from odekit_web.settings import MAX_PHOTOS, Settings
from odekit_web.visit import Photo, Visit, keep_result, mask_of, note_of, read_upload

Show = Callable[[float, str], None]
"""Receives how far the work is (0 to 1), and a phase in words."""


def add_photos(engine: Engine, visit: Visit, files: Sequence[str], chain: str, show: Show) -> list[Photo]:
    """Take uploaded files over and find their faces. What cannot be taken is listed with the reason.

    The files become the visit's, which removes them when it ends. Fewer are returned if the visit was stopped.

    Raises:
        OdekitError: the faces cannot be searched, such as for a chain that does not exist; the photographs are taken.
    """
    added: list[Photo] = []
    stop, fault = visit.stop, None
    for number, file in enumerate(map(Path, files)):
        if stop.is_set():
            break
        photo = Photo(file.name, file, label=visit.free_label(file.name))
        if sum(bool(other.width) for other in visit.photos) >= MAX_PHOTOS:
            file.unlink(missing_ok=True)
            photo.error = f"was not taken; {MAX_PHOTOS} photographs at most, remove some first"
        else:
            with writing(photo.label):
                photo.path = visit.place(file.stem, file.suffix)
                shutil.move(file, photo.path)
            show(number / len(files), f"searching faces in {photo.label}")
            try:
                find_faces(engine, photo, chain)
            except odekit.InputError as error:
                photo.error = without_name(page_message(error), photo.name)
                if not photo.width:
                    photo.path.unlink(missing_ok=True)
            except odekit.OdekitError as error:
                fault = error  # the others are taken; `restore_photos` searches again
        if visit.closed:
            break
        added.append(photo)
        visit.photos.append(photo)
    if fault is not None:
        raise fault
    return added


def find_faces(engine: Engine, photo: Photo, chain: str) -> None:
    """Find the faces again, as another chain would; all are ticked."""
    image = read_upload(photo.path, photo.name)
    photo.width, photo.height, photo.note = image.width, image.height, note_of(photo.path)
    photo.faces, photo.searched = engine.find(image, chain), chain
    photo.ticked = [face.number for face in photo.faces if not face.left_out]


def restore_photos(
    engine: Engine, visit: Visit, photos: Sequence[Photo], settings: Settings, show: Show
) -> Iterator[Photo]:
    """Restore photographs one by one; each comes when it is done, or has failed.

    Raises:
        OdekitError: the chain cannot be opened; no photograph could be restored.
        Stopped: `visit.stop` was set, before the next network call.
    """
    readable, stop = [photo for photo in photos if photo.width], visit.stop
    for number, photo in enumerate(readable):
        far = 0.0

        def tell(progress: odekit.Progress, number: int = number, photo: Photo = photo) -> None:
            nonlocal far
            if stop.is_set():
                raise odekit.Stopped
            far = max(far, progress.share)
            show((number + far) / len(readable), f"{photo.label}: {in_words(progress)}")

        tell(odekit.Progress(images=1))
        if photo.searched != settings.chain:
            find_faces(engine, photo, settings.chain)
        leave = [face.box for face in photo.faces if face.number not in photo.ticked and not face.left_out]
        try:
            image = read_upload(photo.path, photo.name)
            result = engine.restore(image, settings, tell, leave, mask_of(photo))
            photo.forget_result()
            visit.change()
            with writing(photo.label):
                keep_result(visit, photo, image, result)
        except odekit.OutputError as error:
            if visit.closed:  # its folder was removed meanwhile
                raise odekit.Stopped from error
            raise
        except (odekit.ConfigError, odekit.WeightsError, odekit.PluginError, odekit.DeviceError):
            raise
        except odekit.OdekitError as error:
            photo.forget_result()  # nothing stale can be downloaded beside the reason
            visit.change()
            photo.error = without_name(page_message(error), photo.name)
        except OSError as error:
            if visit.closed:
                raise odekit.Stopped from error
            raise odekit.InputError(f"{photo.label}: its file cannot be read ({error.strerror})") from error
        yield photo


def in_words(progress: odekit.Progress) -> str:
    """The phase, such as `restoring faces, 1 of 3`."""
    if progress.total > 1:
        return f"{progress.phase}, {min(int(progress.done) + 1, progress.total)} of {progress.total}"
    return progress.phase or "reading"


def without_name(message: str, name: str) -> str:
    """A message without the name that its line begins with."""
    return message.removeprefix(f"{name}: ")
