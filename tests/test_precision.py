"""TF32 is on during network calls only if the run requests it, and the user's switches are restored afterwards.

torch's switches exist without a GPU, so that they can be tested on the CPU.
"""

import subprocess
import sys
import threading
from types import SimpleNamespace

import PIL.Image
import pytest
import torch

from odekit import Chain
from odekit.chains.tools import PartTools
from odekit.chains.tuning import precision as guard
from odekit.core import precision as module
from odekit.core.counter import CallCounter
from odekit.core.image import Image
from odekit.core.precision import has_tf32, resolve_precision, set_tf32_switches, storage_type, supported_16bit_types
from odekit.errors import DeviceError
from odekit.parts.priors.batched import BatchedPrior
from odekit.parts.stages.options import Upsample
from odekit.parts.stages.upsample import UpsampleStage
from odekit.testing import GaussianModel

NEW = hasattr(torch.backends.cuda.matmul, "fp32_precision")
CARD = "cuda:0"
needs_new = pytest.mark.skipif(not NEW, reason="torch before 2.9 has only the old switches")


def switches():
    """(products, convolutions): whether a GPU would compute them in TF32."""
    if not NEW:
        return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    kinds = torch.backends.cuda.matmul, torch.backends.cudnn.conv
    return tuple(kind.fp32_precision == "tf32" for kind in kinds)


@pytest.mark.parametrize("precision, on", [("tf32", True), ("float32", False), ("bfloat16", False)])
def test_products_and_convolutions_are_in_tf32_where_the_precision_says_so(precision, on):
    before = switches()
    with module.precision(precision, CARD):
        assert switches() == (on, on)
    assert switches() == before


def test_the_switches_come_back_after_an_exception_and_inside_one_another():
    before = switches()

    def fails():
        with module.precision("tf32", CARD):
            with module.precision("float32", CARD):
                assert switches() == (False, False)
            assert switches() == (True, True)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert switches() == before and module._active_modes == []


@pytest.mark.parametrize("device", ["cpu", "mps", torch.device("cpu")])
def test_devices_without_the_switches_are_left_alone(device):
    before = switches()
    with module.precision("tf32", device):
        assert switches() == before


def test_another_thread_waits_until_the_switches_are_put_back():
    seen, inside = [], threading.Event()

    def other():
        inside.set()
        with module.precision("float32", CARD):
            seen.append(switches())

    thread = threading.Thread(target=other)
    with module.precision("tf32", CARD):
        thread.start()
        assert inside.wait(5)
        thread.join(0.1)
        assert seen == [] and switches() == (True, True)
    thread.join(5)
    assert seen == [(False, False)]


SETTINGS = (
    "pass",
    "b.cuda.matmul.allow_tf32 = True",
    "b.cudnn.allow_tf32 = False",
    "b.cuda.matmul.allow_tf32 = True; b.cudnn.allow_tf32 = False",
    "torch.set_float32_matmul_precision('high')",
    "torch.set_float32_matmul_precision('medium')",
    "b.fp32_precision = 'tf32'",
    "b.fp32_precision = 'ieee'",
    "b.cudnn.fp32_precision = 'ieee'",
    "b.cudnn.conv.fp32_precision = 'ieee'",
    "b.cuda.matmul.fp32_precision = 'tf32'",
    "b.fp32_precision = 'tf32'; b.cuda.matmul.fp32_precision = 'ieee'",
    "b.cuda.matmul.allow_tf32 = True; b.cuda.matmul.fp32_precision = 'ieee'",
)
LATER = ("pass", "b.fp32_precision = 'ieee'", "b.fp32_precision = 'tf32'", "b.cudnn.fp32_precision = 'ieee'")

SCRIPT = f"""
import os, sys, torch
b = torch.backends
from odekit.core import precision as module

def everything():
    def one(read):
        try:
            return read()
        except RuntimeError:
            return "mixed"
    kinds = (b, b.cuda.matmul, b.cudnn, b.cudnn.conv, b.cudnn.rnn, b.mkldnn, b.mkldnn.matmul, b.mkldnn.conv)
    return [one(lambda k=k: k.fp32_precision) for k in kinds] + [
        one(lambda: b.cuda.matmul.allow_tf32), one(lambda: b.cudnn.allow_tf32), one(torch.get_float32_matmul_precision)]

def after(setting, later, precision):
    "What all switches say at the end, of a process of its own; with a network call between where precision is one."
    get, put = os.pipe()
    if os.fork() == 0:
        exec(setting)
        if precision:
            with module.precision(precision, "cuda"):
                want = "tf32" if precision == "tf32" else "ieee"
                inside = b.cuda.matmul.fp32_precision, b.cudnn.conv.fp32_precision
            if inside != (want, want):
                os.write(put, repr(inside).encode()); os._exit(0)
        found = [everything()]
        exec(later)
        os.write(put, repr(found + [everything()]).encode()); os._exit(0)
    os.close(put); os.wait()
    with os.fdopen(get) as said:
        return said.read()

for setting in {SETTINGS!r}:
    for later in {LATER!r}:
        untouched = after(setting, later, None)
        for precision in ("float32", "tf32"):
            touched = after(setting, later, precision)
            if touched != untouched:
                print(setting, "|", later, "|", precision, untouched, touched, sep="\\n  ")
"""


