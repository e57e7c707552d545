"""Muon: orthogonal steps for matrices with norms like AdamW's, in any memory layout; AdamW for vectors."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from odekit.errors import ConfigError
from odekit.training import optimiser
from odekit.training.options.base import OptimiserOptions

OPTIONS = OptimiserOptions(kind="muon", lr=0.01, weight_decay=0.0)


def three(middle):
    """A network in which Muon updates `middle` only: AdamW updates the first and the last matrix."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 1), middle, nn.Conv2d(16, 3, 1))


def set_gradients(network, seed=1):
    torch.manual_seed(seed)
    for p in network.parameters():
        p.grad = torch.randn(p.shape).contiguous(memory_format=torch.preserve_format)


def moved(network, options=OPTIONS):
    """The change of each weight in one step with fixed gradients."""
    set_gradients(network)
    before = [p.detach().clone() for p in network.parameters()]
    optimiser.build_optimiser(network, options).step()
    return [p.detach() - b for p, b in zip(network.parameters(), before, strict=True)]


def test_a_matrix_moves_along_its_gradient_made_orthogonal():
    """The singular values of the step are about equal (Newton-Schulz iteration: 0.7 to 1.2), its singular vectors are
    those of the gradient, and its root mean square is 0.2 lr, as with AdamW (arXiv:2502.16982)."""
    network = three(nn.Conv2d(8, 16, 3, padding=1))
    step = moved(network)[2].reshape(16, -1).double()
    gradient = network[1].weight.grad.reshape(16, -1).double()
    u, _, vt = torch.linalg.svd(gradient, full_matrices=False)
    along = -(u.T @ step @ vt.T) / (0.2 * OPTIONS.lr * 72**0.5)  # 72: the longer side
    values = along.diagonal()
    assert 0.6 < values.min() < values.max() < 1.3
    assert (along - torch.diag(values)).abs().max() < 0.05
    assert step.square().mean().sqrt() == pytest.approx(0.2 * OPTIONS.lr, rel=0.2)


def test_vectors_and_the_first_and_last_matrix_go_by_adamw():
    network, plain = (three(nn.Conv2d(8, 16, 3, padding=1)) for _ in range(2))
    steps, expected = moved(network), moved(plain, OPTIONS.model_copy(update={"kind": "adamw"}))
    for i, (one, other) in enumerate(zip(steps, expected, strict=True)):
        assert torch.allclose(one, other, rtol=1e-4) == (i != 2)


def test_the_layout_in_memory_changes_nothing():
    network = three(nn.Conv2d(8, 16, 3, padding=1))
    last = three(nn.Conv2d(8, 16, 3, padding=1)).to(memory_format=torch.channels_last)
    one, other = moved(network)[2], moved(last)[2]
    # the sums are taken in another order, in bfloat16
    torch.testing.assert_close(one, other, atol=0.03 * float(one.abs().max()), rtol=0)


def test_learning_rates_momentum_and_state_belong_to_it():
    """An optimiser with a restored state takes the same next step; a learning rate of zero changes nothing."""
    network = three(nn.Conv2d(8, 16, 3, padding=1))
    first = optimiser.build_optimiser(network, OPTIONS)
    set_gradients(network)
    first.step()
    state = [p.detach().clone() for p in network.parameters()]
    copy = three(nn.Conv2d(8, 16, 3, padding=1))
    copy.load_state_dict(network.state_dict())
    second = optimiser.build_optimiser(copy, OPTIONS)
    second.load_state_dict(deepcopy(first.state_dict()))
    for trained, by in ((network, first), (copy, second)):
        by.zero_grad()
        assert all(p.grad is None for p in trained.parameters())
        set_gradients(trained, seed=2)
        by.step()
    for a, b in zip(network.parameters(), copy.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not any(torch.equal(a, b) for a, b in zip(network.parameters(), state, strict=True))
    state = [p.detach().clone() for p in copy.parameters()]
    for group in second.param_groups:
        group["lr"] = 0.0
    second.step()
    assert all(torch.equal(a, b) for a, b in zip(copy.parameters(), state, strict=True))


def test_an_old_torch_is_reported(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(ConfigError, match=r"torch 2\.9"):
        optimiser.build_optimiser(three(nn.Conv2d(8, 16, 1)), OPTIONS)
