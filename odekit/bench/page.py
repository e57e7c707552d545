"""docs/solvers.md from what the benches printed, so that every figure on the page comes from a command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from odekit.bench.table import shown
from odekit.errors import InputError

HEAD = """\
# Choose a solver

This page is written by `odekit bench page` from what the commands below printed; no figure in it is typed by hand.

| you want | take |
|---|---|
| the paper's method | `ddim` |
| the input back byte for byte | `reversible-heun` (chain `odedit-exact`), or `belm` |
| the same to the last digits, with nothing to edit: its latents are further off the ODE's | `belm` |
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
}
REMARKS = {
    "order": "Steps that touch rho = 0 and steps without a step before them are of first order in every solver.",
    "roundtrip": """\
Medians over pictures, and the worst one. `growth` is the mean factor by which the worst picture's difference between
way up and way down grows in a step down; `lost at level` is where it first exceeds 100 dB. A worst picture of about
8 dB on the mixture is one that came back as another of its 24 pictures.""",
    "nfe": """\
`latent off rk45's` is the RMS distance in x at the highest level, where a latent has an RMS of about 1.""",
    "edit": """\
`response`: what the edit changed in the picture, against what it changes in the exact ODE. `fidelity`: the decoded
picture against the exact decoding of the same edited latent, which also holds the solver's own error.""",
}


def page(files: Sequence[Path]) -> str:
    """The page.

    Each file is the JSON of one bench, which names the command that printed it.

    Raises:
        InputError: a file that is no bench's JSON.
    """
    text, seen = HEAD, ""
    trees = [read(path) for path in sorted(files)]
    for name in INTRO:
        for tree in trees:
            if tree["name"] == name:
                text += (f"{INTRO[name]}\n\n{REMARKS[name]}\n\n" if seen != name else "") + section(tree)
                seen = name
    return text.rstrip() + "\n"


def read(path: Path) -> dict[str, Any]:
    """One bench's JSON."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        if tree["name"] in INTRO and tree["rows"] and tree["command"]:
            return dict(tree)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: no JSON of a bench ({error})") from error
    raise InputError(f"{path}: no JSON of roundtrip, edit, order or nfe; write it with --json")


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
