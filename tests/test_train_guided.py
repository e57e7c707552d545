"""`odekit train guided`: its training faces, a tiny run that learns whom to trust, resuming, starting weights."""

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from training import Dies, changed, column, discs, one_thread, train  # noqa: F401  # a fixture of this module

from odekit.errors import ConfigError, WeightsError
from odekit.parts.faces.geometry import TEMPLATES
from odekit.parts.upsamplers.guided_network import GuidedNet
from odekit.training import config
from odekit.training.data import faces as data
from odekit.training.data.guided_faces import Pair, Recolouring, draw_face, draw_recolouring, hue_rotation
from odekit.training.options.base import OptimiserOptions
from odekit.training.options.guided import GuidedDamageOptions, GuidedOptions
from odekit.training.tasks import guided
from odekit.training.tasks import guided_losses as losses
from odekit.training.tasks.guided import GuidedTask

PLAIN = GuidedDamageOptions(share=0, ideal=0, noisy=0, grey=0, toned=0, jitter=0, hue=0, spectacles=0)
TINY = GuidedOptions(
    side=64,
    features=16,
    convs=2,
    context=8,
    lpips=0,
    identity=0,
    colour=0,
    harm=0,
    batch=4,
    steps=240,
    precision="float32",
    damage=GuidedDamageOptions(**PLAIN.model_dump() | {"severities": (1, 1e-9, 1e-9, 1e-9, 1e-9), "noisy": 1}),
    optimiser=OptimiserOptions(lr=5e-3, warmup=5, weight_decay=0, decay_from=0.3),
    validate_every=120,
    save_every=7,
    validation=4,
    samples=0,
)


@pytest.fixture(scope="module")
def faces():
    """Discs of one colour on another."""
    images = discs(20, 64, (20, 44), (10, 20))
    names = tuple(f"{i}.png" for i in range(20))
    return data.Faces(images[:16], images[16:], train_names=names[:16], val_names=names[16:])


def run(faces, folder, resume=False, watch=None, **changes):
    return train(GuidedTask(faces, changed(TINY, **changes)), folder, resume, watch)


def generator(seed=0):
    return np.random.default_rng(seed)


# --- faces


def test_an_undamaged_face_is_its_own_original(faces):
    face = draw_face(faces.train[0], None, 64, 16, replace_options(clean=1), generator())
    assert np.array_equal(face.original, face.truth)
    np.testing.assert_allclose(face.small, face.truth.reshape(3, 16, 4, 16, 4).mean((2, 4)), atol=1e-6)


def test_the_restored_face_of_a_damaged_one_lies_between_the_damaged_and_the_true_one(faces):
    def small(ideal):
        face = draw_face(faces.train[0], None, 64, 16, replace_options(clean=0, ideal=ideal), generator(1))
        true = face.truth.reshape(3, 16, 4, 16, 4).mean((2, 4))
        return np.abs(face.small - true).mean()

    assert 0 < small(1) < small(0)


def test_the_three_pictures_of_a_pair_get_the_same_colours(faces, tmp_path):
    files = Pair(tmp_path / "damaged.png", tmp_path / "restored.png", None)
    for path in (files.damaged, files.restored):
        PIL.Image.fromarray(faces.train[0]).resize((64, 64)).save(path)
    options = GuidedDamageOptions(share=1, hue=1, jitter=1, grey=0, toned=0)
    face = draw_face(faces.train[0], files, 64, 16, options, generator(2))
    np.testing.assert_allclose(face.original, face.truth, atol=1e-6)
    assert not np.allclose(face.truth * 255, faces.train[0].transpose(2, 0, 1), atol=2)


def test_turned_hues_keep_the_greys_and_come_back_after_a_full_turn():
    grey = np.full((3, 4, 4), 0.4, np.float32)
    np.testing.assert_allclose(Recolouring(hue=1.0)(grey), grey, atol=1e-6)
    np.testing.assert_allclose(hue_rotation(2 * np.pi / 3) @ [1, 0, 0], np.roll([1, 0, 0], 1), atol=1e-12)
    np.testing.assert_allclose(hue_rotation(2 * np.pi), np.eye(3), atol=1e-12)


