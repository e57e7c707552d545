"""Recomputes DiffBIR's golden files of networks: both stages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from goldens.cases import Case
from numpy.typing import NDArray
from odekit_diffbir.checkpoint import layout, load
from odekit_diffbir.names import Names
from odekit_diffbir.networks import build, controls, denoise
from odekit_diffbir.shapes import TINY
from odekit_diffbir.stage1 import FACE, swinir

from odekit.testing.goldens import Golden, statistics

from . import parity_samplers as samplers

Found = Mapping[str, NDArray[Any]]


def filled(golden: Golden, network: str) -> Any:
    """A tiny network of stage 2 with the golden's weights, given by their official names."""
    wanted = layout(build(network, TINY), Names(network, TINY), network)
    weights = {name: torch.from_numpy(value) for name, value in golden.fill(wanted).items()}
    return load(network, weights, TINY, torch.float32, golden.stem)


@torch.inference_mode()
def tiny_cldm(golden: Golden) -> Found:
    """Every control tensor, and the UNet with full, half and no control."""
    control, unet = filled(golden, "controlnet"), filled(golden, "unet")
    x, condition, context = (torch.from_numpy(v) for v in golden.inputs((2, 4, 16, 24), (2, 4, 16, 24), (2, 77, 64)))
    t = torch.from_numpy(golden.arrays["timesteps"])
    whole = controls(control, x, t, context, condition)
    found: dict[str, NDArray[Any]] = {}
    for i, tensor in enumerate(whole):
        name = f"control{i:02}"
        found |= {name: tensor[:, ::4, ::2, ::2].numpy(), f"{name}_stats": statistics(tensor)}
        found[f"{name}_shape"] = np.array(tensor.shape)
    half = controls(control, x, t, context, condition, strength=0.5)
    for name, tensors in (("output", whole), ("output_scale05", half), ("output_no_control", None)):
        found[name] = denoise(unet, x, t, context, tensors).numpy()
    return found | {"output_stats": statistics(found["output"])}


@torch.inference_mode()
def tiny_vae(golden: Golden) -> Found:
    """Posterior mean and log-variance of an image, and a latent decoded; no latent scale.

    In float64: the stored numbers carry up to 5e-6 of float32's rounding (rule A) and ours as much again, which would
    leave nothing of the tolerance. The tests hold the float32 network against the same numbers.
    """
    vae = filled(golden, "vae").double()
    image, latent = (torch.from_numpy(v).double() for v in golden.inputs((2, 3, 64, 96), (2, 4, 16, 24)))
    posterior = vae.encode(image).latent_dist
    decoded = vae.decode(latent).sample
    return {
        "mean": posterior.mean.numpy(),
        "mean_stats": statistics(posterior.mean),
        "logvar": posterior.logvar[..., ::2, ::2].numpy(),
        "logvar_stats": statistics(posterior.logvar),
        "decoded": decoded[..., ::2, ::2].numpy(),
        "decoded_stats": statistics(decoded),
    }


def filled_swinir(golden: Golden) -> Any:
    """SwinIR with the golden's weights; tensors derived from the shape are those of the constructor."""
    network = swinir(FACE)
    names = {name: name.replace("conv_first.", "conv_first.1.") for name in network.state_dict()}
    shapes = {names[name]: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    weights = golden.fill(shapes)
    own = network.state_dict()
    given = {n: torch.from_numpy(weights[names[n]]) if names[n] in weights else own[n] for n in own}
    network.load_state_dict(given, strict=True)
    return network


@torch.inference_mode()
def swinir_face(golden: Golden) -> Found:
    """Stage 1 on a square picture, and on a crop of it with other attention masks."""
    network = filled_swinir(golden)
    image = torch.from_numpy(golden.input((1, 3, 512, 512)))
    output, window = network(image), network(image[..., :256, :384])
    return {
        "output": output[..., ::8, ::8].numpy(),
        "output_stats": statistics(output),
        "crop256x384_output": window[..., ::8, ::8].numpy(),
        "crop256x384_stats": statistics(window),
    }


GOLDENS = (
    Case("diffbir_swinir_face", swinir_face, repository_tolerance=2e-5, long=("*",)),
    Case("diffbir_tiny_cldm", tiny_cldm, tolerance=1e-5),
    Case("diffbir_tiny_vae", tiny_vae, tolerance=1e-5),
    Case("diffbir_sampler", samplers.sampler, skip=("eps_edm_dpmpp_2m10_final",), repository_tolerance=2e-6),
    Case("diffbir_schedule", samplers.schedule, repository_tolerance=1e-7),
    Case(
        "k_diffusion",
        samplers.k_diffusion,
        tolerance=1e-12,
        skip=("sigmas", "start", "noise"),
        own=Path(__file__).parent / "data",
    ),
)
