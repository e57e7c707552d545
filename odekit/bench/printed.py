"""Figures that papers print, for tables that set them beside ours."""

from __future__ import annotations

from odekit.bench.results import Printed, Quote

TABLE1 = Quote(
    "ODEdit, Table 1, as printed",
    "On other data than ours: CelebA at 64 px with the paper's own prior (120 M parameters), whose test set and FID "
    "protocol are not given. They are here for orientation and cannot be compared with the rows above.",
    tuple(
        Printed(name, {"lpips": lpips, "ssim": ssim, "psnr": psnr, "fid": fid})
        for name, lpips, ssim, psnr, fid in (
            ("Source (damaged)", 0.34, 0.56, 18.01, 83.02),
            ("GFPGAN", 0.25, 0.61, 18.41, 116.76),
            ("DiffBIR", 0.28, 0.61, 18.68, 172.64),
            ("CodeFormer", 0.26, 0.62, 18.53, 157.38),
            ("SDEdit", 0.30, 0.52, 16.03, 45.85),
            ("ODEdit", 0.24, 0.60, 17.8, 33.81),
        )
    ),
)
