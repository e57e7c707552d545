"""Helpers for tests of plugins: `check_readme`, `synthetic_weights` and `statistics`."""

import pytest
import torch

from odekit.testing import check_readme, synthetic_weights
from odekit.testing.goldens import statistics


@pytest.mark.parametrize(
    "text, message",
    [
        ("no command at all", "contains no `odekit run`"),
        ("odekit run odedti face.png -o out/", "did you mean 'odedit'"),
        ("odekit run odedit face.png -o out/ --set restore.inverter.stepz=3", "unknown option"),
    ],
)
def test_a_readme_that_shows_what_does_not_exist_is_named(tmp_path, text, message):
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(AssertionError, match=message):
        check_readme(readme)


def test_a_readme_whose_chains_and_options_exist_passes(tmp_path):
    (tmp_path / "README.md").write_text("odekit run odedit face.png -o out/ --set restore.inverter.steps=50  # quick\n")
    check_readme(tmp_path / "README.md")


def test_synthetic_weights_follow_names_shapes_and_seed_and_keep_the_size_of_values():
    with torch.device("meta"):
        network = torch.nn.Sequential(*(torch.nn.Linear(256, 256) for _ in range(4)))
    first, again, other = synthetic_weights(network), synthetic_weights(network), synthetic_weights(network, seed=1)
    assert {k: v.shape for k, v in first.items()} == {k: v.shape for k, v in network.state_dict().items()}
    assert all(torch.equal(first[k], again[k]) and not torch.equal(first[k], other[k]) for k in first)
    network.load_state_dict(first, assign=True)
    x = torch.randn((8, 256), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert 0.5 < float(network(x).std()) < 2


def test_statistics_are_those_of_the_definition_for_arrays_and_tensors():
    values = torch.tensor([[1.0, -3.0], [2.0, 0.0]])
    expected = [0.0, (14 / 4) ** 0.5, 3.0, 1.5]
    assert statistics(values).tolist() == pytest.approx(expected) == statistics(values.numpy()).tolist()
