"""Factories of the built-in priors."""

from __future__ import annotations

from odekit.core.interfaces import Prior, Tools
from odekit.parts.priors.network import DiffusersPrior
from odekit.parts.priors.options import DiffusersOptions, Face64Options, GaussianOptions, MixtureOptions


def face64(options: Face64Options, tools: Tools) -> Prior:
    """The built-in face prior, whose weights are in the package."""
    return DiffusersPrior.load(tools.weights("face64"), tools.device, tools.prior_precision, compile=options.compile)


def diffusers(options: DiffusersOptions, tools: Tools) -> Prior:
    """A UNet2DModel folder, by path or by its name in the hub."""
    return DiffusersPrior.load(options.folder(), tools.device, tools.prior_precision, compile=options.compile)


def gaussian(options: GaussianOptions, tools: Tools) -> Prior:
    """An exact Gaussian prior."""
    from odekit.parts.priors.exact import GaussianPrior

    return GaussianPrior(mean=options.mean, variance=options.variance, shape=(3, options.side, options.side))


def mixture(options: MixtureOptions, tools: Tools) -> Prior:
    """The exact example mixture."""
    from odekit.parts.priors.exact import example_mixture

    shape = (3, options.side, options.side)
    return example_mixture(shape=shape, components=options.components, std=options.std, seed=options.seed)
