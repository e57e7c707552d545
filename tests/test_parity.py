"""`odekit bench parity`: installed parts against stored outputs of the official programs, and what it refuses."""

import json
import math
import shutil

import numpy as np
import pytest
from goldens import DATA
from goldens.parity import parity

from odekit.parts.installed import catalog
from odekit.plugins.discovery import build
from odekit.testing.goldens import Golden, deviation, fill

GOLDENS = DATA / "golden"
CORE = ["adm_small.A", "ddim_small.B", "ddim_diffusers_small.B"]
REST = ["adm_small.B", "adm_small_newattn.A", "adm_small_newattn.B", "ddim_small.A", "code_small.B"]
LAYOUT = {"norm.weight": (4,), "norm.bias": (4,), "conv.weight": (4, 3, 3, 3), "table.attn_mask": (9,)}


def rows(folder, only="*", found=None):
    return {(r.file, r.array): r for r in parity(folder, found or catalog(), only)}


def check_core(stem):
    seen = rows(GOLDENS, f"{stem}.npz")
    assert not [row for row in seen.values() if row.wrong]
    compared = {name for (_, name), row in seen.items() if row.verdict == "ok"}
    stored = Golden.read(GOLDENS / f"{stem}.npz").arrays
    assert {name for name in stored if name.startswith(("output", "net_", "mix_", "edit_"))} - compared == {
        name for name in stored if "BAD" in name
    } - {"BAD_edit_final", "cbc_bounds_by_stepindex_BAD"}


@pytest.mark.parametrize("stem", CORE)
def test_the_core_repeats_other_programs(stem):
    check_core(stem)


@pytest.mark.long
@pytest.mark.parametrize("stem", REST)
def test_the_core_repeats_the_rest_too(stem):
    check_core(stem)


def network(golden):
    """A claim of a toy plugin: the sum of its weights times its input."""
    total = sum(float(w.astype(np.float64).sum()) for w in golden.fill(LAYOUT).values())
    out = golden.input((2, 5)) * np.float32(total)
    return {"output": out, "indices": np.argsort(out, axis=1), "output_stats": np.array([out.mean(), out.std()])}


class Toy:
    """A plugin that claims the golden `toy`."""

    def __init__(self, compute=network, **more):
        self.compute, self.more = compute, more

    def odekit_parts(self, catalog):
        catalog.golden("toy", self.compute, **self.more)


def toys(**more):
    found, _ = build([("toys", Toy(**more))])
    assert not found.broken
    return found


@pytest.fixture
def folder(tmp_path):
    """A golden of the toy network, with seeds of its own."""

    def write(stem="toy.B", seed=7, **arrays):
        rng = np.random.Generator(np.random.PCG64(seed + 1))
        head = rng.standard_normal((2, 5)).astype(np.float32) * np.float32(0.5)
        base = {"seed_weights": np.int64(seed), "seed_input": np.int64(seed + 1), "input_head": head.ravel()[:8]}
        np.savez(tmp_path / f"{stem}.npz", **base)
        true = network(Golden.read(tmp_path / f"{stem}.npz"))
        np.savez(tmp_path / f"{stem}.npz", **(base | true | {k: v(true) for k, v in arrays.items()}))
        return tmp_path

    return write


def test_a_golden_of_any_seed_is_repeated(folder):
    for seed in (7, 8):
        seen = rows(folder(seed=seed), found=toys())
        assert [row.verdict for row in seen.values()].count("ok") == 3
        assert not any(row.wrong for row in seen.values())
        assert seen["toy.B.npz", "seed_weights"].verdict == seen["toy.B.npz", "input_head"].verdict == "given"


def test_an_array_beyond_its_tolerance_is_wrong(folder):
    place = folder(output=lambda true: true["output"] * np.float32(1 + 3e-4))
    seen = rows(place, found=toys())["toy.B.npz", "output"]
    assert seen.verdict == "off" and seen.wrong
    assert seen.error == pytest.approx(3e-4, rel=0.01) and seen.tolerance == 1e-4
    assert rows(place, found=toys(tolerance=1e-3))["toy.B.npz", "output"].verdict == "ok"
    assert rows(place, found=toys(tolerance={"out*t": 1e-3, "*": 1e-9}))["toy.B.npz", "output"].verdict == "ok"
    assert rows(place, found=toys(skip=["out*t"]))["toy.B.npz", "output"].verdict == "skipped"


def test_whole_numbers_must_be_equal(folder):
    seen = rows(folder(indices=lambda true: true["indices"][:, ::-1]), found=toys(tolerance=10.0))
    assert seen["toy.B.npz", "indices"].verdict == "off"
    assert seen["toy.B.npz", "indices"].tolerance == 0


def test_what_nobody_computes_is_wrong(folder):
    place = folder(more=lambda true: true["output"])
    assert rows(place, found=toys())["toy.B.npz", "more"].verdict == "missing"
    assert rows(place, found=toys(skip=("more",)))["toy.B.npz", "more"].verdict == "skipped"
    folder("stranger.A")
    assert rows(place, found=toys())["stranger.A.npz", "*"].verdict == "unclaimed"


