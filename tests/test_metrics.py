"""Metrics against scikit-image and scipy, and against distances in closed form."""

import math

import numpy as np
import PIL.Image
import pytest
from scipy.ndimage import convolve
from scipy.stats import wasserstein_distance
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from odekit.chains.tools import PartTools
from odekit.core.image import Image
from odekit.errors import InputError
from odekit.evaluation import panel
from odekit.images.colour import lab_to_srgb, scikit_image_color, srgb_to_lab
from odekit.parts.installed import catalog
from odekit.parts.metrics import base, ciede2000, fd_pca
from odekit.parts.metrics import swd as sw
from odekit.parts.metrics.base import RunningMoments, describe_metric
from odekit.parts.metrics.fd_pca import FdPca, FdPcaMetric, frechet_distance
from odekit.parts.metrics.psnr import PsnrMetric
from odekit.parts.metrics.sharpness import SharpnessMetric, gradient_energy
from odekit.parts.metrics.ssim import Ssim, SsimMetric
from odekit.parts.metrics.swd import SwdMetric, SwdOptions

RNG = np.random.Generator(np.random.Philox(0))
PAIRS = [
    (a, np.clip(a + spread * RNG.standard_normal(a.shape), 0, 1).astype(np.float32))
    for a, spread in (
        (RNG.random((3, 24, 31), dtype=np.float32), 0.05),
        (np.tile(np.linspace(0, 1, 64, dtype=np.float32), (3, 64, 1)), 0.2),
        (np.full((3, 11, 11), 0.5, np.float32), 0.01),
    )
]


def pictures(n, side=32, seed=0):
    return np.random.Generator(np.random.Philox(seed)).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


# --- of pairs


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_psnr_is_scikit_images(a, b):
    wanted = peak_signal_noise_ratio(b.astype(float), a.astype(float), data_range=1)
    assert PsnrMetric().measure(Image(a), Image(b)) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(("a", "b"), PAIRS)
@pytest.mark.parametrize(
    ("window", "arguments"),
    [("uniform", {}), ("gaussian", {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False})],
)
def test_ssim_is_scikit_images(a, b, window, arguments):
    wanted = structural_similarity(a.astype(float), b.astype(float), data_range=1, channel_axis=0, **arguments)
    assert SsimMetric(Ssim(window=window)).measure(Image(a), Image(b)) == pytest.approx(wanted, abs=1e-6)


def test_equal_pictures_small_pictures_and_other_sizes():
    a, small = Image(PAIRS[0][0]), Image(PAIRS[0][0][:, :6, :6].copy())
    assert PsnrMetric().measure(a, a) == math.inf
    assert SsimMetric().measure(a, a) == pytest.approx(1, abs=1e-12)
    assert math.isnan(SsimMetric().measure(small, small))
    for metric in (PsnrMetric(), SsimMetric()):
        assert not metric.lower_is_better
        with pytest.raises(InputError, match="31x24 and 6x6 cannot be compared"):
            metric.measure(a, small)


@pytest.mark.parametrize("name", ["psnr", "ssim", "ciede2000"])
def test_they_are_parts_of_the_catalogue(name):
    entry = catalog().get("metric", name)
    metric = entry.load()(entry.options(), PartTools(catalog(), "cpu", "float32"))
    a, b = (Image(p) for p in PAIRS[0])
    noisier = Image(np.clip(b.pixels + 0.2 * RNG.standard_normal(b.pixels.shape), 0, 1).astype(np.float32))
    sign = -1 if metric.lower_is_better else 1
    assert sign * metric.measure(b, a) > sign * metric.measure(noisier, a)


