"""`odekit.testing.goldens`: what `check_golden` accepts and refuses, on a toy network."""

import json

import numpy as np
import pytest
from goldens import cases
from goldens.cases import Case, golden_params

from odekit.errors import InputError
from odekit.testing.goldens import (
    Golden,
    check_golden,
    golden_files,
    golden_folder,
    parse_name,
    relative_deviation,
    synthetic_arrays,
)

LAYOUT = {"norm.weight": (4,), "norm.bias": (4,), "conv.weight": (4, 3, 3, 3), "table.attn_mask": (9,)}


def network(golden):
    """The sum of the weights times the input."""
    total = sum(float(w.astype(np.float64).sum()) for w in golden.fill(LAYOUT).values())
    out = golden.input((2, 5)) * np.float32(total)
    return {"output": out, "indices": np.argsort(out, axis=1), "output_stats": np.array([out.mean(), out.std()])}


@pytest.fixture
def write(tmp_path):
    """Writes a golden of the toy network; arrays are replaced, or added, by functions of the true ones."""

    def written(seed=7, **arrays):
        rng = np.random.Generator(np.random.PCG64(seed + 1))
        head = rng.standard_normal((2, 5)).astype(np.float32) * np.float32(0.5)
        base = {"seed_weights": np.int64(seed), "seed_input": np.int64(seed + 1), "input_head": head.ravel()[:8]}
        path = tmp_path / "toy.B.npz"
        np.savez(path, **base)
        true = network(Golden.read(path))
        np.savez(path, **(base | true | {k: v(true) for k, v in arrays.items()}))
        return Golden.read(path)

    return written


def fault(golden, compute=network, **options):
    with pytest.raises(AssertionError) as caught:
        check_golden(golden, compute, **options)
    return str(caught.value)


@pytest.mark.parametrize("seed", [7, 8])
def test_a_golden_of_any_seed_is_repeated(write, seed):
    errors = check_golden(write(seed), network)
    assert errors == {"output": 0, "indices": 0, "output_stats": 0}, "seeds and input_head only say how it was made"


def test_an_array_beyond_its_tolerance_is_a_fault(write):
    golden = write(output=lambda true: true["output"] * np.float32(1 + 3e-4))
    assert "toy.B: mismatches: 1\n  output: error 3.00e-04, tolerance 0.0001" in fault(golden)
    assert check_golden(golden, network, tolerance=1e-3)["output"] == pytest.approx(3e-4, rel=0.01)
    assert check_golden(golden, network, tolerance={"out*t": 1e-3, "*": 1e-9})["output"] == pytest.approx(
        3e-4, rel=0.01
    )
    assert "output: error" in fault(golden, tolerance={"*": 1e-9, "out*t": 1e-3}), "the first pattern applies"
    assert "output: no pattern" in fault(golden, tolerance={"*stats": 1e-3})
    assert "output" not in check_golden(golden, network, skip=["out*t"])


def test_integers_must_be_equal(write):
    golden = write(indices=lambda true: true["indices"][:, ::-1])
    assert "indices: error" in fault(golden, tolerance=10.0)
    assert "tolerance 0" in fault(golden, tolerance=10.0)


def test_a_stored_array_is_computed_or_skipped(write):
    golden = write(more=lambda true: true["output"], note=lambda _: np.array("text"), count=lambda _: np.int64(3))
    assert "mismatches: 1\n  more: neither computed nor skipped" in fault(golden)
    assert "more: neither" in fault(golden, lambda g: {**network(g), "more": None})
    assert "more" not in check_golden(golden, network, skip=("more",))


def test_a_single_float_is_no_input(write):
    assert "margin: neither" in fault(write(margin=lambda _: np.float64(0.5)))


def test_an_array_that_is_not_stored_is_a_fault(write):
    assert "extra: computed, but" in fault(write(), lambda golden: {**network(golden), "extra": np.zeros(1)})


def test_every_fault_is_listed(write):
    golden = write(more=lambda true: true["output"], output=lambda true: true["output"] * 2)
    said = fault(golden, lambda g: {**network(g), "extra": np.zeros(1), "indices": np.zeros(3)})
    assert "mismatches: 4" in said
    assert all(f"  {name}: " in said for name in ("extra", "more", "output", "indices"))


def test_a_file_of_which_nothing_is_compared_is_a_fault(write):
    assert "no array was compared" in fault(write(), lambda _: {}, skip=("*",))


@pytest.mark.parametrize("shape", [(2, 4), (5, 2)])
def test_another_shape_is_a_fault(write, shape):
    said = fault(write(), lambda golden: {**network(golden), "output": np.zeros(shape)})
    assert f"output: an array has the shape {shape}" in said


