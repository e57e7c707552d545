"""Networks in training: built from a seed or warm-started, evaluated in small batches, and written with their facts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit.core.files import set_usual_rights
from odekit.errors import WeightsError
from odekit.training import run_folder

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS = "model.safetensors"


def create(
    build: Callable[[], nn.Module], seed: int, init: Path | None, load: Callable[[nn.Module, Path], Mapping[str, Any]]
) -> tuple[nn.Module, Mapping[str, Any]]:
    """A network and the train.json of the run that it continues ({} if new).

    Args:
        build: makes the network; its random weights are a function of `seed`.
        seed: seed of torch's generator while the network is built; its state is restored afterwards.
        init: folder of weights for a warm start, or None.
        load: loads the weights of `init` into the network and returns its train.json.
    """
    import torch

    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        network = build()
    return network, load(network, init) if init else {}


def load(network: nn.Module, folder: Path, kind: str, load_file: Callable[[nn.Module, Path], object]) -> dict[str, Any]:
    """Load `model.safetensors` of a folder by `load_file`; returns the folder's train.json ({} if it has none).

    Raises:
        WeightsError: the folder has no weights, or weights of another shape. `kind` names the network in the message.
    """
    if not (folder / WEIGHTS).is_file():
        raise WeightsError(f"{folder}: no {kind} to start from (needs {WEIGHTS})")
    load_file(network, folder / WEIGHTS)
    return read_facts(folder)


def read_facts(folder: Path) -> dict[str, Any]:
    """The train.json of a folder of weights; {} if it has none."""
    path = folder / "train.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def write(
    folder: Path, network: nn.Module, documents: Mapping[str, Mapping[str, Any]], weights_name: str = WEIGHTS
) -> None:
    """Write float16 weights and JSON `documents` (file name: content). An existing folder is replaced as a whole."""
    import torch
    from safetensors.torch import save_file

    draft = run_folder.make_draft(folder)
    state = {
        name: tensor.detach().to("cpu", torch.float16).contiguous()
        for name, tensor in network.state_dict().items()
        if "num_batches" not in name
    }
    save_file(state, draft / weights_name)
    set_usual_rights(draft / weights_name)
    for name, content in documents.items():
        (draft / name).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    run_folder.replace_folder(draft, folder)


def outputs(network: nn.Module, inputs: Tensor, batch: int) -> Tensor:
    """The network's outputs for inputs (N, ...), float32 on the CPU, computed `batch` inputs at a time."""
    import torch

    device = next(network.parameters()).device
    return torch.cat([network(x.to(device)).float().cpu() for x in torch.split(inputs, batch)])
