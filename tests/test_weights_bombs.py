"""Weights files that are made to exhaust time or memory, or to mislead: each is refused in one line, within seconds."""

import json
import pickle
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from odekit import Chain
from odekit.errors import WeightsError
from odekit.plugins.weights.load import load_tensors
from odekit.plugins.weights.numpy_pickle import read_arrays

SECONDS, MEGABYTES = 10.0, 2_000
"""Limits of one refusal, on a busy machine."""


class Calls:
    """A pickle that calls one of the functions that torch permits."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def deflated(path):
    torch.save({"a.weight": torch.zeros(20_000_000)}, path.with_suffix(".tmp"))
    with (
        zipfile.ZipFile(path.with_suffix(".tmp")) as source,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    path.with_suffix(".tmp").unlink()


def saved(tensor, name="a.weight"):
    return lambda path: torch.save({name: tensor()}, path)


def many_names(path):
    header = json.dumps({f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(400_000)})
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode())


def tied(path):
    whole = torch.zeros(1_000_000)
    torch.save({f"t{i}.weight": whole for i in range(20_000)}, path)


PICKLED = {
    "stride 0": (saved(lambda: torch.zeros(1).expand(1_000_000, 1_000_000)), "repeats its values"),
    "overlapping": (saved(lambda: torch.zeros(2000).as_strided((1000, 1000), (1, 1))), "repeats its values"),
    "meta": (saved(lambda: torch.empty(3, 3, device="meta")), "no values"),
    "sparse": (saved(lambda: torch.eye(3).to_sparse()), "sparse"),
    "compressed rows": (saved(lambda: torch.eye(3).to_sparse_csr()), "sparse"),
    "nested": (saved(lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])), "nested"),
    "quantised": (saved(lambda: torch.quantize_per_tensor(torch.zeros(3, 3), 0.1, 0, torch.qint8)), "qint8"),
    "complex": (saved(lambda: torch.zeros(3, dtype=torch.complex64)), "complex64"),
    "float8": (saved(lambda: torch.zeros(3).to(torch.float8_e4m3fn)), "float8"),
    "integers": (saved(lambda: torch.zeros(3, dtype=torch.int64)), "int64 numbers"),
    "truth values": (saved(lambda: torch.zeros(3, dtype=torch.bool)), "bool numbers"),
    "zip bomb": (deflated, "compressed archive"),
    "tied": (tied, "in a file of"),
    "a huge empty tensor": (
        lambda path: path.write_bytes(pickle.dumps({"a.weight": Calls(torch.Tensor, 60_000, 60_000)}, 2)), "",
    ),
    "a huge array of bytes": (
        lambda path: path.write_bytes(pickle.dumps({"a.weight": Calls(bytearray, 10**11)}, 2)), "",
    ),
}  # fmt: skip


def refused(read, path, seconds=SECONDS):
    started = time.perf_counter()
    with pytest.raises(WeightsError) as caught:
        read(path)
    assert time.perf_counter() - started < seconds
    text = str(caught.value)
    assert "\n" not in text and len(text) < 400 and str(path) in text
    return text


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PICKLED)
def test_a_pickle_of_no_plain_weights_is_refused(tmp_path, name):
    write, said = PICKLED[name]
    write(tmp_path / "w.pth")
    assert said in refused(load_tensors, tmp_path / "w.pth")


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int64, torch.uint8, torch.float8_e4m3fn, torch.float8_e5m2])
def test_types_that_are_no_weights_are_refused_in_safetensors(tmp_path, dtype):
    save_file({"a.weight": torch.zeros(3).to(dtype)}, tmp_path / "w.safetensors")
    assert str(dtype).removeprefix("torch.") in refused(load_tensors, tmp_path / "w.safetensors")


def test_hundreds_of_thousands_of_names_are_refused(tmp_path):
    many_names(tmp_path / "w.safetensors")
    assert "list of tensors" in refused(load_tensors, tmp_path / "w.safetensors", 2)


def test_refusals_need_little_memory(tmp_path):
    """In a process of its own, because the greatest use of memory never falls."""
    for name in ("stride 0", "overlapping", "zip bomb", "a huge empty tensor", "a huge array of bytes", "tied"):
        PICKLED[name][0](tmp_path / f"{name}.pth")
    many_names(tmp_path / "w.safetensors")
    program = (
        "import sys, pathlib; from odekit.core.device import peak_memory_bytes; from odekit.plugins.weights.load import load_tensors\n"
        "for file in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
        "    try: load_tensors(file); print('read', file)\n"
        "    except Exception as error: assert type(error).__name__ == 'WeightsError', error\n"
        "print(int(peak_memory_bytes() / 1e6))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < MEGABYTES, done.stdout


def test_tied_weights_and_integer_buffers_of_real_networks_are_read(tmp_path):
    whole = torch.arange(6.0)
    tensors = {
        "in.weight": whole, "out.weight": whole, "part.weight": whole[2:4], "turned.weight": torch.ones(2, 3).T,
        "norm.num_batches_tracked": torch.tensor(7), "attention.relative_position_index": torch.arange(4),
        "embeddings.position_ids": torch.arange(4), "model_ema.num_updates": torch.tensor(3, dtype=torch.int32),
    }  # fmt: skip
    torch.save(tensors, tmp_path / "w.pth")
    read = load_tensors(tmp_path / "w.pth")
    assert read.keys() == tensors.keys() and all(torch.equal(read[name], tensors[name]) for name in tensors)


def test_a_pickle_of_arrays_larger_than_its_file_is_refused(tmp_path):
    path = tmp_path / "arrays.pkl"
    path.write_bytes(pickle.dumps({"a": Calls(np.ndarray, (50_000, 50_000), "<f4")}))
    assert "" in refused(read_arrays, path)


def prior_folder(folder, **changes):
    from odekit.core.files import ASSETS

    config = json.loads((ASSETS / "face64" / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    (folder / "diffusion_pytorch_model.safetensors").symlink_to(
        ASSETS / "face64" / "diffusion_pytorch_model.safetensors"
    )
    return folder


@pytest.mark.parametrize(
    "changes",
    [
        {"layers_per_block": 10_000_000},
        {"layers_per_block": 1e300},
        {"block_out_channels": [64] * 100_000},
        {"block_out_channels": [10**12, 64]},
        {"sample_size": 10**9},
        {"sample_size": [64, 10**9]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_description_of_a_network_that_no_file_fills_is_refused(tmp_path, changes):
    chain = Chain.load("odedit", [f"priors.face={prior_folder(tmp_path, **changes)}"])
    started = time.perf_counter()
    with pytest.raises(WeightsError, match=r"config\.json: .*priors of at most"):
        chain.plan()
    assert time.perf_counter() - started < SECONDS


@pytest.mark.parametrize("value", ["https://example.org/w.pth", "s3://bucket/w.safetensors"])
def test_weights_at_a_url_are_refused_by_check(cli, value):
    done = cli("check", "odedit-plus", "--set", f"upsample.weights={value}")
    assert done.code == 2 and "is a URL; download the file" in done.err and done.err.count("\n") == 1


def test_integers_are_read_for_a_caller_that_scales_them(tmp_path):
    save_file({"a.weight": torch.arange(3, dtype=torch.uint8)}, tmp_path / "w.safetensors")
    assert load_tensors(tmp_path / "w.safetensors", integers=True)["a.weight"].tolist() == [0, 1, 2]
