"""`precision: int8`: products of 8-bit integers on a CPU, near the float ones, and the same in every batch."""

import pytest
import torch
from test_fast_blocks import network, said
from torch.nn import functional

from odekit import Chain
from odekit.chains.tools import PartTools
from odekit.chains.tuning import precision as guard
from odekit.core import precision as module
from odekit.core.files import ASSETS
from odekit.core.image import Image
from odekit.core.precision import has_int8, resolve_precision, storage_type
from odekit.errors import DeviceError
from odekit.parts.installed import catalog
from odekit.parts.priors.fast import eight_bit
from odekit.parts.priors.fast.blocks import use_fast_blocks
from odekit.parts.priors.fast.eight_bit import CODES, EightBitConvolution, EightBitLinear, Grid, grid_of, to_codes
from odekit.parts.priors.network import DiffusersPrior
from odekit.parts.stages import precision_check

LAST = torch.channels_last
needs_int8 = pytest.mark.skipif(not has_int8("cpu"), reason="a processor without VNNI")


def drawn(*shape, seed=0):
    made = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return made.contiguous(memory_format=LAST) if len(shape) == 4 else made


@pytest.fixture(autouse=True)
def unwatched():
    with torch.inference_mode():
        yield


def reals(codes, grid):
    return (codes.float() - grid.zero) * grid.step


@pytest.mark.parametrize("silu", [True, False])
def test_a_grid_covers_four_standard_deviations_of_every_channel(silu):
    scale, shift = torch.tensor([0.1, -2.0, 0.5]), torch.tensor([3.0, 0.0, -1.0])
    grid = grid_of(scale, shift, silu=silu)
    low, high = -grid.zero * grid.step, (CODES - grid.zero) * grid.step
    assert high == pytest.approx(8, abs=grid.step)
    assert low == pytest.approx(eight_bit.LOWEST_SILU if silu else -8, abs=grid.step)


def test_a_channel_without_spread_has_a_grid():
    grid = grid_of(torch.zeros(3), torch.full((3,), -4.0))
    assert grid.step > 0 and 0 <= grid.zero <= CODES


@pytest.mark.parametrize("quantised", [True, False], ids=["one pass", "without quantised tensors"])
def test_codes_are_the_nearest_and_end_where_the_grid_ends(quantised, monkeypatch):
    monkeypatch.setattr(eight_bit, "_has_quantised_tensors", lambda: quantised)
    x, grid = drawn(2, 8, 5, 5), Grid(0.01, 28)
    x[0, 0, 0, :2] = torch.tensor([100.0, -100.0])
    codes = to_codes(x, grid)
    assert codes.dtype == torch.uint8 and codes.shape == x.shape and codes.is_contiguous(memory_format=LAST)
    assert codes[0, 0, 0, :2].tolist() == [CODES, 0]
    inside = (x > -0.28) & (x < 2.27)
    assert float((reals(codes, grid) - x)[inside].abs().max()) <= 0.5 * grid.step + 1e-6


@needs_int8
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_convolution_is_that_of_the_rounded_numbers(dtype):
    weight, bias = drawn(32, 16, 3, 3, seed=1), drawn(32, seed=2)
    ours = EightBitConvolution(weight, 1)
    rounded = ours.weight.codes.double() * ours.weight.scale.double()[:, None, None, None]
    assert float((rounded - weight).abs().max()) <= float(ours.weight.scale.max()) / 2 + 1e-6
    for shape, grid in (
        ((2, 16, 8, 8), Grid(0.02, 14)),
        ((1, 16, 6, 6), Grid(0.02, 14)),
        ((2, 16, 8, 8), Grid(0.03, 0)),
    ):
        codes = to_codes(functional.silu(drawn(*shape)), grid)
        true = functional.conv2d(reals(codes, grid).double(), rounded, bias.double(), padding=1)
        made = ours(codes, grid, bias, dtype)
        assert made.dtype == dtype and made.is_contiguous(memory_format=LAST)
        assert float((made - true).abs().max() / true.abs().max()) <= (1e-6 if dtype == torch.float32 else 2**-8)


