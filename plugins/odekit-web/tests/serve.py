"""`odekit web` with chains for tests: `quick` (negative), `held` (goes on until it is released), `lacking` (no weights)."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import odekit

CHAINS = {
    "quick": "chain: [negative]",
    "held": "chain: [held, negative]",
    "lacking": "priors: {face: {use: diffusers, path: ./not-there}}\nchain: [restore]",
}


class Negative:
    """Light becomes dark."""

    def run(self, batch: Any, context: Any) -> Any:
        """Values v become 1 - v."""
        for i in range(len(batch)):
            context.note(i, done="turned to its negative")
        return [image.with_pixels(1 - image.pixels) for image in batch]


RELEASE = "ODEKIT_TEST_RELEASE"
"""Variable with the path of a file; `held` goes on until it is there."""


class Held:
    """Reports, in small steps, until a file is there; so tests wait for states, however slow the machine is."""

    def run(self, batch: Any, context: Any) -> Any:
        """The same pictures."""
        release, step = Path(os.environ.get(RELEASE, "never")), 0
        while not release.exists():
            context.phase("counting", step / (step + 100), 1)
            step += 1
            time.sleep(0.05)
        return list(batch)


def register() -> None:
    """Make the chains known in this process."""
    odekit.register("stage", "negative", Negative, replace=True)
    odekit.register("stage", "held", Held, replace=True)
    folder = Path(tempfile.mkdtemp())
    for name, text in CHAINS.items():
        path = folder / f"{name}.yaml"
        path.write_text(f"odekit: 1\nname: {name}\n{text}\n")
        odekit.catalog().chains[name] = path


if __name__ == "__main__":
    register()
    from odekit.cli import main

    sys.argv = ["odekit", "web", *sys.argv[1:]]
    main()