@pytest.mark.parametrize(
    ("one", "two", "wanted"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0000),
        ((50.0, 2.4900, -0.0010), (50.0, -2.4900, 0.0011), 7.2195),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_ciede2000_gives_the_published_test_values(one, two, wanted):
    """Sharma, Wu and Dalal 2005, table 1, as pictures of one colour whose Lab is inside sRGB, and all pairs in Lab."""
    assert scikit_image_color().deltaE_ciede2000(np.array(one), np.array(two)) == pytest.approx(wanted, abs=5e-5)
    a, b = (Image(np.broadcast_to(lab_to_srgb(np.array(lab)[:, None, None]), (3, 4, 4)).copy()) for lab in (one, two))
    in_srgb = all(np.abs(srgb_to_lab(image.pixels)[:, 0, 0] - lab).max() < 1e-3 for image, lab in ((a, one), (b, two)))
    if in_srgb:
        assert ciede2000.Ciede2000Metric().measure(a, b) == pytest.approx(wanted, abs=1e-3)


def test_ciede2000_is_the_mean_over_the_pixels():
    grey, lighter = np.full((3, 4, 4), 0.5, np.float32), np.full((3, 4, 4), 0.6, np.float32)
    half = grey.copy()
    half[:, :2] = 0.6
    metric = ciede2000.Ciede2000Metric()
    whole = metric.measure(Image(lighter), Image(grey))
    assert whole > 5 and metric.measure(Image(half), Image(grey)) == pytest.approx(whole / 2)
    assert metric.measure(Image(grey), Image(grey)) == 0


def test_default_metrics_leave_out_what_is_not_installed(monkeypatch):
    assert panel.default_metrics() == panel.DEFAULT
    monkeypatch.setattr(panel, "find_spec", lambda name: None)
    assert panel.default_metrics() == "psnr,ssim,swd,sharpness"


def test_sharpness_is_the_ratio_of_gradient_energies():
    ramp = np.broadcast_to(np.linspace(0, 1, 11, dtype=np.float32), (3, 5, 11)).copy()
    assert gradient_energy(ramp.astype(float)) == pytest.approx(0.1**2, rel=1e-5)  # 0.1 to the right, nothing down
    metric = SharpnessMetric()
    assert metric.measure(Image(ramp / 2), Image(ramp)) == pytest.approx(0.25, rel=1e-5)
    assert metric.measure(Image(ramp), Image(ramp)) == 1
    assert math.isnan(metric.measure(Image(ramp), Image(np.full_like(ramp, 0.5))))  # against a flat picture
    soft = Image.from_uint8(np.asarray(PIL.Image.fromarray(Image(PAIRS[0][0]).to_uint8()).resize((62, 48))))
    sharp = Image.from_uint8(np.asarray(PIL.Image.fromarray(Image(PAIRS[0][0]).to_uint8()).resize((62, 48), 0)))
    assert metric.measure(soft, sharp) < 0.5
    about_it = describe_metric("sharpness", metric)
    assert (about_it.better, about_it.best, about_it.of) == ("nearest", 1.0, "pair")


# --- of sets, fed a few at a time


def images(n, side=32, seed=0):
    return [Image.from_uint8(picture) for picture in pictures(n, side, seed)]


def distance(metric, a, b, step=3, part=False):
    collection = metric.collect(part)
    for i in range(0, len(a), step):
        collection.add(a[i : i + step], b[i : i + step])
    return collection.distance()


def test_the_set_metric_swd_is_the_mean_of_swd_over_its_draws():
    a, b = pictures(7, seed=1), pictures(7, seed=2)
    options = SwdOptions(draws=3, directions=32, seed=5)
    result = distance(SwdMetric(options), images(7, seed=1), images(7, seed=2))
    wanted = [sw.sliced_wasserstein(a, b, seed, 128, 32).mean for seed in (5, 6, 7)]
    assert result.value == pytest.approx(np.mean(wanted))
    assert result.spread == pytest.approx(np.std(wanted, ddof=1))
    assert result.count == 7


def test_of_many_pictures_a_part_is_kept_and_patches_are_shared(monkeypatch):
    monkeypatch.setattr(base, "MAX_SAMPLE", 20)
    a, b = images(60, 16, seed=1), images(60, 16, seed=2)
    collection = SwdMetric(SwdOptions(directions=16)).collect()
    collection.add(a, b)
    assert len(collection.sample.pairs) == 20
    for one, two in collection.sample.pairs:  # pairs stay pairs
        place = next(i for i, image in enumerate(a) if np.array_equal(image.to_uint8(), one))
        np.testing.assert_array_equal(b[place].to_uint8(), two)
    result = collection.distance()
    assert (result.count, result.note) == (60, "of 20 pairs drawn from 60")
    damage = SwdMetric(SwdOptions(directions=16)).collect(part=True)
    damage.add(a, b)
    assert damage.distance().note == "of 10 pairs drawn from 60"


def test_every_pair_is_as_likely_to_be_kept(monkeypatch):
    monkeypatch.setattr(base, "MAX_SAMPLE", 4)
    monkeypatch.setattr(base, "MIN_SAMPLE", 4)
    flat = [Image(np.full((3, 1, 1), i / 255, np.float32)) for i in range(12)]
    kept = np.zeros(12)
    for seed in range(600):
        sample = base.ReservoirSample(seed)
        for image in flat:
            sample.add(image, image)
        kept[[int(pair[0][0, 0, 0]) for pair in sample.pairs]] += 1
    np.testing.assert_allclose(kept / 600, 4 / 12, atol=0.08)


def test_fd_pca_of_streams_is_that_of_whole_sets():
    """With the reference set's own components."""
    a, b = pictures(90, 16, seed=3), pictures(90, 16, seed=4)
    result = distance(FdPcaMetric(), images(90, 16, seed=3), images(90, 16, seed=4), step=7)
    assert result.value == pytest.approx(FdPca.fit(b).distance(a, b), rel=1e-6)


def test_moments_of_batches_are_numpys():
    rows = RNG.standard_normal((50, 6))
    moments = RunningMoments()
    for batch in (rows[:1], rows[1:20], rows[20:20], rows[20:]):
        moments.add(batch)
    np.testing.assert_allclose(moments.mean, rows.mean(0), atol=1e-12)
    np.testing.assert_allclose(moments.covariance, np.cov(rows.T), atol=1e-12)


@pytest.mark.parametrize(
    ("metric", "a", "message"),
    [
        (SwdMetric(), images(1), "two pictures or more"),
        (SwdMetric(), images(3, 24), "16, 32, 64"),
        (SwdMetric(), [*images(2), *images(1, 16)], "one size"),
        (FdPcaMetric(), images(32), "more than 32 pairs"),
        (FdPcaMetric(), images(40, 24), "multiple of it, not 24"),
        (FdPcaMetric(), [Image(np.zeros((3, 16, 32), np.float32))] * 40, "square"),
    ],
)
def test_an_undefined_distance_is_nan_with_a_reason(metric, a, message):
    result = distance(metric, a, a)
    assert math.isnan(result.value)
    assert message in result.note


# --- SWD


def test_the_pyramid_is_that_of_the_paper_and_adds_up():
    """Burt and Adelson's steps by scipy: 5 x 5 binomial kernel, edges mirrored."""
    x = RNG.random((2, 3, 64, 64))
    levels = sw.pyramid(x)
    assert [level.shape[-1] for level in levels] == [64, 32, 16]
    kernel = np.outer(sw.KERNEL, sw.KERNEL)[None, None]
    small = convolve(x, kernel, mode="mirror")[..., ::2, ::2]
    wide = np.zeros_like(x)
    wide[..., ::2, ::2] = small
    np.testing.assert_allclose(levels[0], x - convolve(wide, 4 * kernel, mode="mirror"), atol=1e-12)
    whole = sw.expand_double(sw.expand_double(levels[2]) + levels[1]) + levels[0]
    np.testing.assert_allclose(whole, x, atol=1e-12)


def test_along_one_direction_it_is_scipys_wasserstein_distance():
    a, b = RNG.standard_normal((500, 1)), 0.3 + 2 * RNG.standard_normal((500, 1))
    got = sw.sliced_distance(
        a, b, 5, np.random.Generator(np.random.Philox(1))
    )  # in one dimension all directions are alike
    assert got == pytest.approx(wasserstein_distance(a[:, 0], b[:, 0]), rel=1e-12)


def test_a_shift_is_measured_by_the_mean_projection_of_its_direction():
    """Shifted by m along one axis of d: m E|cos| = m Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2)) over random directions."""
    d, m = 5, 0.7
    a = RNG.standard_normal((50, d))
    wanted = m * math.gamma(d / 2) / (math.sqrt(math.pi) * math.gamma((d + 1) / 2))
    shifted = a + np.eye(d)[0] * m
    assert sw.sliced_distance(a, shifted, 20_000, np.random.Generator(np.random.Philox(2))) == pytest.approx(
        wanted, rel=0.02
    )


def test_descriptors_are_normalised_patches():
    level = RNG.random((3, 3, 16, 16)) * np.array([1, 5, 9]).reshape(1, 3, 1, 1)
    result = sw.descriptors(level, 100, np.random.Generator(np.random.Philox(3)))
    assert result.shape == (300, 3 * 7 * 7)
    colours = result.reshape(300, 3, 49)
    np.testing.assert_allclose(colours.mean((0, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(colours.std((0, 2)), 1, atol=1e-12)
    # neighbours in a descriptor are neighbours in the picture
    ramp = np.broadcast_to(np.arange(16.0), (1, 3, 16, 16))
    steps = np.diff(sw.descriptors(ramp, 9, np.random.Generator(np.random.Philox(3))).reshape(9, 3, 7, 7), axis=3)
    np.testing.assert_allclose(steps, steps[0, 0, 0, 0], atol=1e-12)


def test_distances_rank_sets_and_repeat_by_seed():
    a, b = pictures(12, seed=1), pictures(12, seed=2)
    blocks = np.repeat(np.repeat(pictures(12, 4, seed=3), 8, 1), 8, 2)
    alike, apart = (sw.sliced_wasserstein(a, other, patches=400, directions=64) for other in (b, blocks))
    assert list(alike.levels) == [32, 16]
    assert apart.levels[32] > 2 * alike.levels[32]
    assert alike.mean == pytest.approx(np.mean(list(alike.levels.values())))
    assert sw.sliced_wasserstein(a, b, patches=400, directions=64) == alike
    assert sw.sliced_wasserstein(a, b, seed=1, patches=400, directions=64) != alike


def test_draws_differ_and_take_their_own_part_of_a_larger_set():
    result = sw.repeated_distances(pictures(4, 16, seed=1), pictures(9, 16, seed=2), draws=3)
    assert len({draw.mean for draw in result}) == 3
    assert sw.repeated_distances(pictures(4, 16, seed=1), pictures(9, 16, seed=2), draws=3) == result


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (pictures(3), pictures(4), "equal numbers of pictures"),
        (pictures(3, 24), pictures(3, 24), "16, 32, 64"),
        (pictures(3, 8), pictures(3, 8), "16, 32, 64"),
    ],
)
def test_sets_that_swd_cannot_compare_are_refused(a, b, message):
    with pytest.raises(InputError, match=message):
        sw.sliced_wasserstein(a, b)


# --- FD-PCA


def test_frechet_distance_in_closed_form():
    """Diagonal covariances: |m_a - m_b|^2 + sum (s_a - s_b)^2; the same after a rotation."""
    s, t, m = np.array([0.5, 1.0, 2.0]), np.array([1.5, 0.1, 2.0]), np.array([0.3, 0.0, -0.4])
    wanted = np.sum(m**2) + np.sum((s - t) ** 2)
    turn, _ = np.linalg.qr(RNG.standard_normal((3, 3)))
    for q in (np.eye(3), turn):
        got = frechet_distance(q @ m, q @ np.diag(s**2) @ q.T, np.zeros(3), q @ np.diag(t**2) @ q.T)
        assert got == pytest.approx(wanted, rel=1e-9)


def test_frechet_distance_is_that_of_scipys_square_root():
    from scipy.linalg import sqrtm

    a, b = (np.cov(RNG.standard_normal((6, 40))) for _ in range(2))
    wanted = np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert frechet_distance(np.zeros(6), a, np.zeros(6), b) == pytest.approx(wanted, rel=1e-8)


def test_components_are_those_of_the_covariance_of_area_thumbnails():
    train = pictures(200, seed=5)
    basis = FdPca.fit(train)
    rows = fd_pca.thumbnails(train)
    np.testing.assert_allclose(rows[0].reshape(16, 16, 3)[3, 5], train[0, 6:8, 10:12].mean((0, 1)) / 255)
    values = np.linalg.eigvalsh(np.cov(rows.T))[::-1][:32]
    np.testing.assert_allclose(np.cov(basis.features(train).T), np.diag(values), atol=1e-10)


def test_a_set_is_at_no_distance_from_itself_and_a_brighter_one_at_its_shift():
    train = pictures(120, 16, seed=6) // 2
    basis = FdPca.fit(train)
    brighter = train + np.uint8(51)
    assert basis.distance(train, train) == pytest.approx(0, abs=1e-9)
    shift = 0.2 * np.abs(basis.axes.sum(0))
    assert basis.distance(train, brighter) == pytest.approx(np.sum(shift**2), rel=1e-6)


def test_what_fd_pca_cannot_do_is_refused():
    with pytest.raises(InputError, match="more than 32 training faces"):
        FdPca.fit(pictures(32))
    with pytest.raises(InputError, match="multiple of it, not 24"):
        fd_pca.thumbnails(pictures(2, 24))
