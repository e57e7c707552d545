"""Goldens: outputs of public networks with synthetic weights, stored with all that is needed to reproduce them.

A file `<network>.<rule>.npz` stores the outputs and the seeds of weights and input. The weights are a function of the
network's layout (tensor name -> shape), the seed and the rule: see `odekit.testing.fill`.

`<name>.npz` and `<name>.json` without a rule store numbers that need no network.

A part is compared with such files in a pytest test:

```python
from odekit.testing.goldens import Golden, check_golden, golden_files, golden_folder

FILES = golden_files(golden_folder(Path(__file__).parent / "data"), "my_net")

@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_golden(path):
    check_golden(Golden.read(path), my_net, tolerance={"logits": 1e-5, "*": 1e-4}, skip=("margin",))
```

`my_net(golden)` fills the network with `golden.fill({name: shape})`, draws the input with `golden.input(shape)` and
returns one array for each stored one.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.errors import InputError
from odekit.testing.fill import DERIVED as DERIVED
from odekit.testing.fill import RULES as RULES
from odekit.testing.fill import Arrays as Arrays
from odekit.testing.fill import Layout as Layout
from odekit.testing.fill import synthetic_arrays as synthetic_arrays

FOLDER_VARIABLE = "ODEKIT_GOLDENS"
"""Environment variable that names another folder of golden files."""
INPUTS = ("seed_*", "*_head", "timesteps")
"""Names of arrays that state how a golden was made; single integers and texts do so too."""


@dataclass(frozen=True)
class Golden:
    """The content of a golden file."""

    stem: str
    """Name of the network, without the rule, for example `adm_small`."""
    rule: str
    """`A`, `B` or `E`; empty if the numbers do not depend on a network."""
    arrays: Mapping[str, NDArray[Any]]
    """The stored arrays. In a JSON file: numbers and lists of numbers, named by their keys joined with `/`."""
    folder: Path
    """Folder of the file."""

    @property
    def name(self) -> str:
        """Stem and rule, as in the file's name: `adm_small.A`."""
        return f"{self.stem}.{self.rule}" if self.rule else self.stem

    @classmethod
    def read(cls, path: Path) -> Golden:
        """Read a golden file.

        Raises:
            InputError: the file is not a golden file, or is damaged.
        """
        stem, rule = parse_name(path)
        try:
            if path.suffix == ".json":
                arrays = dict(json_arrays(json.loads(path.read_text(encoding="utf-8"))))
            else:
                with np.load(path, allow_pickle=False) as file:
                    arrays = {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: cannot be read as a golden file ({str(error).splitlines()[0]})") from error
        return cls(stem, rule, arrays, path.parent)

    def fill(self, shapes: Mapping[str, Sequence[int]]) -> Arrays:
        """Synthetic weights of a network by the stored seed and the rule of the file's name."""
        return synthetic_arrays(shapes, self.seed("weights"), self.rule)

    def input(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """The network's input, drawn with the stored seed.

        Raises:
            InputError: its first values differ from the stored ones.
        """
        (values,) = self.inputs(shape)
        return values

    def inputs(self, *shapes: Sequence[int]) -> list[NDArray[np.float32]]:
        """Several inputs drawn one after another with the stored seed.

        Raises:
            InputError: the first values of the first input differ from `input_head`.
        """
        rng = np.random.Generator(np.random.PCG64(self.seed("input")))
        inputs = [rng.standard_normal(tuple(s)).astype(np.float32) * np.float32(0.5) for s in shapes]
        if not np.array_equal(inputs[0].ravel()[:8], self.arrays["input_head"]):
            raise InputError(f"{self.folder / self.stem}: the input does not start with the stored values")
        return inputs

    def seed(self, what: str) -> int:
        """The stored seed of the `weights` or the `input`: `seed_weights`, or `weight_seed` in some files.

        Raises:
            InputError: the file stores neither.
        """
        other = f"{what.removesuffix('s')}_seed"
        return self.number(other if other in self.arrays else f"seed_{what}")

    def number(self, name: str) -> int:
        """A stored integer.

        Raises:
            InputError: the file stores no value of this name.
        """
        if name not in self.arrays:
            raise InputError(f"{self.folder / self.stem}: stores no '{name}'")
        return int(self.arrays[name])


def parse_name(path: Path) -> tuple[str, str]:
    """(stem, rule) of a golden file: `("adm_small", "A")` of `adm_small.A.npz`."""
    stem, _, rule = path.stem.rpartition(".")
    return (stem, rule) if rule in RULES else (path.stem, "")


def golden_folder(default: Path) -> Path:
    """The folder that the environment variable `ODEKIT_GOLDENS` names; `default` if it is unset or empty."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else default


def golden_files(folder: Path, stem: str) -> list[Path]:
    """The golden files of one stem in a folder, sorted.

    If there is none, the list contains the path `<stem>.npz`, which does not exist: a test that is parametrised over
    the list then fails instead of disappearing.
    """
    paths = sorted(path for path in all_files(folder) if parse_name(path)[0] == stem)
    return paths or [folder / f"{stem}.npz"]


def all_files(folder: Path) -> list[Path]:
    """The .npz and .json files of a folder, sorted; none if the folder does not exist."""
    return sorted(path for path in folder.iterdir() if path.suffix in (".npz", ".json")) if folder.is_dir() else []


def check_golden(
    golden: Golden,
    compute: Callable[[Golden], Mapping[str, Any]],
    tolerance: float | Mapping[str, float] = 1e-4,
    skip: Sequence[str] = (),
) -> dict[str, float]:
    """Compare the arrays that a part computes with those of a golden file; return the error of each compared array.

    A stored array must be computed, match a pattern of `skip`, or state how the golden was made (`INPUTS`, single
    integers, texts). Floating-point arrays are compared by `relative_deviation`; integers must be equal.

    Args:
        golden: the file.
        compute: golden -> {array name: computed array}.
        tolerance: largest error; or {name pattern: largest error}, of which the first matching pattern applies.
        skip: name patterns of arrays that the part does not reproduce.

    Raises:
        AssertionError: names every array that is outside its tolerance, has another shape, is stored but neither
            computed nor skipped, or is computed but not stored. Also if no array was compared.
    """
    computed = compute(golden)
    errors: dict[str, float] = {}
    faults = [f"{name}: computed, but the file does not store it" for name in computed if name not in golden.arrays]
    for name, stored in golden.arrays.items():
        if _matches(name, skip):
            continue
        if computed.get(name) is None:
            if not _is_input(name, stored):
                faults.append(f"{name}: neither computed nor skipped")
            continue
        limit = _limit(name, tolerance) if stored.dtype.kind == "f" else 0.0
        try:
            error = relative_deviation(np.asarray(computed[name]), stored)
        except InputError as problem:
            faults.append(f"{name}: {problem}")
            continue
        errors[name] = error
        if limit is None:
            faults.append(f"{name}: no pattern of the tolerances matches")
        elif not error <= limit:
            faults.append(f"{name}: error {error:.2e}, tolerance {limit:g}")
    if not errors and not faults:
        faults.append("no array was compared")
    if faults:
        raise AssertionError("\n  ".join([f"{golden.folder / golden.name}: mismatches: {len(faults)}", *faults]))
    return errors


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _is_input(name: str, stored: NDArray[Any]) -> bool:
    """Whether an array only states how the golden was made."""
    single = stored.dtype.kind != "f" and stored.ndim == 0
    return _matches(name, INPUTS) or single or stored.dtype.kind not in "biuf"


def _limit(name: str, tolerance: float | Mapping[str, float]) -> float | None:
    """The largest error of an array; None if no pattern matches."""
    if not isinstance(tolerance, Mapping):
        return float(tolerance)
    return next((limit for pattern, limit in tolerance.items() if fnmatchcase(name, pattern)), None)


def json_arrays(tree: Any, place: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """(name, array) of every number and every list of numbers in a JSON tree. Strings are comments and are skipped."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from json_arrays(value, f"{place}/{key}" if place else str(key))
        return
    array = np.asarray(tree) if not isinstance(tree, list) or _rectangular(tree) else None
    if array is not None and array.dtype.kind in "biuf":
        yield place, array
    elif isinstance(tree, list):
        for i, value in enumerate(tree):
            yield from json_arrays(value, f"{place}/{i}")


def _rectangular(rows: list[Any]) -> bool:
    lengths = {len(row) if isinstance(row, list) else -1 for row in rows}
    return len(lengths) == 1 and all(_rectangular(row) for row in rows if isinstance(row, list))


def statistics(values: Any) -> NDArray[np.float64]:
    """The summary of a large array in a golden: mean, population standard deviation, largest and mean absolute value.

    `values`: an array, or a tensor on the CPU without gradient; the sums are taken in float64.
    """
    x = np.asarray(values).astype(np.float64)
    return np.array([x.mean(), x.std(), np.abs(x).max(), np.abs(x).mean()])


def relative_deviation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Relative deviation of `a` from the stored `b`: `max|a-b| / max|b|`, infinite if `a` contains NaN.

    If b is all zero, the absolute deviation.

    Raises:
        InputError: the shapes differ.
    """
    if a.shape != b.shape:
        raise InputError(f"an array has the shape {a.shape}, the stored one {b.shape}")
    reference = b.astype(np.float64)
    largest_error = float(np.abs(a.astype(np.float64) - reference).max(initial=0))
    largest_value = float(np.abs(reference).max(initial=0))
    if math.isnan(largest_error):
        return math.inf
    return largest_error / largest_value if largest_value else largest_error
