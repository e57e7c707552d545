"""Clipping as an option of the inverter: spelled, bounded by the level, the same for every picture by itself."""

import pytest
import torch

from odekit import Chain
from odekit.chains import document
from odekit.errors import ConfigError
from odekit.parts.installed import catalog
from odekit.parts.inverters.clip import ConfidenceClip, DynamicThreshold
from odekit.parts.inverters.ode import Ode, OdeInverter
from odekit.parts.solvers.ddim import Ddim
from odekit.testing import GaussianField, GaussianModel, batch_noise, check_inverter, random_states

CHAIN = """\
odekit: 1
priors: {{face: {{use: gaussian}}}}
chain:
  - restore:
      inverter: {{use: ode, steps: 10, solver: {solver}, clip: {clip}}}
      enhancer: none
"""


def load(clip, solver="ddim"):
    return Chain.from_document(document.parse_yaml(CHAIN.format(clip=clip, solver=solver), "my.yaml"))


@pytest.mark.parametrize(
    "text, meant",
    [
        ("none", "none"),
        ("{use: none}", "none"),
        ("confidence", ConfidenceClip()),
        ("{use: confidence, eta: 2, ways: up}", ConfidenceClip(eta=2.0, ways="up")),
        ("dynamic", DynamicThreshold()),
        ("{use: dynamic, quantile: 0.9, max: 1.5}", DynamicThreshold(quantile=0.9, max=1.5)),
    ],
)
def test_spellings(text, meant):
    chain = load(text)
    assert chain.spec.items[0].options.inverter.options.clip == meant
    assert Chain.from_document(document.Document(chain.tree(), "", {})) == chain


BAD = {
    "unknown word": (
        "confidance",
        "clip must be 'none', {use: confidence, eta, ways} or {use: dynamic, quantile, max}",
    ),
    "one way that is no option": ("{use: confidence, ways: down}", "'both' or 'up'"),
    "no interval": ("{use: confidence, eta: 0}", "greater than 0"),
    "quantile above one": ("{use: dynamic, quantile: 98}", "less than or equal to 1"),
    "limit below one": ("{use: dynamic, max: 0.5}", "greater than or equal to 1"),
    "infinite": ("{use: confidence, eta: .inf}", "finite"),
}


@pytest.mark.parametrize("case", BAD)
def test_an_error_is_reported_with_its_line(case):
    text, expected = BAD[case]
    with pytest.raises(ConfigError, match=r"my\.yaml:5:.*clip") as error:
        load(text)
    assert expected in str(error.value)


def states(options, clean, solver=None):
    """x after every step up, and the image at the end."""
    inverter = OdeInverter(options, GaussianModel(4), solver or Ddim())
    seen, step = [], inverter.solver.step

    def keep(field, carry, rho):
        seen.append((carry.y.clone(), carry.rho))
        return step(field, carry, rho)

    inverter.solver.step = keep
    latent = inverter.invert(clean, batch_noise(len(clean)))
    while latent.level >= 0:
        latent = inverter.descend(latent, batch_noise(len(clean)))
    return seen, latent.x


@pytest.mark.parametrize("ways, clipped", [("both", 2 * 10), ("up", 10)])
def test_no_step_starts_outside_the_interval_of_its_level(ways, clipped):
    """A picture far outside [-1, 1]; the image and level 0 are left alone."""
    options = Ode(steps=10, clip=ConfidenceClip(eta=0.5, ways=ways))
    seen, _ = states(options, 20 * random_states())
    inside = [bool((y.abs() <= 1 + 0.5 * rho + 1e-12).all()) for y, rho in seen]
    assert len(seen) == 20
    assert inside[:10] == [False, False] + [True] * 8
    assert all(inside[10:19]) == (ways == "both")


def test_points_inside_the_interval_are_not_touched():
    clean = random_states().clamp(-1, 1)
    plain, clipped = (states(Ode(steps=10, clip=clip), clean)[1] for clip in ("none", ConfidenceClip(eta=60.0)))
    assert torch.equal(plain, clipped)


@pytest.mark.parametrize("name", catalog().names("solver"))
def test_a_picture_that_is_clipped_leaves_its_batch_mates_alone(name):
    """Whatever history a solver keeps, rows that were not clipped keep their bytes."""
    entry, calm = catalog().get("solver", name), 0.1 * random_states(3, 4)
    wild = calm.clone()
    wild[1] *= 400
    options = Ode(steps=8, grid="karras", clip=ConfidenceClip(eta=3.0))
    both = [states(options, clean, entry.load()(entry.options()))[1] for clean in (calm, wild)]
    assert torch.equal(both[0][[0, 2]], both[1][[0, 2]])


def test_dynamic_thresholding_holds_the_denoised_picture():
    """s is the quantile of |x0| of each picture between 1 and max; x0 is clipped to +-s and divided by s."""
    x0 = torch.tensor([0.1, 0.2, 0.3, 5.0], dtype=torch.float64).view(1, 1, 2, 2)
    x0 = torch.cat([x0, x0 / 5, -x0 * 10])
    out = DynamicThreshold(quantile=0.75, max=1.3).threshold(x0)
    assert torch.equal(out[1], x0[1])  # all inside: s = 1
    assert out[0].max() == 1 and out[0, 0, 0, 0] == pytest.approx(0.1 / 1.3)
    assert out[2].min() == -1 and out[2, 0, 0, 0] == pytest.approx(-1 / 1.3)


def test_dynamic_thresholding_acts_both_ways_and_keeps_the_calls():
    clean, prior = 1.3 * random_states().clamp(-1, 1), GaussianModel(4)
    ends = [states(Ode(steps=10, clip=clip), clean)[1] for clip in ("none", DynamicThreshold())]
    assert (ends[0] - ends[1]).abs().max() > 0.01
    inverter = OdeInverter(Ode(steps=10, clip=DynamicThreshold()), prior, Ddim())
    inverter.invert(clean, batch_noise(3))
    assert prior.calls == 10


def test_eps_of_a_thresholded_picture_belongs_to_it():
    from odekit.parts.inverters.clip import ThresholdedField

    field, y, rho = GaussianField(), 5 * random_states(), 0.7
    eps = ThresholdedField(field, DynamicThreshold())(y, rho)
    assert torch.allclose(y - rho * eps, DynamicThreshold().threshold(y - rho * field(y, rho)))
    assert torch.equal(ThresholdedField(field, DynamicThreshold())(y, 0.0), field(y, 0.0))


@pytest.mark.parametrize("clip", [ConfidenceClip(), DynamicThreshold()])
def test_a_clipping_inverter_keeps_the_rules(clip):
    check_inverter(lambda prior: OdeInverter(Ode(steps=10, clip=clip), prior, Ddim()))


def test_calls_are_unknown_where_clipping_makes_companions_follow():
    assert load("confidence").plan().calls == 20
    assert load("dynamic", "belm").plan().calls == 19
    assert load("confidence", "belm").plan().calls is None
