"""Weights and inputs by rule: a hash of a name and an index, and a few f32 operations.

README.md states the rule; tests/common/rule.rs is its twin in Rust. Both must agree bit for bit, so every
step here is either integer arithmetic or a single correctly rounded IEEE operation.
"""

import numpy as np

MASK = (1 << 64) - 1
GOLDEN_GAMMA = 0x9E3779B97F4A7C15
F32 = np.float32


def fnv1a64(name: str) -> int:
    """FNV-1a, 64 bits, of the name's UTF-8 bytes."""
    h = 0xCBF29CE484222325
    for byte in name.encode("utf-8"):
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def bits(name: str, count: int) -> np.ndarray:
    """The top 24 bits of the first `count` outputs of splitmix64 seeded with the name's hash."""
    with np.errstate(over="ignore"):
        i = np.arange(1, count + 1, dtype=np.uint64)
        z = np.uint64(fnv1a64(name)) + i * np.uint64(GOLDEN_GAMMA)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.uint32)


def unit(n: np.ndarray) -> np.ndarray:
    """Uniform in [-1, 1) on the grid of 2^-23: exact in f32."""
    return n.astype(F32) * F32(2.0**-23) - F32(1.0)


def kernel_scale(gain: float, fan_in: int) -> np.float32:
    """Uniform weights of this amplitude have the variance gain / fan_in."""
    return F32(np.sqrt(np.float64(3.0) * np.float64(gain) / np.float64(fan_in)))


def tensor(source: str, role: str, shape, scale=None, zero_variance=False) -> np.ndarray:
    """One tensor in its source layout. `scale` is the f32 factor of the role `weight`."""
    n = bits(f"{source}.{role}", int(np.prod(shape)))
    u = unit(n)
    if role == "weight":
        v = u * F32(scale)
    elif role == "bias":
        v = u * F32(0.1)
    elif role in ("beta", "mean"):
        v = u * F32(0.2)
    elif role == "gamma":
        v = u * F32(0.3) + F32(1.0)
        v = np.where(n % 16 == 5, -v, v)
    elif role == "variance":
        v = u * F32(0.5) + F32(1.0)
        if zero_variance:
            v = np.where(n % 32 == 7, F32(0.0), v)
    else:
        raise ValueError(role)
    assert v.dtype == F32
    return v.reshape(shape)


def picture(batch: int, height: int, width: int) -> np.ndarray:
    """The network's input [N, 3, H, W]: a tone for each channel, squares of 8 x 8, and noise."""
    rows, columns = -(-height // 8), -(-width // 8)
    tone = unit(bits("input.tone", batch * 3)).reshape(batch, 3, 1, 1)
    square = unit(bits("input.square", batch * 3 * rows * columns)).reshape(batch, 3, rows, columns)
    noise = unit(bits("input.noise", batch * 3 * height * width)).reshape(batch, 3, height, width)
    square = square.repeat(8, axis=2).repeat(8, axis=3)[:, :, :height, :width]
    x = (tone * F32(0.5) + square * F32(0.75)) + noise * F32(0.25)
    assert x.dtype == F32
    return x


def sample(x: np.ndarray, count: int = 256) -> np.ndarray:
    """`count` values of an NCHW tensor, at (i * 2654435761) mod its size in the flat order."""
    flat = x.reshape(-1)
    i = np.arange(count, dtype=np.uint64) * np.uint64(2654435761) % np.uint64(flat.size)
    return flat[i.astype(np.int64)]


def stored(v: np.ndarray, dtype: str) -> np.ndarray:
    """The f32 values as they come back from a file of that dtype (round to nearest even)."""
    import torch

    kinds = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    return torch.from_numpy(np.ascontiguousarray(v)).to(kinds[dtype]).to(torch.float32).numpy()
