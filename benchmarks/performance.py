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

## How long a job will take

```console
odekit explain odedit-fast --images 1000
odekit explain odedit --images 20 --batch-size 4
```

loads the chain, times its network on the machine that is to do the job, and says how long so many pictures take and in
how much memory. By hand:

    seconds = images / pictures in a call x network calls x seconds per call + images x seconds of the other stages

`odekit explain CHAIN` says the calls of a picture, `odekit bench speed` below the milliseconds per picture and call.
`iterations: auto` decides the calls for each picture, and in photographs they are for each face: there the forecast is
for one call. `--batch-size auto` forecasts with the slots that are best here. Where other programs run, the forecast
says what they leave, and how long the job would take without them. Reading and writing happen beside the network.
Memory does not grow with the number of images (`odekit bench memory`), and little with the batch.

Checked on one thread of the processor below while other programs ran: `odekit explain odedit-fast --images 40` said
89 s and 0.66 GB before the run and 90 s after it; the run of 40 faces took 99 s in the chain and held 0.77 GB at most.

```console
odekit explain odedit
odekit explain odedit --set restore.inverter.solver=dpmpp-2m --set restore.inverter.steps=20
```

## What is done for it

- The network is the file's, computed with fewer passes over memory: channels last; scale and shift of a timestep inside
  the normalisation, computed once for a timestep; activations in place; queries, keys and values in one product;
  shortcuts added by the product itself; an enlargement and its convolution as one transposed convolution (four smaller
  ones on a card). Results differ from the plain network's by 1e-6 of the largest value.
- On a processor weights lie from the first call on as its library computes with them, where torch lays them out anew
  at every call: worth up to a third of a convolution when a call has one picture.
- In bfloat16 on a processor, pictures of fewer than 32 x 32 pixels inside the network are normalised in float32, which
  with both conversions takes a quarter of the time of torch's normalisation of 16-bit numbers, and attention is two
  products and a softmax where that is faster than the fused one (of 8 pictures: 3.3 ms instead of 4.9 over 256 pixels
  on one thread).
- States stay in float64 between calls, which is what round trips need; that is the part called `beside the network`.
- `--precision auto` takes bfloat16, float16 or tf32 only where the hardware has it, a network call takes less time in
  it, and 8 calibration pictures come back at 45 dB or more from their float32 results. It is measured once for a
  machine and weights, kept in `precision.json` in odekit's cache folder (`ODEKIT_HOME`), and written into `run.json`,
  which `--resume` follows.
  `--precision float32` asks for the reference. Training measures likewise, among 16-bit types.
- `float32` is exact on a card too. torch lets convolutions of float32 numbers run in TF32 (10 bits of mantissa instead
  of 23) unless it is told otherwise; odekit does so around each network call, and puts the user's own settings back.
  `--precision tf32` (NVIDIA cards of compute capability 8.0 and more) keeps weights and states in float32 and runs the
  prior's products and convolutions in TF32; upsamplers, which make one call, stay exact.
- `--batch-size auto` doubles the slots of a network call from 1 to at most 512, until memory runs out (of a card's,
  20 % stay free), a call takes longer than 5 s, or two doublings gain less than 5 % pictures per second, and takes the
  fewest slots within 5 % of the best. It is measured once for a machine, weights and precision, and kept in
  `slots.json` in the cache folder. Where nothing is said it is 8 everywhere, because results depend on the number of
  slots in their last bits.
- Nothing in the loop waits for a graphics card, which tests see on a card that is pretended: noise is drawn ahead by
  threads of the processor and copied from pinned memory beside the card's work, and whether a latent went wrong is
  kept on the card and looked at once in a round. Two parts have to look: the solver `rk45`, whose steps depend on
  errors, and clipping by confidence with `belm` or `reversible-heun`, where an edit costs a call. `iterations: auto`
  looks once in a round, at the inverted latents.
- A run imports torch and none of the libraries that are larger: the built-in network is built without diffusers, whose
  import takes more than twice as long as torch's. Weights are mapped from their files.