def test_values_that_are_not_numbers_are_a_fault(write):
    computed = {"output": np.full((2, 5), np.nan)}
    assert "output: error inf" in fault(write(), lambda golden: network(golden) | computed)
    assert "output: error inf" in fault(write(output=lambda true: true["output"] * np.nan), tolerance=10.0)


def test_an_error_of_the_part_is_raised(write):
    with pytest.raises(ZeroDivisionError):
        check_golden(write(), lambda golden: 1 / 0)


def test_the_input_must_be_the_stored_one(write):
    with pytest.raises(InputError, match="does not start with"):
        check_golden(write(input_head=lambda true: np.zeros(8, np.float32)), network)


def test_lists_of_numbers_in_json_are_arrays(tmp_path):
    (tmp_path / "toy.json").write_text(json.dumps({"a": {"b": [1, 2], "why": "text"}, "c": 0.5, "d": [[1], [2, 3]]}))
    golden = Golden.read(tmp_path / "toy.json")
    assert {name: array.tolist() for name, array in golden.arrays.items()} == {
        "a/b": [1, 2],
        "c": 0.5,
        "d/0": [1],
        "d/1": [2, 3],
    }
    assert "mismatches: 1\n  d/1: error" in fault(
        golden, lambda _: {"a/b": [1, 2], "c": 0.5, "d/0": [1], "d/1": [2, 4]}
    )


def test_deviation_is_relative_to_the_largest_stored_value():
    assert relative_deviation(np.array([1.0, 4.2]), np.array([1.0, 4.0])) == pytest.approx(0.05)
    assert relative_deviation(np.zeros(2), np.zeros(2)) == 0
    assert relative_deviation(np.array([0.5]), np.zeros(1)) == 0.5


@pytest.mark.parametrize("name, content", [("toy.A.npz", b"PK\x03\x04"), ("toy.A.npz", b""), ("toy.json", b"{")])
def test_a_damaged_golden_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        Golden.read(tmp_path / name)


# Folders


def test_files_of_a_stem_are_found_by_name(tmp_path):
    for name in ("toy.A.npz", "toy.B.npz", "toy.json", "toy.C.npz", "toys.A.npz", "toy.A.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in golden_files(tmp_path, "toy")] == ["toy.A.npz", "toy.B.npz", "toy.json"]
    assert parse_name(tmp_path / "toy.C.npz") == ("toy.C", "")


@pytest.mark.parametrize("folder", ["", "absent"])
def test_a_missing_file_fails_instead_of_disappearing(tmp_path, folder, monkeypatch):
    assert golden_files(tmp_path / folder, "toy") == [tmp_path / folder / "toy.npz"]
    monkeypatch.setattr(cases, "FOLDER", tmp_path / folder)
    (param,) = golden_params([Case("toy", network)])
    case, path = param.values
    assert param.id == "toy.npz"
    with pytest.raises(InputError, match=r"toy\.npz: cannot be read"):
        case.check(path)


def test_a_plugins_own_file_is_used_where_the_folder_has_none(tmp_path, monkeypatch, write):
    write()
    case = Case("toy", network, own=tmp_path)
    monkeypatch.setattr(cases, "FOLDER", tmp_path / "empty")
    assert case.files() == [tmp_path / "toy.B.npz"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "toy.A.npz").touch()
    assert case.files() == [tmp_path / "empty" / "toy.A.npz"]


def test_the_repositorys_files_have_the_tighter_tolerance(tmp_path, monkeypatch, write):
    write(output=lambda true: true["output"] * np.float32(1 + 3e-5))
    case = Case("toy", network, repository_tolerance=2e-5)
    case.check(tmp_path / "toy.B.npz")
    monkeypatch.setattr(cases, "REPOSITORY", tmp_path)
    with pytest.raises(AssertionError, match="tolerance 2e-05"):
        case.check(tmp_path / "toy.B.npz")


def test_the_folder_is_that_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("ODEKIT_GOLDENS", str(tmp_path / "mine"))
    assert golden_folder(tmp_path) == tmp_path / "mine"
    for unset in (lambda: monkeypatch.setenv("ODEKIT_GOLDENS", ""), lambda: monkeypatch.delenv("ODEKIT_GOLDENS")):
        unset()
        assert golden_folder(tmp_path) == tmp_path


def test_the_fill_leaves_derived_tensors_out():
    assert set(synthetic_arrays(LAYOUT, 7, "A")) == set(LAYOUT) - {"table.attn_mask"}
