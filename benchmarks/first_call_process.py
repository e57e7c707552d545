"""One `odekit run` until its first network call, as a process of its own: where the seconds of a start go.

`python -m benchmarks.first_call_process CHAIN FACE OUT BEGAN` prints JSON: for each part of the start the processor
time of the process and the wall's, both with its own start; BEGAN is `time.time()` of when it was launched.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

PARTS = ("command line", "chain and plugins", "torch", "precision", "weights", "pictures")
"""What is over at each lap, in this order."""


class Laps:
    """Times between marks, from the birth of the process at `began`."""

    def __init__(self, began: float) -> None:
        self.times: dict[str, tuple[float, float]] = {}
        self.wall = began
        self.processor = 0.0

    def mark(self, name: str) -> None:
        """The part `name` is over; the first time counts."""
        if name not in self.times:
            processor, wall = time.process_time(), time.time()
            self.times[name] = (processor - self.processor, wall - self.wall)
            self.processor, self.wall = processor, wall

    def after(self, place: Any, name: str, part: str, then: Callable[[], None] = lambda: None) -> None:
        """Mark `part` whenever the function `place.name` has returned, after `then`."""
        own = getattr(place, name)

        def timed(*args: Any, **options: Any) -> Any:
            result = own(*args, **options)
            self.mark(part)
            then()
            return result

        setattr(place, name, timed)


def main(chain: str, face: str, out: str, began: str) -> None:
    """Run the chain on a face until the first network call; then print the laps and end the process."""
    laps = Laps(float(began))
    from odekit.cli import main as command

    laps.mark("command line")
    import odekit.chains.tuning.precision
    from odekit.chains.chain import Chain
    from odekit.core.counter import Counter

    def torch_too() -> None:
        import torch  # noqa: F401  # the run is about to; here its share shows

        laps.mark("torch")

    def first(counter: Counter) -> None:
        laps.mark("pictures")
        sys.stdout.write(json.dumps(laps.times) + "\n")
        sys.stdout.flush()
        os._exit(0)

    laps.after(Chain, "load", "chain and plugins", torch_too)
    laps.after(odekit.chains.tuning.precision, "precision_for", "precision")
    laps.after(Chain, "open", "weights")
    Counter.count = first  # type: ignore[method-assign, assignment]
    sys.argv = ["odekit", "run", chain, face, "-o", out, "--overwrite"]  # which `main` reads
    command()


if __name__ == "__main__":
    main(*sys.argv[1:])