@needs_new
@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
def test_whatever_a_user_has_set_is_as_if_no_network_had_run():
    """Later settings have the same effect too: a switch that followed another one still does."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == ""


class OldTorch:
    """torch before 2.9: two flags, one of which also has a named value."""

    def __init__(self, products="highest", convolutions=True):
        self.products = products
        this = self

        class Matmul:
            def __setattr__(self, name, value):
                assert name == "allow_tf32"
                this.products = "high" if value else "highest"

        cudnn = SimpleNamespace(allow_tf32=convolutions)
        self.backends = SimpleNamespace(cuda=SimpleNamespace(matmul=Matmul()), cudnn=cudnn)

    def get_float32_matmul_precision(self):
        return self.products

    def set_float32_matmul_precision(self, word):
        self.products = word

    @property
    def state(self):
        return self.products, self.backends.cudnn.allow_tf32


@pytest.mark.parametrize("wanted, inside", [("ieee", ("highest", False)), ("tf32", ("high", True))])
@pytest.mark.parametrize("own", [("highest", True), ("high", False), ("medium", True)])
def test_old_torch_has_its_flags_set_and_put_back(wanted, inside, own):
    torch = OldTorch(*own)
    put_back = set_tf32_switches(wanted, torch)
    assert torch.state == inside
    put_back()
    assert torch.state == own


@pytest.fixture
def on_a_card(monkeypatch):
    """The CPU is treated as a GPU that has the switches and supports TF32."""
    monkeypatch.setattr(module, "has_tf32_switches", lambda device: True)
    for place in ("odekit.core.precision", "odekit.chains.tuning.precision"):
        monkeypatch.setattr(f"{place}.has_tf32", lambda device: True)


def watched(network, seen):
    """Record the switches at every call of a network."""
    network.register_forward_pre_hook(lambda *_: seen.append(switches()))


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_a_chains_network_sees_its_own_switches_and_two_sessions_do_not_mix(on_a_card, precision):
    other = "tf32" if precision == "float32" else "float32"
    chain = Chain.load("odedit", ["restore.inverter.steps=2", "restore.enhancer=none", "restore.colour=keep"])
    sessions = {one: chain.open(device="cpu", precision=one, batch_size=1) for one in (precision, other)}
    seen = {one: [] for one in sessions}
    for one, session in sessions.items():
        watched(session.networks["face"].network, seen[one])
        assert session.execution.precision == one and session.networks["face"].dtype == torch.float32
    before = switches()
    for one in (precision, other, precision):
        sessions[one].run([grey(64)])
    assert switches() == before
    assert {one: set(found) for one, found in seen.items()} == {"float32": {(False, False)}, "tf32": {(True, True)}}


def grey(side):
    return Image(torch.full((3, side, side), 0.5).numpy())


def test_the_switches_come_back_where_a_network_fails(on_a_card):
    session = Chain.load("odedit").open(device="cpu", precision="tf32", batch_size=1)
    network, before = session.networks["face"].network, switches()
    network.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        session.prior("face").eps(torch.zeros((1, 3, 64, 64), dtype=torch.float64), 500.0)
    assert switches() == before


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_a_prior_that_knows_nothing_of_switches_has_them_set(on_a_card, precision):
    """Such as the prior of a plugin."""
    seen, inner = [], GaussianModel(8)
    prior = SimpleNamespace(shape=inner.shape, schedule=inner.schedule, eps=lambda x, t: seen.append(switches()) or x)
    BatchedPrior(prior, 1, CallCounter(), precision, CARD).eps(torch.zeros((1, 3, 8, 8)), 0.0)
    assert seen == [(precision == "tf32",) * 2]


def test_parts_with_weights_get_a_torch_dtype_and_upsamplers_are_exact(on_a_card):
    tools = PartTools(Chain.load("odedit").parts, "cpu", "tf32")
    assert tools.precision == "float32"
    seen = []
    upsampler = SimpleNamespace(upsample=lambda batch, noise: seen.append(switches()) or list(batch), spec=None)
    with module.precision("tf32", CARD):
        UpsampleStage(Upsample("resize"), SimpleNamespace(make=lambda part: upsampler)).run(
            [grey(8)], SimpleNamespace(noise=lambda image: None, state_device=CARD)
        )
    assert seen == [(False, False)]


def test_tf32_is_refused_where_the_device_does_not_have_it(cli, tmp_path):
    with pytest.raises(DeviceError, match=r"compute capability 8\.0 or more .* cpu is not; use --precision float32"):
        resolve_precision("tf32", "cpu")
    PIL.Image.new("RGB", (64, 64)).save(tmp_path / "face.png")
    done = cli("run", "odedit", tmp_path / "face.png", "-o", tmp_path / "out", "--device", "cpu", "--precision", "tf32")
    assert done.code == 2 and "precision tf32 needs an NVIDIA GPU" in done.err


@pytest.mark.parametrize("capability, has", [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_cards_have_tf32_since_ampere(monkeypatch, capability, has):
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert has_tf32("cuda:0") is has and not has_tf32("cpu")
    assert guard.reduced_precisions("cuda:0") == ("bfloat16", "float16") + (("tf32",) if has else ())
    assert "tf32" not in supported_16bit_types("cuda:0"), "training asks for types"


def test_the_guard_may_choose_tf32_which_is_stored_as_float32(on_a_card, monkeypatch, tmp_path):
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path))
    monkeypatch.setattr(guard, "supported_16bit_types", lambda device: ())
    asked = []
    monkeypatch.setattr(
        guard, "measure_precisions", lambda load, device, names: asked.append(names) or guard.PrecisionChoice("tf32")
    )
    chain = Chain.load("odedit")
    assert guard.choose_precision("auto", "cpu", chain.spec, chain.parts) == "tf32" and asked == [("tf32",)]
    assert storage_type("tf32") == "float32" and storage_type("float16") == "float16"
