"""All visits, by the browser's session; the oldest go when there are too many."""

from __future__ import annotations

import threading
from collections import OrderedDict

from odekit_web.visit import Visit

MOST = 50
"""Visits at once. Browsers that close their page end their visit; others are bounded by this."""


class Visits:
    """Visits by session."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.known: OrderedDict[str, Visit] = OrderedDict()

    def of(self, session: str | None) -> Visit:
        """The visit of a session, made when it is first asked for."""
        with self.lock:
            key = session or ""
            if key not in self.known:
                self.known[key] = Visit()
            self.known.move_to_end(key)
            while len(self.known) > MOST:
                self.known.popitem(last=False)[1].close()
            return self.known[key]

    def end(self, session: str | None) -> None:
        """The browser has left: what runs for it stops, and its files go."""
        with self.lock:
            visit = self.known.pop(session or "", None)
        if visit is not None:
            visit.close()

    def close(self) -> None:
        """Everything that runs stops."""
        for visit in list(self.known.values()):
            visit.halt()