- `--set priors.face.compile=true` compiles the network with `torch.compile`; on a CUDA card calls are then recorded as
  graphs, which does away with the time that a processor takes to begin each operation of a small batch. What was
  compiled is kept in odekit's cache folder. Where compiling fails, the run says so once and goes on without. It is off
  unless asked for, on cards too, since no card was at hand to measure it on: see below.

```console
odekit explain odedit --set "priors.face={use: face64, compile: true}"
```

## What was tried and left out

- `torch.compile` by default (`odekit bench speed --compile` measures it): in bfloat16 on the processor below, which had
  other work too, it took 71 s to compile, and a call then took longer than that of the network as it is (16 ms a
  picture against 14 to 15 in batches of 8, 27 against 22 alone); with `TORCHINDUCTOR_FREEZING=1`, which lays weights
  out too, as long (14 to 15 against 14). On a processor without bfloat16 (AVX2) it took 41 s and then gave 7 % over a
  network whose weights were not yet laid out.
- Larger thresholds of the allocator and huge pages: they save the page faults of a call (850 with 8 pictures), which is
  less than times differ between runs.
- Adding a shortcut inside the convolution, or taking a picture apart into the network's pixels in one strided copy:
  both slower than two passes.
- Winograd's algorithm for the 3 x 3 convolutions, written as products of matrices: 1.17 times as fast as the library's
  convolutions on one thread, 1.0 times on two, with results 5e-6 off instead of 1e-6.
- bfloat16 on a processor without instructions for it (AVX2): 8 times slower than float32, which is why it is measured
  before it is taken.

"""
PERFORMANCE = Page(
    HEAD,
    {
        "speed": "## Against a plain loop",
        "latency": "## One face",
        "first-call": "## Start",
        "profile": "## Where the time goes",
    },
    {
        "speed": """\
The plain loop is what a user of the diffusers library would write, `benchmarks/plain_loop.py`: its inverse and
forward DDIM schedulers and Langevin updates, with the same weights, calls, threads and batch; its round trip is held
against reference results of that library in the tests. Methods take turns within each round. Times are those of the
processor, which other programs on the machine change little; the wall's, beside them, mean something only where
nothing else ran. `odedit-fast` makes 28 calls where `odedit` makes 600; what that does to the pictures is measured in
[strength.md](strength.md). Where a figure is missed, the share of the matrix peak in the row's own precision says what
is left: at 100 % every cycle goes into the products and sums of the plain network. Of two threads both count as the
processor's time, so that the wall's is half of it. Beside the network a call of one picture costs 0.6 ms of one thread
between network calls and 0.3 ms where the network is left out, presumably because it empties the caches.

A processor without bfloat16 stays in float32 and gains less. On an AMD EPYC with AVX2 (one thread, before weights were
laid out once) odekit took 63.1 ms per image and call alone and 51.1 ms in batches of 8, 1.29 and 1.36 times as fast as
the plain loop, and one face by `odedit-fast` took 4.0 s.

No graphics card was at hand when this page was made. With one, this command gives its figures: a row for each method,
precision and batch (batches that do not fit are left out), times on the wall, the time inside the network by the card's
own marks, memory of the weights and a round, and the share of the card's peak in products of 8192 x 8192 matrices in
the same precision. The plain loop in float32 stays as a user writes it, so that on a card with TF32 its convolutions
run in that. The goal on a card is 5 times the plain float32 loop. The second command compares precisions.

```bash
odekit bench speed --batch-size 1 --batch-size 8 --batch-size 64 --batch-size 256 --compile --plot card.png
odekit bench speed --batch-size 64 --precision tf32 --precision bfloat16 --precision float16
```

Memory on a processor is the most that the process has held so far.""",
        "latency": """\
One face of 64 px, network loaded and warm. The wall's time is what a person waits; where other programs ran, it holds
their share too, while the processor's time on one thread is what a machine at rest would take on it (though caches that
are shared make it longer).""",
        "first-call": """\
A fresh process until its first network call. The wall's time is near the processor's on a machine at rest.""",
        "profile": """\
Operations of a whole restoration by their own time, states and schedules included. Convolutions are 87 % of the
products and sums.""",
    },
)
