"""Recomputes the golden files of CodeFormer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from goldens.cases import Case
from numpy.typing import NDArray
from odekit_codeformer.network import SIDE, build, decode, encode

from odekit.plugins.weights.fit import fit
from odekit.testing.goldens import Golden, statistics


def codeformer(golden: Golden) -> Mapping[str, NDArray[Any]]:
    """Codes, logits and features of one face, and its restorations with every w and AdaIN setting that is stored."""
    network = build()
    weights = golden.fill({name: tuple(tensor.shape) for name, tensor in network.state_dict().items()})
    fit(network, {name: torch.from_numpy(value) for name, value in weights.items()}, golden.stem)
    network.eval()
    with torch.inference_mode():
        codes = encode(network, torch.from_numpy(golden.input((1, 3, SIDE, SIDE))))
        found = {
            "logits": codes.logits[0, :, ::8].numpy(),
            "logits_stats": statistics(codes.logits),
            "lq_feat": codes.features[0, ::4].numpy(),
            "lq_feat_stats": statistics(codes.features),
            "code_indices": codes.indices[0].numpy(),
        }
        for name in [n for n in golden.arrays if n.startswith("w") and not n.endswith("_stats")]:
            w, adain = name[1:].split("_adain")
            picture = decode(network, codes, float(w), adain == "1")
            found |= {name: picture[..., ::8, ::8].numpy(), f"{name}_stats": statistics(picture)}
    return found


# The smallest margin is a difference of two nearly equal logits; it only says how safely codes can be compared.
GOLDENS = (Case("codeformer", codeformer, skip=("logit_margin_min",), repository_tolerance=2e-5, long=("*",)),)