def test_so_many_faces_are_grey_toned_and_turned_as_the_options_say():
    rng, options = generator(3), GuidedDamageOptions(grey=0.2, toned=0.1, hue=0.5)
    drawn = [draw_recolouring(options, rng) for _ in range(4000)]
    assert np.mean([r.saturation == 0 for r in drawn]) == pytest.approx(0.3, abs=0.03)
    assert np.mean([r.tone is not None for r in drawn]) == pytest.approx(0.1, abs=0.02)
    assert np.mean([r.hue != 0 for r in drawn]) == pytest.approx(0.5 * 0.7, abs=0.03)


def test_the_inner_face_of_the_ffhq_template_has_eyes_nose_and_mouth():
    y, x = np.mgrid[0:64, 0:64].astype(np.float32)
    places = losses.inner_face(torch.from_numpy(np.stack([x, y, x])[None] + 0.5)) / 64
    assert places.shape == (1, 3, 32, 32)
    for u, v in TEMPLATES["ffhq-5"]:
        assert places[0, 0].min() + 0.05 < u < places[0, 0].max() - 0.05
        assert places[0, 1].min() + 0.05 < v < places[0, 1].max() - 0.05


def test_errors_in_the_inner_face_weigh_more(faces):
    """With `inner` 0.5, an error there counts 0.5 * 4 times more: it has a quarter of the area."""
    task = GuidedTask(faces, changed(TINY, inner=0.5))
    truth = torch.full((1, 3, 64, 64), 0.5)
    inside, outside = truth.clone(), truth.clone()
    inside[..., 30:34, 30:34] = outside[..., :4, :4] = 0.9

    def loss(output):
        network = torch.nn.Module()
        network.forward = lambda small, original, trust: output
        rows = (truth[..., ::4, ::4], truth, truth, torch.ones(1), torch.zeros(1, 2, dtype=torch.long))
        return float(task.losses(network, rows) - 1.5 * guided.CHARBONNIER_EPSILON)

    assert loss(inside) == pytest.approx(3 * loss(outside), rel=0.01)


def test_blotches_of_colour_are_an_error_and_brightness_and_grain_are_none():
    truth = torch.full((1, 3, 64, 64), 0.5)
    blotch, brighter, grain = truth.clone(), truth + 0.1, truth.clone()
    blotch[:, 0, :16, :16] += 0.3
    grain[:, 0] += 0.3 * (-1) ** torch.arange(64)
    assert float(losses.colour_error(blotch, truth)) == pytest.approx((0.2 + 0.1 + 0.1) / 3 / 16, rel=1e-4)
    assert float(losses.colour_error(brighter, truth)) < 1e-6 and float(losses.colour_error(grain, truth)) < 1e-6


def test_harm_is_where_a_result_is_farther_from_the_truth_than_its_original():
    truth = torch.full((1, 3, 64, 64), 0.5)
    original, better, worse = truth.clone(), truth.clone(), truth.clone()
    original[..., :32, :] = 0.6
    better[..., :32, :] = 0.55
    worse[..., 40:44, 40:44] = 0.9
    assert float(losses.harm(original, original, truth)) == float(losses.harm(better, original, truth)) == 0
    square = 0.4 * 16 / 64 / losses.HARM_FLOOR
    assert float(losses.harm(worse, truth, truth)) == pytest.approx(square / 64, rel=1e-4)
    assert float(losses.harm(worse, truth + 0.3, truth)) < 0.01 * float(losses.harm(worse, truth, truth))


def test_the_grain_of_skin_does_next_to_no_harm():
    truth = torch.full((1, 3, 64, 64), 0.5)
    grain = truth + 0.1 * (-1) ** torch.arange(64)
    assert float(losses.harm(grain, truth, truth)) < 1e-5


