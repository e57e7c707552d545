"""docs/solvers.md and docs/performance.md from what benches printed, so that every figure comes from a command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.performance import PERFORMANCE, Page
from benchmarks.table import shown
from odekit.errors import InputError

HEAD = """\
# Choose a solver

This page is written by `odekit bench page` from what the commands below printed; no figure in it is typed by hand.

| you want | take |
|---|---|
| the paper's method | `ddim` |
| the input back byte for byte | `reversible-heun` (chain `odedit-exact`) |
| the same to the last digits, on any grid, with nothing to edit: its latents are far off the ODE's | `belm` |
| a second way of getting it back, edits answered nearly as by the ODE | `{use: belm, rule: midpoint}` |
| the fewest network calls | `dpmpp-2m` with 20 levels in place of `ddim` with 100 |
| DDIM's own way down, undone | `fixed-point` |
| the exact ODE, whatever it costs | `rk45` |

```console
odekit explain odedit --set restore.inverter.solver=dpmpp-2m --set restore.inverter.steps=20
odekit explain odedit-exact --set restore.enhancer=none
```

"""
INTRO = {
    "order": "## What each solver states, and what is observed",
    "roundtrip": "## Round trips",
    "nfe": "## Calls",
    "edit": "## Edits",
    "sides": "## Larger pictures",
}
REMARKS = {
    "order": "Steps that touch rho = 0 and steps without a step before them are of first order in every solver.",
    "roundtrip": """\
Medians over pictures, and the worst one. `growth` is the mean factor by which the worst picture's difference between
way up and way down grows in a step down; `lost at level` is where it first exceeds 100 dB. A worst picture of about
8 dB on the mixture is one that came back as another of its 24 pictures.""",
    "nfe": """\
`latent off rk45's` is the RMS distance in x at the highest level, where a latent has an RMS of about 1. Every
solver takes by default the grid that measured best. On the mixture that is `log-snr` for `ddim` too; on the network
its round trips are nearer, and restored faces a little, on the paper's grid (the last table of round trips), which it
keeps. `belm` has the grid on which the network's latents were nearest (`karras`).""",
    "edit": """\
`response`: what the edit changed in the picture, against what it changes in the exact ODE. `fidelity`: the decoded
picture against the exact decoding of the same edited latent, which also holds the solver's own error.

`belm` with its paper's coefficients (`rule: optimal`) misses on a network, and not by its answer to the edit: its
latents are off the ODE's before anything is edited. Where steps grow, the recurrence carries an alternating error up
that only its own way down takes out again, so a restart at the edit would only show it. `rule: midpoint` has no such
root. First-order solvers come back from an edited latent as far off as their steps are long, and need more levels for
60 dB, as the last table shows. On faces the yardstick is rk45 at 1e-5, not at 1e-8, for the number of calls.""",
    "sides": """\
Networks of random weights in the folder layout of google/ddpm-ema-celebahq-256. Peak memory is that of the whole
process, Python and torch included.""",
}


SOLVERS = Page(HEAD, INTRO, REMARKS)


def page(files: Sequence[Path]) -> str:
    """The page on solvers, or on performance where that is what the files tell of.

    Each file is the JSON of one bench, which names the command that printed it.

    Raises:
        InputError: a file that is no bench's JSON, or files of both pages.
    """
    trees = [read(path) for path in sorted(files)]
    about = next(one for one in (SOLVERS, PERFORMANCE) if not trees or trees[0]["name"] in one.intro)
    strange = [tree["name"] for tree in trees if tree["name"] not in about.intro]
    if strange:
        raise InputError(f"the figures of {strange[0]} belong on another page than those of {trees[0]['name']}")
    text, seen = about.head, ""
    for name in about.intro:
        for tree in trees:
            if tree["name"] == name:
                text += (f"{about.intro[name]}\n\n{about.remarks[name]}\n\n" if seen != name else "") + section(tree)
                seen = name
    return text.rstrip() + "\n"


def read(path: Path) -> dict[str, Any]:
    """One bench's JSON."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        if tree["name"] in {*INTRO, *PERFORMANCE.intro} and tree["rows"] and tree["command"]:
            return dict(tree)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: no JSON of a bench ({error})") from error
    known = ", ".join([*INTRO, *PERFORMANCE.intro])
    raise InputError(f"{path}: no JSON of {known}; write it with --json")


def section(tree: dict[str, Any]) -> str:
    """One table and its goals as Markdown."""
    columns = {
        key: head for key, head in tree["columns"].items() if any(row[key] not in (None, "") for row in tree["rows"])
    }
    lines = [
        f"`{tree['command']}`: {tree['how']}.",
        "",
        "| " + " | ".join(columns.values()) + " |",
        "|---" * len(columns) + "|",
    ]
    lines += ["| " + " | ".join(shown(row[key]) for key in columns) + " |" for row in tree["rows"]]
    missed = [goal for goal in tree["goals"] if not goal["reached"]]
    if tree["goals"]:
        lines += ["", f"Figures to reach: {len(tree['goals']) - len(missed)} of {len(tree['goals'])} reached."]
    lines += [f"- missed: {goal['name']}: {goal['value']}, goal {goal['goal']}" for goal in missed]
    return "\n".join(lines) + "\n\n"
