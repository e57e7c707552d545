"""`python -m benchmarks digests`: SHA-256 of the results of every shipped chain on the sample images.

Run it before and after a change and compare the outputs. It uses the command line alone, so that the same file serves
two versions of the package; as a plain script: `python benchmarks/digests.py > before.txt`. Chains whose weights are
absent are listed with the reason. Precision (float32), batch size, seed and threads (one) are fixed.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import PIL.Image
import typer

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
FIXED = ("--precision", "float32", "--batch-size", "8", "--seed", "0", "--device", "cpu")


def command(
    chains: Annotated[list[str] | None, typer.Argument(help="Chains by name; default: all shipped ones.")] = None,
    examples: Annotated[Path, typer.Option(help="Folder with the sample images.", exists=True)] = EXAMPLES,
) -> None:
    """Print a line for every chain and sample image: chain, name, SHA-256 of the result's pixels.

    Example: python -m benchmarks digests odedit-fast > before.txt
    """
    for chain in chains or json.loads(odekit("plugins", "--json").stdout)["chains"]:
        for line in digest_lines(chain, inputs_of(chain, examples)):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()


def inputs_of(chain: str, examples: Path) -> list[str]:
    """The sample images of a chain: photographs where it takes whole ones, else damaged faces."""
    if chain.startswith("photo") or chain in ("realesrgan", "old-photo"):
        return [str(examples / "photos" / name) for name in ("astronaut.jpg", "speakers.jpg")]
    return [str(examples / "damaged")]


def odekit(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line of the odekit that this Python imports."""
    call = [sys.executable, "-c", "from odekit.cli import main; main()", *arguments]
    return subprocess.run(call, capture_output=True, text=True, env=os.environ | ENVIRONMENT, check=False)


def digest_lines(chain: str, inputs: list[str]) -> Iterator[str]:
    """One line for each result, or one with the reason why there is none."""
    with tempfile.TemporaryDirectory() as folder:
        run = odekit("run", chain, *inputs, "-o", folder, *FIXED)
        if run.returncode:
            reason = (run.stderr or run.stdout).strip().splitlines()[-1:]
            yield f"{chain}: exit {run.returncode} {' '.join(reason)[:120]}"
            return
        for path in sorted(Path(folder).glob("*.json")):
            record = json.loads(path.read_text())
            if "output" in record:
                pixels = np.asarray(PIL.Image.open(Path(folder) / Path(record["output"]["path"]).name))
                digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:24]
                yield f"{chain} {path.stem} {digest}"


if __name__ == "__main__":
    typer.run(command)