@needs_int8
def test_a_product_is_that_of_the_rounded_numbers():
    weight, bias, grid = drawn(24, 16, seed=1), drawn(24, seed=2), Grid(0.04, 128)
    ours = EightBitLinear(weight, bias)
    rounded = ours.weight.codes.double() * ours.weight.scale.double()[:, None]
    for rows in (40, 5, 40):
        codes = to_codes(drawn(rows, 16), grid)
        true = reals(codes, grid).double() @ rounded.t() + bias.double()
        assert float((ours(codes, grid, torch.float32) - true).abs().max() / true.abs().max()) <= 1e-6


@needs_int8
@pytest.mark.parametrize("shift", ["scale_shift", "default"])
def test_a_network_is_near_the_float_one_at_one_timestep_and_at_several(shift):
    x = drawn(3, 3, 16, 16)
    plain = network(resnet_time_scale_shift=shift)
    coded = use_fast_blocks(network(resnet_time_scale_shift=shift), eight_bit=True)
    for t in (torch.tensor([30.0]), torch.tensor([3.0, 500.0, 30.0]), torch.tensor([30.0])):
        a, b = (one(x, t.expand(3) if one is plain else t, return_dict=False)[0] for one in (plain, coded))
        error = float((a - b).norm() / a.norm())
        assert 1e-5 < error < 0.03, "8 bits were used, and are enough"


@needs_int8
def test_a_picture_does_not_depend_on_the_others_of_its_batch():
    coded = use_fast_blocks(network(), eight_bit=True)
    x = drawn(8, 3, 16, 16)
    x[3] *= 40  # a range taken from the batch would follow this one
    together = coded(x, torch.tensor([30.0]), return_dict=False)[0]
    for rows in (slice(0, 1), slice(4, 7)):
        assert torch.equal(coded(x[rows], torch.tensor([30.0]), return_dict=False)[0], together[rows])


@needs_int8
def test_the_built_in_prior_restores_as_in_float32():
    reference, coded = (DiffusersPrior.load(ASSETS / "face64", precision=name) for name in ("float32", "int8"))
    pictures = precision_check.calibration_images(reference, "cpu")
    expected = precision_check.restore_images(reference, pictures)
    assert (
        guard.MIN_PSNR + 4 < precision_check.lowest_psnr(precision_check.restore_images(coded, pictures), expected) < 70
    )


@needs_int8
def test_weights_are_held_once():
    net = use_fast_blocks(network(), eight_bit=True)
    assert said(net, 2, 30.0, (3, 16, 16)) is not None
    assert all(block.conv1.weight is None for block in net.modules() if type(block).__name__ == "ResnetBlock2D")


def test_only_a_cpu_with_the_instructions_has_it(monkeypatch):
    assert not has_int8("cuda:0") and not has_int8("mps")
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False)
    assert not has_int8("cpu")
    with pytest.raises(DeviceError, match="VNNI"):
        resolve_precision("int8", "cpu")


def test_it_is_for_whoever_asks_for_it(cli, monkeypatch):
    """`auto` does not choose it; `odekit doctor` says whether the processor has it."""
    assert "int8" not in guard.reduced_precisions("cpu")
    for there in (True, False):
        monkeypatch.setattr(module, "has_int8", lambda device, there=there: there)
        assert (", int8" in cli("doctor", "--json").out) is there


@needs_int8
def test_a_compiled_network_excludes_it():
    with pytest.raises(DeviceError, match="compile"):
        DiffusersPrior.load(ASSETS / "face64", precision="int8", compile=True)


@needs_int8
def test_a_network_in_memory_has_it_in_a_chain(monkeypatch):
    used = []
    call = EightBitConvolution.__call__
    monkeypatch.setattr(EightBitConvolution, "__call__", lambda self, *words: used.append(1) or call(self, *words))
    items = [{"restore": {"inverter": {"use": "ode", "steps": 2}, "enhancer": "none"}}]
    chain = Chain(items, priors={"face": network(sample_size=16)})
    chain.open(precision="int8").run([Image(drawn(3, 16, 16).sigmoid().numpy())])
    assert used


def test_the_rest_of_a_run_has_the_16_bit_type_if_there_is_one(monkeypatch):
    for types, expected in ((("bfloat16",), "bfloat16"), ((), "float32")):
        monkeypatch.setattr(module, "supported_16bit_types", lambda device, types=types: types)
        assert storage_type("int8") == expected
        tools = PartTools(catalog(), "cpu", "int8")
        assert (tools.precision, tools.prior_precision) == (expected, "int8")
