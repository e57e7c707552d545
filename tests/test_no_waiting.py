"""Nothing in the loop synchronises with a GPU.

The loop runs on a simulated GPU: torch's fake tensors have its device but no values, so that reading a value (`.item()`,
`if tensor:`, an index by a mask) fails. Copies between GPU and CPU are recorded and checked.
"""

from contextlib import contextmanager

import pytest
import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from odekit import Chain
from odekit.chains.tools import PartTools
from odekit.core.grid import make_grid
from odekit.core.noise import BatchNoise, ImageNoise, noise_generator
from odekit.core.schedule import NoiseSchedule
from odekit.edit import edit
from odekit.parts.enhancers.adaptive import FittedLangevin
from odekit.parts.enhancers.calibration import Strength, StrengthDecision
from odekit.parts.enhancers.langevin import Langevin, LangevinEnhancer
from odekit.parts.enhancers.none import NoEnhancer
from odekit.parts.enhancers.preconditioned import PreconditionedEnhancer, PreconditionedOptions
from odekit.parts.enhancers.sk_rock import SkRockEnhancer, SkRockOptions
from odekit.parts.inverters.ode import Ode, OdeInverter
from odekit.parts.priors.batched import BatchedPrior
from odekit.parts.priors.fast.blocks import use_fast_blocks
from odekit.parts.priors.fast.unet import UNet
from odekit.parts.priors.folder import read_prior_folder
from odekit.parts.priors.network import DiffusersPrior
from odekit.parts.priors.options import ASSETS

CARD = "cuda:0"
ROWS, SIDE = 2, 8
REFUSED = (DataDependentOutputException, DynamicOutputShapeException)
LOOKS = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "unique")


class Waits(TorchDispatchMode):
    """Records operations that would synchronise with the GPU: reads of values, and copies that are not asynchronous."""

    def __init__(self):
        super().__init__()
        self.found, self.count = [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        self.count += 1
        if name in LOOKS:
            self.found.append(name)
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        if name.startswith("index") and any(one.dtype == torch.bool for one in given[1:]):
            self.found.append("index by a mask")
        here = {one.device.type for one in given}
        if len(here) > 1 and any(one.device.type == "cpu" and one.dim() for one in given) and name != "copy_":
            self.found.append(f"{name} of tensors here and there")
        out = func(*args, **kwargs)
        if name in ("_to_copy", "copy_") and isinstance(out, torch.Tensor):
            to, source = out.device.type, given[-1].device.type
            if to != source and not (to == "cuda" and (kwargs.get("non_blocking") or True in args[2:])):
                self.found.append(f"copy from {source} to {to}")
        return out


@pytest.fixture
def card(monkeypatch):
    """A simulated GPU whose operations are recorded. Pinned memory is recorded too, because fake tensors cannot be pinned."""
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: pinned.append(self) or self)
    monkeypatch.setattr("odekit.core.precision.has_tf32_switches", lambda device: False)

    @contextmanager
    def pretended():
        with FakeTensorMode(allow_non_fake_inputs=True), Waits() as waits:
            waits.pinned = pinned
            yield waits

    return pretended


class Simple:
    """A prior with few operations."""

    def __init__(self, side=SIDE):
        self.shape, self.schedule = (3, side, side), NoiseSchedule.linear()

    def eps(self, x, t):
        return 0.5 * x


def noise():
    return BatchNoise([ImageNoise(noise_generator(0, str(i), "test")) for i in range(ROWS)])


def pictures():
    return torch.zeros((ROWS, 3, SIDE, SIDE), dtype=torch.float64, device=CARD)


def test_the_watch_sees_what_would_wait(card):
    with card() as waits:
        x = pictures()
        torch.tensor([1.0, 2.0], device=CARD)
        torch.ones(2).to(CARD)
        x.cpu()
        x[[0, 1]]
        for look in (lambda: float(x.sum()), lambda: bool((x > 0).any()), lambda: x[x > 0]):
            with pytest.raises(REFUSED):
                look()
    copies = [one for one in waits.found if one.startswith("copy")]
    assert "copy from cuda to cpu" in copies and copies.count("copy from cpu to cuda") >= 2
    assert waits.found.count("_local_scalar_dense") == 2 and "index by a mask" in waits.found


