"""Pillow's antialiased resize of small pictures made by rule: `resize/pillow.safetensors` (resize/README.md)."""

from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

import rule

HERE = Path(__file__).parent
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

# kind, source height x width, target height x width
PAIRS = [
    ("mixed", (17, 23), (9, 31)),  # one axis down, the other up
    ("noise", (23, 17), (23, 17)),  # nothing to do
    ("edges", (41, 37), (16, 16)),
    ("edges", (7, 9), (33, 29)),  # bicubic overshoots, and is clipped
    ("smooth", (3, 640), (5, 57)),
    ("mixed", (200, 300), (37, 48)),
    ("mixed", (1, 1), (4, 5)),
    ("noise", (511, 255), (40, 33)),
    ("noise", (48, 64), (20, 64)),  # one axis only
    ("noise", (48, 64), (48, 19)),
    ("mixed", (255, 256), (1, 1)),
    ("edges", (1, 50), (3, 7)),
    ("smooth", (300, 40), (39, 40)),
]


def source(kind, height, width):
    """The u8 picture [H, W, 3]: gradients along x, y and the diagonal, a hash, or both; integers only."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    smooth = np.stack(
        [x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x + y) * 255 // max(width + height - 2, 1)], axis=2
    )
    noise = (rule.bits(f"picture.{height}x{width}", height * width * 3) >> 16).astype(np.int64).reshape(height, width, 3)
    made = {"smooth": smooth, "noise": noise, "mixed": (3 * smooth + noise) // 4, "edges": np.where(noise < 128, 0, 255)}
    return made[kind].astype(np.uint8)


def make():
    kept = {}
    for kind, (h, w), (th, tw) in PAIRS:
        picture = Image.fromarray(source(kind, h, w))
        for name, resample in FILTERS.items():
            kept[f"{kind}/{h}x{w}/{th}x{tw}/{name}"] = np.asarray(picture.resize((tw, th), resample))
    (HERE / "resize").mkdir(exist_ok=True)
    save_file(kept, HERE / "resize" / "pillow.safetensors")


if __name__ == "__main__":
    make()
