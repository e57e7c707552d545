"""Networks are built without values, and everything else is filled as ever."""

import threading

import torch
from torch import nn

from odekit.core.meta_tensors import FILLS, unfilled_meta_tensors


def test_tensors_without_memory_stay_and_others_are_filled():
    with unfilled_meta_tensors(), torch.device("meta"):
        network = nn.Sequential(nn.Linear(3, 4), nn.Embedding(5, 6), nn.Conv2d(1, 2, 3))
    assert all(tensor.is_meta for tensor in network.parameters())
    with unfilled_meta_tensors():
        torch.manual_seed(1)
        inside = [torch.empty(8).normal_(2.0, std=0.5), torch.empty(8).uniform_(to=3.0), nn.Linear(3, 4).weight]
    torch.manual_seed(1)
    outside = [torch.empty(8).normal_(2.0, std=0.5), torch.empty(8).uniform_(to=3.0), nn.Linear(3, 4).weight]
    assert all(torch.equal(one, other) for one, other in zip(inside, outside, strict=True))


def test_the_methods_of_torch_are_back_after_the_last_block():
    before = [getattr(torch.Tensor, name) for name in FILLS]
    first, second = unfilled_meta_tensors(), unfilled_meta_tensors()
    first.__enter__()
    thread = threading.Thread(target=second.__enter__)
    thread.start()
    thread.join()
    first.__exit__(None, None, None)
    assert torch.empty(2, device="meta").normal_().is_meta
    assert all("method" in vars(torch.Tensor)[name].__name__ for name in FILLS)
    second.__exit__(None, None, None)
    assert [getattr(torch.Tensor, name) for name in FILLS] == before
    assert not set(FILLS) & vars(torch.Tensor).keys()