def test_harm_does_not_count_where_the_original_was_not_seen(faces):
    truth = torch.full((1, 3, 64, 64), 0.5)
    network = torch.nn.Module()
    network.forward = lambda small, original, trust: truth + 0.2

    def loss(trust, **options):
        rows = (truth[..., ::4, ::4], truth, truth, torch.full((1,), trust), torch.zeros(1, 2, dtype=torch.long))
        return float(GuidedTask(faces, changed(TINY, **options)).losses(network, rows))

    assert loss(0.0, harm=1) == loss(0.0, harm=0) == loss(1.0, harm=0)
    assert loss(1.0, harm=1) == pytest.approx(loss(1.0, harm=0) + 0.2 / losses.HARM_FLOOR, rel=1e-4)


# --- a run


@pytest.fixture(scope="module")
def whole(faces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "guided"
    return folder, run(faces, folder)


def test_a_tiny_run_learns_to_take_noise_off(whole):
    losses = [float(v) for v in column(whole[0])]
    assert np.mean(losses[-60:]) < 0.85 * np.mean(losses[:20])


def test_the_folder_says_what_it_is_and_the_upsampler_reads_it(whole):
    from odekit.chains.tools import PartTools
    from odekit.parts.installed import catalog
    from odekit.parts.upsamplers.face_guided import FaceGuided, FaceGuidedUpsampler

    best = whole[0] / "best"
    about = json.loads((best / "odekit.json").read_text())
    assert about == {"kind": "guided", "scale": 4, "features": 16, "convs": 2, "side": 64, "context": 8}
    upsampler = FaceGuidedUpsampler(FaceGuided(weights=str(best)), PartTools(catalog(), "cpu", "float32"))
    network = GuidedNet(16, 2, 4, 8)
    guided.read(network, best)
    small, original = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(upsampler.network(small, original), network(small, original))


def test_an_interrupted_run_takes_the_same_steps(faces, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(faces, tmp_path / "r", watch=Dies(), steps=20)
    run(faces, tmp_path / "r", resume=True, steps=20)
    run(faces, tmp_path / "whole", steps=20)
    assert column(tmp_path / "r") == column(tmp_path / "whole")


def test_a_network_without_context_is_a_start_for_one_with_it(faces, tmp_path):
    run(faces, tmp_path / "plain", context=0, steps=10)
    start, _ = GuidedTask(faces, changed(TINY, init=tmp_path / "plain" / "best")).network(start=True)
    plain = GuidedNet(16, 2, 4)
    guided.read(plain, tmp_path / "plain" / "best")
    small, original = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(start(small, original), plain(small, original))


def test_weights_of_another_shape_are_refused(whole, tmp_path):
    with pytest.raises(WeightsError, match="another shape"):
        guided.read(GuidedNet(8, 2, 4), whole[0] / "best")
    with pytest.raises(WeightsError, match="another shape"):
        guided.read(GuidedNet(16, 2, 4, 4), whole[0] / "best")
    with pytest.raises(WeightsError, match="no guided upsampler to start from"):
        guided.read(GuidedNet(8, 2, 4), tmp_path)


# --- options


def test_shipped_configuration_is_the_default():
    path = Path(__file__).parents[1] / "configs" / "train" / "face-guided.yaml"
    shipped = config.load_options(GuidedOptions, path, {})
    assert shipped.damage == GuidedDamageOptions()
    assert (shipped.features, shipped.convs, shipped.context) == (64, 16, GuidedOptions().context)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("side: 250", "multiple of scale 4"),
        ("side: 72", "multiple of 16"),
        ("damage: {severities: [1, 2]}", "five numbers"),
        ("damage: {damaged: here}", "belong together"),
    ],
)
def test_configuration_errors_are_reported(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        config.load_options(GuidedOptions, tmp_path / "c.yaml", {})


def replace_options(**changes):
    return GuidedDamageOptions.model_validate({**PLAIN.model_dump(), **changes})
