"""Weights files are read safely, and every error is one line that names the file and what is wrong."""

import hashlib
import pickle
import re
from pathlib import Path

import pytest
import torch
from goldens import layout
from safetensors.torch import save_file

from odekit.core.files import sha256
from odekit.errors import WeightsError
from odekit.plugins.weights.fit import fit
from odekit.plugins.weights.load import check_finite, load_tensors, unwrap

TENSORS = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.bias": torch.ones(2, dtype=torch.float16)}


class Bomb:
    """A pickle that runs a command when an unsafe loader opens it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


def fault(call, *args) -> str:
    with pytest.raises(WeightsError) as caught:
        call(*args)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_safetensors_come_back_as_stored(tmp_path):
    save_file(TENSORS, tmp_path / "w.safetensors")
    assert same(load_tensors(tmp_path / "w.safetensors"), TENSORS)


SAVE = {
    "w.safetensors": lambda tensors, path: save_file(tensors, path),
    "w.pth": lambda tensors, path: torch.save({"state_dict": tensors}, path),
}


@pytest.mark.parametrize("name", SAVE)
def test_files_are_mapped_not_copied_and_never_written(tmp_path, name):
    """Later writes to the file change the tensors; writes to the tensors do not change the file."""
    path, numbers = tmp_path / name, torch.full((64, 1024), 7.0)
    SAVE[name]({"a": numbers}, path)
    tensors, stored = load_tensors(path), path.read_bytes()
    with path.open("r+b") as file:
        file.seek(stored.index(numbers.numpy().tobytes()))
        file.write((2 * numbers).numpy().tobytes())
    assert torch.equal(tensors["a"], 2 * numbers)
    tensors["a"].zero_()
    assert (2 * numbers).numpy().tobytes() in path.read_bytes()


def test_files_of_old_torch_are_read_whole(tmp_path):
    torch.save(TENSORS, tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    assert same(load_tensors(tmp_path / "w.pth"), TENSORS)


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".pth", ".ckpt"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda t: t,
        lambda t: {"state_dict": t, "epoch": 3},
        lambda t: {"params": {"old": torch.zeros(1)}, "params_ema": t},
        lambda t: {"params": t},
        lambda t: {f"module.{k}": v for k, v in t.items()},
        lambda t: {"state_dict": {f"module.{k}": v for k, v in t.items()}},
        lambda t: [{"old": torch.zeros(1)}, {"state": {}}, 7, 900, t],
        lambda t: [{f"module.{k}": v for k, v in t.items()}, {"state": {}}, 7, 900],
    ],
    ids=[
        "bare",
        "state_dict",
        "params_ema",
        "params",
        "module",
        "module in a wrapper",
        "training file with EMA",
        "training file without EMA",
    ],
)
def test_pickled_weights_are_unwrapped(tmp_path, suffix, wrap):
    torch.save(wrap(TENSORS), tmp_path / f"w{suffix}")
    assert same(load_tensors(tmp_path / f"w{suffix}"), TENSORS)


def test_a_pickle_that_runs_code_is_refused_and_does_not_run(tmp_path):
    victim = tmp_path / "touched"
    for name, save in (("zip.bin", torch.save), ("plain.bin", lambda o, p: p.write_bytes(pickle.dumps(o, 2)))):
        save({"weight": Bomb(victim)}, tmp_path / name)
        text = fault(load_tensors, tmp_path / name)
        assert name in text
        assert "could run code" in text
    assert not victim.exists()


@pytest.mark.parametrize("name", ["w.safetensors", "w.bin"])
@pytest.mark.parametrize("keep", [0, 5, 150])
def test_truncated_files_are_named(tmp_path, name, keep):
    path = tmp_path / name
    (save_file if path.suffix == ".safetensors" else torch.save)(TENSORS, path)
    path.write_bytes(path.read_bytes()[:keep])
    text = fault(load_tensors, path)
    assert str(path) in text
    assert "truncated" in text


def test_missing_files_and_other_formats_are_named(tmp_path):
    assert "no such weights file" in fault(load_tensors, tmp_path / "absent.safetensors")
    (tmp_path / "w.onnx").write_bytes(b"onnx")
    assert ".safetensors" in fault(load_tensors, tmp_path / "w.onnx")


def test_a_pickle_of_something_else_is_refused(tmp_path):
    torch.save({"epoch": 3, "name": "x"}, tmp_path / "w.pt")
    assert "no named tensors" in fault(load_tensors, tmp_path / "w.pt")
    assert "no named tensors" in fault(unwrap, [], "here")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_values_that_are_not_finite_are_refused(value, dtype):
    bad = torch.zeros(100, dtype=dtype)
    bad[70] = value
    text = fault(check_finite, {"fine": torch.ones(3), "bad.weight": bad, "whole": torch.arange(3)}, "file")
    assert "bad.weight" in text
    assert "1 of 3" in text


def test_large_finite_values_are_accepted():
    """Sums that overflow their type are not an error."""
    check_finite({"a": torch.full((100,), 6e4, dtype=torch.float16), "b": torch.full((100,), 3e38)}, "file")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop("0.bias"), r"1 missing tensor \(first 0\.bias\)"),
        (lambda t: t.clear(), r"4 missing tensors \(first 0\.weight\)"),
        (
            lambda t: t.update({"9.weight": torch.zeros(1), "9.bias": torch.zeros(1)}),
            r"2 unknown tensors \(first 9\.weight\)",
        ),
        (
            lambda t: t.update({"1.weight": torch.zeros(4, 2)}),
            r"1 of another shape \(first 1\.weight: \(4, 2\).*\(4, 3\)\)",
        ),
    ],
)
def test_fit_names_what_does_not_fit(change, said):
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 4))
    tensors = dict(network.state_dict())
    change(tensors)
    text = fault(fit, network, tensors, "folder/file.bin")
    assert re.search(said, text)
    assert "folder/file.bin" in text


def test_fit_says_whose_weights_they_are():
    network = torch.nn.Linear(2, 3)
    text = fault(fit, network, dict.fromkeys(layout("codeformer"), torch.zeros(1)), "file.pth")
    assert text.endswith("they look like CodeFormer's")
    assert "look like" not in fault(fit, network, {"weight": torch.zeros(3, 2)}, "file.pth")
    # The message does not name the expected system as another one.
    rrdb = dict.fromkeys(layout("rrdbnet_x4"), torch.zeros(1))

    class Same(torch.nn.Module):
        def state_dict(self, *args, **more):
            return rrdb

    assert "disagree" in fault(fit, Same(), {k: v for k, v in rrdb.items() if k != "conv_last.bias"}, "file.pth")


def test_fit_fills_a_network_that_has_no_memory_yet():
    source = torch.nn.Linear(2, 3)
    with torch.device("meta"):
        empty = torch.nn.Linear(2, 3)
    fit(empty, source.state_dict(), "here")
    assert torch.equal(empty(torch.ones(1, 2)), source(torch.ones(1, 2)))


def test_sha256_is_that_of_the_bytes(tmp_path):
    path = tmp_path / "w.bin"
    path.write_bytes(bytes(range(256)) * 10)
    assert sha256(path) == sha256(path, chunk=7) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "absent" in fault(sha256, tmp_path / "absent")
