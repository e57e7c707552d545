"""What docs/performance.md says around the figures; the figures themselves are those that benches printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """The words of a page: its head, and for each bench a heading and remarks, in the order of the page."""

    head: str
    intro: Mapping[str, str]
    remarks: Mapping[str, str]


HEAD = """\
# How fast it is

This page is written by `odekit bench page docs/performance/*.json` from what the commands below printed.

What a job will take, before it is started:

    seconds = images x network calls per image x ms per image and call / 1000 / threads

`odekit explain CHAIN` says the calls; `odekit bench speed` the milliseconds, on the machine that is to do it (on a
graphics card there is nothing to divide by). Memory does not grow with the number of images (`odekit bench memory`),
and hardly with the batch.

```console
odekit explain odedit
odekit explain odedit --set restore.inverter.solver=dpmpp-2m --set restore.inverter.steps=20
```

## What is done for it

- The network is the file's, computed with fewer passes over memory: channels last; scale and shift of a timestep inside
  the normalisation; activations in place; queries, keys and values in one product; shortcuts added by the product
  itself; an enlargement and its convolution as four smaller convolutions. Results differ from the plain network's by
  1e-6 of the largest value.
- States stay in float64 between calls, which is what round trips need; that is the part called `beside the network`.
- `--precision auto` takes bfloat16 or float16 only where the hardware has it, a network call takes less time in it, and
  8 calibration pictures come back at 45 dB or more from their float32 results. It is measured once for a machine and
  weights, kept in `precision.json` in odekit's cache folder (`ODEKIT_HOME`), and written into `run.json`, which
  `--resume` follows.
  `--precision float32` asks for the reference. Training measures likewise.

"""
PERFORMANCE = Page(
    HEAD,
    {"speed": "## Against a plain loop", "profile": "## Where the time goes"},
    {
        "speed": """\
The plain loop is what a user of the diffusers library would write, `odekit/bench/plain_loop.py`: its inverse and
forward DDIM schedulers and Langevin updates, with the same weights, calls, threads and batch; its round trip is held
against reference results of that library in the tests. Methods take turns within each round. Times are those of the
processor, which other programs on the machine change little; the wall's, beside them, mean something only where
nothing else ran. Where a figure is missed, the share of the matrix peak says what is left: at 100 % every cycle goes
into the network's products and sums.""",
        "profile": "Operations of a whole restoration by their own time, states and schedules included.",
    },
)
