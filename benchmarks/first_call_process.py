"""One `odekit run` until its first network call, in a process of its own, timed part by part.

`python -m benchmarks.first_call_process CHAIN FACE OUT BEGAN` prints JSON: the CPU time and the wall time of each part
of the start, the process's own start included; BEGAN is `time.time()` when it was launched.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

PARTS = ("command line", "chain and plugins", "torch", "precision", "weights", "pictures")
"""The parts of a start, in order."""


class Laps:
    """Times between marks, from the launch of the process at `began`."""

    def __init__(self, began: float) -> None:
        self.times: dict[str, tuple[float, float]] = {}
        self.wall = began
        self.processor = 0.0

    def mark(self, name: str) -> None:
        """Mark the end of the part `name`; later marks of the same part are ignored."""
        if name not in self.times:
            processor, wall = time.process_time(), time.time()
            self.times[name] = (processor - self.processor, wall - self.wall)
            self.processor, self.wall = processor, wall

    def mark_on_return(self, place: Any, name: str, part: str, then: Callable[[], None] = lambda: None) -> None:
        """Mark `part` when the function `place.name` returns, then call `then`."""
        original = getattr(place, name)

        def timed(*args: Any, **options: Any) -> Any:
            result = original(*args, **options)
            self.mark(part)
            then()
            return result

        setattr(place, name, timed)


def main(chain: str, face: str, out: str, began: str) -> None:
    """Run the chain on a face until the first network call; then print the laps and end the process."""
    laps = Laps(float(began))
    from odekit.cli import main as command
    from odekit.cli.show import results

    laps.mark("command line")
    import odekit.chains.execution
    from odekit.chains.chain import Chain
    from odekit.core.counter import CallCounter

    def import_torch() -> None:
        import torch  # noqa: F401  # the run imports it next; imported here, its share is visible

        laps.mark("torch")

    def stop_at_first_call(counter: CallCounter) -> None:
        if "weights" not in laps.times:  # a call that measures which precision to choose
            return
        laps.mark("pictures")
        stream = results()
        assert stream is not None, "the standard output is closed"
        stream.write(json.dumps(laps.times) + "\n")
        stream.flush()
        os._exit(0)

    laps.mark_on_return(Chain, "load", "chain and plugins", import_torch)
    laps.mark_on_return(odekit.chains.execution, "decide_precision", "precision")
    laps.mark_on_return(Chain, "open", "weights")
    CallCounter.count = stop_at_first_call  # type: ignore[method-assign, assignment]
    sys.argv = ["odekit", "run", chain, face, "-o", out, "--overwrite"]  # read by `main`
    command()


if __name__ == "__main__":
    main(*sys.argv[1:])
