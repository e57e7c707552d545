"""Progress of a run that nobody watches."""

from __future__ import annotations


class Silent:
    """Progress callbacks that do nothing."""

    def begin(self, images: int, calls: int | None) -> None:
        """Nothing."""

    def calls(self, count: int) -> None:
        """Nothing."""

    def phase(self, name: str, done: float, total: int) -> None:
        """Nothing."""

    def picture(self, name: str, text: str) -> None:
        """Nothing."""

    def images(self, count: int) -> None:
        """Nothing."""

    def message(self, text: str) -> None:
        """Nothing."""