SOLVERS = ("ddim", "heun", "dpmpp-2m", "fixed-point", "belm", "reversible-heun", "deis", "unipc", "dpm-solver")
LEVELS = [1, 3]
ENHANCERS = {
    "none": NoEnhancer(),
    "langevin": LangevinEnhancer(Langevin(levels=LEVELS, iterations=3)),
    "snr": LangevinEnhancer(Langevin(levels=LEVELS, iterations=3, rule="snr", finish="clean")),
    "preconditioned": PreconditionedEnhancer(PreconditionedOptions(levels=LEVELS, iterations=2, rate=0.01)),
    "sk-rock": SkRockEnhancer(SkRockOptions(levels=LEVELS, iterations=2)),
}


def inverter(solver="ddim", **options):
    part = Chain.load("odedit", [f"restore.inverter.solver={solver}"]).spec.items[0].options.inverter.options.solver
    tools = PartTools(Chain.load("odedit").parts, "cpu", "float32")
    return OdeInverter(Ode(solver=part, steps=6, grid="uniform-t", **options), Simple(), tools.make(part))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("enhancer", ENHANCERS)
def test_a_restoration_waits_for_nothing(card, solver, enhancer):
    made, way = ENHANCERS[enhancer], inverter(solver)
    keep = torch.zeros((1, 1, SIDE, SIDE), dtype=torch.float64, device="cpu")
    with card() as waits:
        pins = keep.to(CARD, non_blocking=True)
        out = edit(pictures(), way, made, BatchedPrior(Simple(), 4), noise(), repeats=2, keep=pins)
        assert out.device.type == "cuda" and waits.count > 100
    assert waits.found == []


@pytest.mark.parametrize("clip", ["confidence", "dynamic"])
@pytest.mark.parametrize("solver", ["ddim", "heun", "dpmpp-2m", "fixed-point", "deis", "unipc", "dpm-solver"])
def test_clipping_waits_for_nothing(card, clip, solver):
    way = inverter(solver, clip=clip)
    with card() as waits:
        edit(pictures(), way, NoEnhancer(), Simple(), noise())
    assert waits.found == []


def test_noise_goes_over_from_pinned_memory_beside_the_cards_work(card):
    with card() as waits:
        out = noise().normal_like(pictures())
        assert (out.device.type, out.dtype) == ("cuda", torch.float64)
    assert waits.found == [] and [one.dtype for one in waits.pinned] == [torch.float32]


def fitted(iterations):
    def decision(count):
        strength = Strength(f"s{count}", (0.1, 0.5), count, 0.1, 0.6)
        return StrengthDecision(strength, {}, {}, {})

    return FittedLangevin(Langevin(iterations="auto"), [decision(count) for count in iterations])


def test_pictures_that_need_different_numbers_of_updates_wait_for_nothing(card):
    levels = make_grid("uniform-t", 10, NoiseSchedule.linear())
    enhancer = fitted([2, 5])
    level = min(enhancer.acts_on(levels))
    with card() as waits:
        out = enhancer.enhance(pictures(), level, levels, BatchedPrior(Simple(), 4), noise())
        assert out.device.type == "cuda" and waits.count > 50
    assert waits.found == []


@pytest.fixture
def network(card):
    """The built-in network on the simulated GPU: its architecture, in the form used on GPUs."""
    spec = read_prior_folder(ASSETS / "face64")
    with card() as waits:
        with torch.device(CARD):
            net = UNet(spec.config).eval().requires_grad_(False)
        for module in net.modules():
            for name, weight in module.named_parameters(recurse=False):
                form = torch.channels_last if weight.dim() == 4 else torch.contiguous_format
                half = weight.detach().half().contiguous(memory_format=form)
                module._parameters[name] = torch.nn.Parameter(half, requires_grad=False)
        prior = DiffusersPrior(spec, use_fast_blocks(net))
        yield prior, waits


def test_a_network_call_waits_for_nothing(network):
    prior, waits = network
    assert prior.device.type == "cuda"
    x = torch.zeros((ROWS, *prior.shape), dtype=torch.float64, device=CARD)
    waits.found.clear()
    out = prior.eps(x, 500.25)
    assert (out.shape, out.dtype, out.device.type) == (x.shape, torch.float64, "cuda")
    assert waits.found == []


def test_what_depends_on_the_timestep_alone_is_computed_once_for_it_on_a_card_too(network):
    prior, waits = network
    x = torch.zeros((ROWS, *prior.shape), dtype=torch.float64, device=CARD)
    counts = []
    for t in (500.25, 500.25, 500.25, 400.0):
        before = waits.count
        prior.eps(x, t)
        counts.append(waits.count - before)
    first, again, third, other = counts
    assert again == third < 0.8 * first and other == first
