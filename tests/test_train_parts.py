"""Modules of training against closed forms: loss, learning rate, averaging, random draws, augmentation, options."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from odekit.core.schedule import NoiseSchedule
from odekit.errors import ConfigError, WeightsError
from odekit.training import config, log, optimiser, prefetch, run_folder, seeding
from odekit.training.data import augment
from odekit.training.options.base import AugmentOptions, DiffusionOptions, OptimiserOptions, PriorOptions, UNetOptions
from odekit.training.tasks import prior_loss, prior_network, sheet
from odekit.training.tasks.prior_validation import Validator

TINY = PriorOptions(side=16, network=UNetOptions(channels=(8, 16), attention=(False, True), layers=1, head=8, groups=4))


# --- the loss


@pytest.mark.parametrize(("prediction", "target"), [("v", "v"), ("epsilon", "eps")])
def test_targets_follow_their_definitions(prediction, target):
    generator = torch.Generator().manual_seed(1)
    x0, eps = torch.randn(2, 3, 4, 4, generator=generator), torch.randn(2, 3, 4, 4, generator=generator)
    abar = torch.tensor([0.9, 0.2])
    computed = prior_loss.target(x0, eps, abar, prediction)
    for i, a in enumerate((0.9, 0.2)):
        expected = eps[i] if target == "eps" else math.sqrt(a) * eps[i] - math.sqrt(1 - a) * x0[i]
        torch.testing.assert_close(computed[i], expected)


def test_v_gives_noise_and_picture_back():
    """eps = sigma x + sqrt(abar) v and x0 = sqrt(abar) x - sigma v (arXiv:2202.00512, appendix D)."""
    generator = torch.Generator().manual_seed(2)
    x0, eps = (torch.randn(1, 3, 4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    abar = torch.tensor([0.37], dtype=torch.float64)
    x, v = prior_loss.add_noise(x0, eps, abar), prior_loss.target(x0, eps, abar, "v")
    torch.testing.assert_close(math.sqrt(0.63) * x + math.sqrt(0.37) * v, eps)
    torch.testing.assert_close(math.sqrt(0.37) * x - math.sqrt(0.63) * v, x0)


def test_min_snr_weights_by_hand():
    """SNR 4 (abar 0.8): min(4, 5) = 4, so 4/5 for v and 1 for eps; SNR 19 (abar 0.95): 5/20 and 5/19."""
    schedule = NoiseSchedule(np.array([0.95, 0.8, 0.5]))
    np.testing.assert_allclose(prior_loss.loss_weights(schedule, "v", 5.0), [5 / 20, 4 / 5, 1 / 2])
    np.testing.assert_allclose(prior_loss.loss_weights(schedule, "epsilon", 5.0), [5 / 19, 1.0, 1.0])
    np.testing.assert_array_equal(prior_loss.loss_weights(schedule, "v", None), 1.0)


def test_both_predictions_weigh_the_error_of_x0_alike():
    """The same error in x0 has the same loss with both predictions: min(SNR, gamma) times its square."""
    schedule = NoiseSchedule.linear()
    sigma2 = 1 - schedule.abar
    error_v = 1 / sigma2  # the error of v is error_x0 / sigma
    error_eps = schedule.abar / sigma2
    snr = schedule.abar / sigma2
    np.testing.assert_allclose(prior_loss.loss_weights(schedule, "v", 5.0) * error_v, np.minimum(snr, 5.0))
    np.testing.assert_allclose(prior_loss.loss_weights(schedule, "epsilon", 5.0) * error_eps, np.minimum(snr, 5.0))


@pytest.mark.parametrize("kind", ["linear", "scaled_linear", "cosine"])
def test_schedules_are_those_of_diffusers(kind):
    from diffusers import DDPMScheduler

    name = {"cosine": "squaredcos_cap_v2"}.get(kind, kind)
    reference = DDPMScheduler(1000, beta_start=1e-4, beta_end=0.02, beta_schedule=name).alphas_cumprod.double().numpy()
    np.testing.assert_allclose(prior_loss.noise_schedule(DiffusionOptions(kind=kind)).abar, reference, rtol=2e-4)


# --- learning rate and averaging


def test_learning_rate_rises_stays_and_falls():
    o = OptimiserOptions(lr=1.0, warmup=10, decay="linear", decay_from=0.5, final=0.1)
    rates = [optimiser.learning_rate(s, 100, o) for s in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:50] == [1.0] * 41
    assert rates[74] == pytest.approx(0.55)
    assert rates[99] == pytest.approx(0.1)
    assert optimiser.learning_rate(74, 100, o.model_copy(update={"decay": "cosine"})) == pytest.approx(0.55)
    assert optimiser.learning_rate(99, 100, o.model_copy(update={"decay": "none"})) == 1.0


def test_average_has_the_profile_of_a_power():
    """After n steps the weight of step s is about proportional to s^(1/width - 1): mean age width/(1 + width) of n."""
    steps, width = 2000, 0.05
    mean_step = 0.0
    for s in range(1, steps + 1):
        keep = optimiser.ema_decay(s, width)
        mean_step = keep * mean_step + (1 - keep) * s
    assert optimiser.ema_decay(1, width) == 0.0
    assert 1 - mean_step / steps == pytest.approx(width / (1 + width), rel=0.02)


def test_average_moves_towards_the_model():
    model = torch.nn.Linear(2, 2)
    average, expected = optimiser.averaged_model(model, 0.5), model.weight.detach().clone()
    for step in range(1, 4):
        torch.nn.init.normal_(model.weight)
        share = optimiser.ema_decay(step, 0.5)
        expected = share * expected + (1 - share) * model.weight.detach()
        average.update_parameters(model)
    torch.testing.assert_close(average.module.weight.detach(), expected)


# --- draws


def test_every_picture_once_per_epoch_and_any_step_on_its_own():
    count, batch = 10, 4
    order = np.concatenate([seeding.batch_indices(3, s, batch, count) for s in range(5)])
    assert sorted(order[:10]) == list(range(10)) == sorted(order[10:])
    assert not np.array_equal(order[:10], order[10:])
    np.testing.assert_array_equal(seeding.batch_indices(3, 4, batch, count), order[16:])
    assert not np.array_equal(seeding.batch_indices(4, 0, batch, count), order[:4])


def test_timesteps_cover_every_band():
    t = seeding.stratified_timesteps(seeding.keyed_generator(0, "t", 0), 50, 1000)
    assert sorted(t // 20) == list(range(50))
    assert t.min() >= 0
    assert t.max() <= 999
    assert not np.array_equal(t, np.sort(t))


@pytest.mark.parametrize("active", [False, True])
def test_prefetched_batches_are_those_of_their_step(active):
    prepared = []
    batches = prefetch.Prefetcher(lambda step: prepared.append(step) or step * 10, active)
    assert [batches.get(s) for s in (0, 1, 2, 7, 8)] == [0, 10, 20, 70, 80]
    if batches.pool:
        batches.pool.shutdown()
    assert sorted(prepared) == ([0, 1, 2, 3, 7, 8, 9] if active else [0, 1, 2, 7, 8])


# --- augmentation


def _ramp(side=32):
    x = torch.linspace(0.2, 0.8, side).expand(1, 3, side, side).clone()
    return x


def _plan(**changes):
    neutral = augment.draw_transforms(np.random.default_rng(0), 1, AugmentOptions(flip=0, share=0), active=True)
    fields = {name: np.asarray(value).reshape(getattr(neutral, name).shape) for name, value in changes.items()}
    return augment.Transforms(
        **{**vars(neutral), **{k: v.astype(getattr(neutral, k).dtype) for k, v in fields.items()}}
    )


def test_neutral_plan_changes_nothing_and_flip_mirrors():
    x = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(augment.apply(x, _plan(), 32), x)
    torch.testing.assert_close(augment.apply(x, _plan(flip=True), 32), x.flip(3))


def test_shift_moves_by_its_fraction_of_the_side():
    moved = augment.apply(_ramp(), _plan(shift=[0.125, 0.0]), 32)  # 4 px to the right
    torch.testing.assert_close(moved[..., 8:24], _ramp()[..., 4:20], atol=1e-5, rtol=0)


def test_rotation_and_zoom_go_the_stated_way():
    turned = augment.apply(_ramp(), _plan(angle=math.pi / 2), 32)
    torch.testing.assert_close(turned.std(3).max(), torch.tensor(0.0), atol=1e-4, rtol=0)  # the ramp now runs down
    zoomed = augment.apply(_ramp(), _plan(zoom=2.0), 32)
    slope = zoomed[0, 0, 16, 20] - zoomed[0, 0, 16, 12]
    assert slope.item() == pytest.approx(8 * 0.6 / 31 / 2, rel=1e-3)


def test_brightness_scales_the_mean_and_contrast_the_deviations():
    x = _ramp()
    brighter = augment.apply(x, _plan(gain=1.1), 32)
    assert brighter.mean().item() == pytest.approx(0.55)
    torch.testing.assert_close(augment.apply(x, _plan(contrast=0.9), 32), (x - 0.5) * 0.9 + 0.5)


def test_larger_pictures_come_out_area_reduced():
    x = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(augment.apply(x, _plan(), 32), torch.nn.functional.avg_pool2d(x, 2))


def test_only_flips_remain_when_not_active_and_share_is_kept():
    o = AugmentOptions(flip=0.5, share=0.3)
    off = augment.draw_transforms(seeding.keyed_generator(0, "a", 0), 1000, o, active=False)
    on = augment.draw_transforms(seeding.keyed_generator(0, "a", 0), 1000, o, active=True)
    np.testing.assert_array_equal(off.flip, on.flip)
    assert (off.angle == 0).all()
    assert (off.shift == 0).all()
    assert (off.gain == 1).all()
    assert (on.angle != 0).mean() == pytest.approx(0.3, abs=0.05)
    assert np.abs(on.angle).max() <= np.deg2rad(o.angle)
    np.testing.assert_array_equal(on.part(slice(1, None, 2)).zoom, on.zoom[1::2])


# --- validation


class Perfect(torch.nn.Module):
    """Predicts v exactly for data in which every picture is the same grey."""

    def __init__(self, grey, schedule):
        super().__init__()
        self.grey, self.abar = torch.nn.Parameter(torch.tensor(grey)), torch.from_numpy(schedule.abar).float()

    def forward(self, x, t, return_dict):
        a = self.abar[t].view(-1, 1, 1, 1)
        return ((a.sqrt() * x - self.grey) / (1 - a).sqrt(),)


def test_validation_is_zero_for_a_network_that_knows_the_data():
    import contextlib

    schedule = prior_loss.noise_schedule(TINY.diffusion)
    score = Validator(torch.full((5, 3, 16, 16), 0.25), TINY).score(Perfect(0.25, schedule), contextlib.nullcontext())
    assert score.mean < 1e-6
    assert len(score.bands) == TINY.validation_levels


def test_validation_by_band_matches_a_closed_form():
    """A network with output 0 has the loss E|v|^2 = abar + sigma^2 x0^2 (unit noise): from 1 to x0^2 over the bands."""
    import contextlib

    class Zero(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.p = torch.nn.Parameter(torch.zeros(()))

        def forward(self, x, t, return_dict):
            return (0 * x,)

    validator = Validator(torch.full((40, 3, 16, 16), 0.5), TINY)
    score = validator.score(Zero(), contextlib.nullcontext())
    abar = prior_loss.noise_schedule(TINY.diffusion).abar
    expected = [float((abar[t] + (1 - abar[t]) * 0.25).mean()) for t in validator.t]
    np.testing.assert_allclose(score.bands, expected, rtol=0.02)
    assert [set(t // 100) for t in validator.t] == [{b} for b in range(10)]


# --- the network and its folder


def test_default_network_is_the_shipped_face64():
    """Same tensors, name by name, as the weights in the wheel, so that a warm start fits."""
    from pathlib import Path

    import odekit

    net = prior_network.build(PriorOptions())
    facts = prior_network.warm_start(net, Path(odekit.__file__).parent / "assets" / "face64", PriorOptions())
    assert isinstance(facts, dict)
    assert round(sum(p.numel() for p in net.parameters()) / 1e6, 1) == 11.3


def test_written_folder_is_read_back_and_described(tmp_path):
    net = prior_network.build(TINY)
    prior_network.write(tmp_path / "w", net, TINY, {"steps": 3})
    again = prior_network.build(TINY)
    assert prior_network.warm_start(again, tmp_path / "w", TINY) == {"steps": 3}
    for a, b in zip(net.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(a.half().float(), b)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["w"]


def test_warm_start_from_another_prior_is_refused(tmp_path):
    prior_network.write(tmp_path / "w", prior_network.build(TINY), TINY, {})
    wider = TINY.model_copy(update={"network": TINY.network.model_copy(update={"channels": (8, 32)})})
    with pytest.raises(WeightsError, match="another network shape"):
        prior_network.warm_start(prior_network.build(wider), tmp_path / "w", wider)
    other = TINY.model_copy(update={"diffusion": DiffusionOptions(prediction="epsilon")})
    with pytest.raises(WeightsError, match="prediction is v, but epsilon in the configuration"):
        prior_network.warm_start(prior_network.build(other), tmp_path / "w", other)
    with pytest.raises(WeightsError, match="no prior to start from"):
        prior_network.warm_start(prior_network.build(TINY), tmp_path / "nowhere", TINY)


def test_publish_cut_short_is_mended(tmp_path):
    (tmp_path / "best.old").mkdir()
    (tmp_path / "best.old" / "weights").write_text("good")
    run_folder.repair_replacement(tmp_path / "best")
    assert (tmp_path / "best" / "weights").read_text() == "good"
    fresh = run_folder.make_draft(tmp_path / "best")
    (fresh / "weights").write_text("better")
    run_folder.replace_folder(fresh, tmp_path / "best")
    assert [p.name for p in tmp_path.iterdir()] == ["best"]
    assert (tmp_path / "best" / "weights").read_text() == "better"


def test_samples_of_a_perfect_prior_are_its_data():
    import contextlib

    o = TINY.model_copy(update={"samples": 3, "sample_steps": 10})
    drawn = sheet.draw_samples(Perfect(0.25, prior_loss.noise_schedule(o.diffusion)), o, contextlib.nullcontext())
    assert drawn.shape == (3, 3, 16, 16)
    assert (drawn - 0.25).abs().max() < 1e-3
    assert sheet.tile(sheet.to_uint8(drawn), 2).shape == (2 * 18 + 2, 2 * 18 + 2, 3)


# --- log


def test_log_is_cut_and_half_lines_are_dropped(tmp_path):
    table = log.CsvLog(tmp_path / "log.csv")
    for step in (1, 2, 3):
        table.add({"step": step, "loss": 0.1 * step})
    with table.path.open("a") as file:
        file.write("4")
    assert [r["step"] for r in table.rows()] == ["1", "2", "3"]
    table.cut(2)
    table.add({"step": 3, "loss": 0.5})
    assert [(r["step"], float(r["loss"])) for r in table.rows()] == [("1", 0.1), ("2", 0.2), ("3", 0.5)]


def test_plot_is_a_picture_and_smoothing_a_running_mean(tmp_path):
    from PIL import Image

    np.testing.assert_allclose(log.running_mean(np.array([1.0, 3.0, 5.0]), 2), [1, 2, 4])
    table, validation = log.CsvLog(tmp_path / "log.csv"), log.CsvLog(tmp_path / "validation.csv")
    log.plot_losses(table, validation, tmp_path / "empty.png")
    table.add({"step": 1, "loss": 0.5, "lr": 0.1})
    validation.add({"step": 1, "loss": 0.5, "t0-99": 0.4})
    log.plot_losses(table, validation, tmp_path / "plot.png")
    empty, full = (np.asarray(Image.open(tmp_path / f"{n}.png").convert("L")) for n in ("empty", "plot"))
    assert (empty != full).any()


# --- options


def test_shipped_configuration_is_the_default():
    from pathlib import Path

    path = Path(__file__).parents[1] / "configs" / "train" / "face64.yaml"
    assert config.load_options(PriorOptions, path, {}) == PriorOptions()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batsh: 8", r"c.yaml:1:1: batsh: unknown option of the configuration; did you mean 'batch'\?"),
        (
            "side: 64\noptimiser:\n  lrr: 1",
            r"c.yaml:3:3: optimiser.lrr: unknown option of the configuration; did you mean 'lr'\?",
        ),
        ("batch: many", r"c.yaml:1:1: batch: .*integer"),
        ("side: 70", r"must be a multiple of 8"),
        ("network: {channels: [64, 100], attention: [false, true]}", r"groups 16 does not divide the width 100"),
        ("network: {attention: [true]}", r"attention needs 3 entries"),
        ("- 1", r"a mapping of names"),
        ("a: [", r"not valid YAML"),
    ],
)
def test_configuration_errors_say_where(tmp_path, text, message):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        config.load_options(PriorOptions, path, {})


def test_missing_configuration_and_overrides(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load_options(PriorOptions, tmp_path / "none.yaml", {})
    (tmp_path / "c.yaml").write_text("init: weights\nsteps: 5")
    o = config.load_options(PriorOptions, tmp_path / "c.yaml", {"steps": 7, "batch": None})
    assert (o.steps, o.batch, o.init) == (7, 64, tmp_path / "weights")


def test_options_load_no_torch():
    code = "import sys; import odekit.training.config, odekit.cli.train; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