def test_what_the_file_does_not_store_is_wrong(folder):
    found = toys(compute=lambda golden: {**network(golden), "extra": np.zeros(1)})
    assert rows(folder(), found=found)["toy.B.npz", "extra"].verdict == "failed"


@pytest.mark.parametrize(
    "compute, note",
    [
        (lambda golden: 1 / 0, "ZeroDivisionError"),
        (lambda golden: {**network(golden), "output": np.zeros((2, 4))}, "shape"),
        (lambda golden: {**network(golden), "output": golden.input((5, 2))}, "shape"),
        ("no_such_module:toy", "no_such_module"),
    ],
    ids=["raises", "shape", "turned", "absent"],
)
def test_a_claim_that_fails_stops_nothing(folder, compute, note):
    place = folder()
    folder("stranger.A")
    seen = rows(place, found=toys(compute=compute))
    assert note in " ".join(row.note for row in seen.values() if row.verdict == "failed")
    assert seen["stranger.A.npz", "*"].verdict == "unclaimed"


def test_values_that_are_not_numbers_are_wrong(folder):
    found = toys(compute=lambda golden: {**network(golden), "output": np.full((2, 5), np.nan)})
    row = rows(folder(), found=found)["toy.B.npz", "output"]
    assert row.verdict == "off" and math.isinf(row.error) and row.tree()["error"] is None


def test_the_input_must_be_the_stored_one(folder):
    place = folder(input_head=lambda true: np.zeros(8, np.float32))
    assert "does not start with" in rows(place, found=toys())["toy.B.npz", "*"].note


def test_the_filling_is_checked_against_stored_sums(folder):
    place = folder()
    filled = fill(LAYOUT, 7, "A")
    flat = np.concatenate([filled[name].ravel() for name in sorted(filled)]).astype(np.float64)
    said = {
        "filled_tensors": 3,
        "filled_elements": len(flat),
        "sum": flat.sum(),
        "sum_of_squares": (flat**2).sum(),
        "first": ["conv.weight", float(flat[0])],
        "last": ["norm.weight", float(flat[-1])],
    }
    nets = {"toy.A": said, "bad.A": said | {"sum": said["sum"] * 1.001}, "far.A": said | {"filled_elements": 9}}
    (place / "fill_check.json").write_text(json.dumps({"weight_seed": 7, "nets": nets}))
    seen = rows(place, found=toys())
    verdicts = {name: row.verdict for (file, name), row in seen.items() if file == "fill_check.json"}
    assert verdicts == {"toy.A": "ok", "bad.A": "off", "far.A": "skipped"}
    assert "sum" in seen["fill_check.json", "bad.A"].note


def test_lists_of_numbers_in_json_are_arrays(tmp_path):
    (tmp_path / "toy.json").write_text(json.dumps({"a": {"b": [1, 2], "why": "text"}, "c": 0.5, "d": [[1], [2, 3]]}))
    arrays = Golden.read(tmp_path / "toy.json").arrays
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "a/b": [1, 2],
        "c": 0.5,
        "d/0": [1],
        "d/1": [2, 3],
    }
    found = toys(compute=lambda golden: {"a/b": [1, 2], "c": 0.5, "d/0": [1], "d/1": [2, 4]})
    verdicts = {name: row.verdict for (_, name), row in rows(tmp_path, found=found).items()}
    assert verdicts == {"a/b": "ok", "c": "ok", "d/0": "ok", "d/1": "off"}


def test_one_stem_has_one_claim():
    found, _ = build([("toys", Toy()), ("others", Toy())])
    assert found.broken == {"others": "PluginError: the golden 'toy' is claimed by toys and by others"}


def test_deviation_is_relative_to_the_largest_stored_value():
    assert deviation(np.array([1.0, 4.2]), np.array([1.0, 4.0])) == pytest.approx(0.05)
    assert deviation(np.zeros(2), np.zeros(2)) == 0
    assert deviation(np.array([0.5]), np.zeros(1)) == 0.5


def test_the_command_says_each_array_and_its_code_says_the_outcome(cli, tmp_path):
    shutil.copy(GOLDENS / "ddim_small.B.npz", tmp_path)
    done = cli("bench", "parity", "--golden", tmp_path)
    assert done.code == 0 and "output_stats" in done.out and "2 arrays compared, 0 wrong" in done.out
    shutil.copy(GOLDENS / "ddim_small.B.npz", tmp_path / "nobody.B.npz")
    done = cli("bench", "parity", "--golden", tmp_path, "--only", "nobody*", "--json")
    said = json.loads(done.out)
    assert done.code == 3 and said["ok"] is False and said["arrays"][0]["verdict"] == "unclaimed"


@pytest.mark.parametrize("name, content", [("toy.A.npz", b"PK\x03\x04"), ("toy.A.npz", b""), ("toy.json", b"{")])
def test_a_damaged_golden_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    (row,) = rows(tmp_path, found=toys()).values()
    assert row.verdict == "failed" and name in row.note


def test_a_folder_without_goldens_is_refused(cli, tmp_path):
    assert "holds no golden file" in cli("bench", "parity", "--golden", tmp_path).err
    done = cli("bench", "parity", "--golden", tmp_path / "absent")
    assert done.code == 2 and "no such folder" in done.err
