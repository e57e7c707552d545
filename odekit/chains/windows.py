"""Any number of pictures through an open session: window by window, with progress and whole records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from odekit.chains.record import complete_records
from odekit.core.progress import Tell, Teller
from odekit.core.result import Result
from odekit.images.accept import as_images

if TYPE_CHECKING:
    from odekit.chains.opened import OpenSession
    from odekit.images.accept import Picture


def restore_pictures(session: OpenSession, pictures: Sequence[Picture], tell: Tell | None) -> list[Result]:
    """See `Session.restore`."""
    images, _ = as_images(pictures)
    teller = Teller(tell, len(images))
    window, results = session.window, []
    with reporting_to(session, teller):
        for start in range(0, len(images), window):
            results += session.run(images[start : start + window])
            teller.on_images(len(results) - start)
    complete_records(results, session)
    return results


@contextmanager
def reporting_to(session: OpenSession, teller: Teller) -> Iterator[None]:
    """A session that also reports to `teller`, after the callbacks that it was opened with."""
    on_calls, on_phase = session.counter.on_calls, session.on_phase

    def count(number: int) -> None:
        if on_calls is not None:
            on_calls(number)
        teller.on_calls(number)

    def phase(name: str, done: float, total: int) -> None:
        if on_phase is not None:
            on_phase(name, done, total)
        teller.on_phase(name, done, total)

    session.counter.on_calls, session.on_phase = count, phase
    try:
        yield
    finally:
        session.counter.on_calls, session.on_phase = on_calls, on_phase
