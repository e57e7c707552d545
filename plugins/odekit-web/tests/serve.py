"""`odekit web` with chains for tests: `quick` (negative), `slow` (10 s in steps), `lacking` (weights that are not there)."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import odekit

CHAINS = {
    "quick": "chain: [negative]",
    "slow": "chain: [slow]",
    "lacking": "priors: {face: {use: diffusers, path: ./not-there}}\nchain: [restore]",
}


class Negative:
    """Light becomes dark."""

    def run(self, batch: Any, context: Any) -> Any:
        """Values v become 1 - v."""
        for i in range(len(batch)):
            context.note(i, done="turned to its negative")
        return [image.with_pixels(1 - image.pixels) for image in batch]


class Slow:
    """Takes 10 s, in 100 steps that report."""

    def run(self, batch: Any, context: Any) -> Any:
        """The same pictures."""
        for step in range(100):
            context.phase("counting", step / 100, 1)
            time.sleep(0.1)
        return list(batch)


def register() -> None:
    """Make the chains known in this process."""
    odekit.register("stage", "negative", Negative, replace=True)
    odekit.register("stage", "slow", Slow, replace=True)
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
