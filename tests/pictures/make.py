"""Small pictures in every format that we read, and what Pillow makes of them: `*.jpg|png|webp|bmp|gif` and `pillow.safetensors`.

    python3 make.py        # needs pillow, numpy, safetensors (versions: ../goldens/requirements.txt); not part of CI

`pillow.safetensors` holds, by file name, `ImageOps.exif_transpose(Image.open(f)).convert("RGB")` as `[H, W, 3]` u8.
"""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from safetensors.numpy import save_file

HERE = Path(__file__).parent
HEIGHT, WIDTH = 21, 29


def pattern(channels, height=HEIGHT, width=WIDTH, bits=8):
    """Gradients, an edge and noise; no symmetry, so that a wrong orientation shows."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    planes = [x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x + y) * 5 % 256, 255 - x * 4]
    noise = np.random.default_rng(7).integers(0, 40, (height, width, channels))
    smooth = np.stack(planes[:channels], axis=2)
    smooth[: height // 3, : width // 4] = 230
    eight = np.clip(smooth * 5 // 6 + noise, 0, 255)
    if bits == 16:
        return (eight * 256 + np.random.default_rng(8).integers(0, 256, eight.shape)).astype(np.uint16)
    return eight.astype(np.uint8) >> (8 - bits)


def pack(rows, bits):
    """Scan lines `[H, W * channels]` as PNG has them."""
    if bits == 16:
        return [row.astype(">u2").tobytes() for row in rows]
    if bits == 8:
        return [row.astype(np.uint8).tobytes() for row in rows]
    unpacked = np.unpackbits(rows.astype(np.uint8)[:, :, None], axis=2)[:, :, 8 - bits :]
    return [np.packbits(line).tobytes() for line in unpacked.reshape(rows.shape[0], -1)]


def png(name, values, bits, colour, interlace=False, chunks=()):
    """A PNG of any type, written by hand: Pillow writes few of them. `chunks` stand before the pixels."""
    height, width = values.shape[:2]
    passes = [(0, 0, 1, 1)]
    if interlace:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    raw = b""
    for top, left, down, right in passes:
        part = values[top::down, left::right]
        if part.size:
            raw += b"".join(b"\0" + line for line in pack(part.reshape(part.shape[0], -1), bits))
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlace))
    out = b"\x89PNG\r\n\x1a\n"
    for kind, body in [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]:
        out += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    (HERE / name).write_bytes(out)


def exif(orientation):
    tags = Image.Exif()
    tags[0x112] = orientation
    return tags.tobytes()


def jpegs():
    rgb, grey = Image.fromarray(pattern(3)), Image.fromarray(pattern(1)[:, :, 0])
    cmyk = Image.fromarray(pattern(4), "CMYK")
    for name, sampling in [("444", 0), ("422", 1), ("420", 2)]:
        rgb.save(HERE / f"baseline_{name}.jpg", quality=85, subsampling=sampling)
    rgb.save(HERE / "progressive_420.jpg", quality=85, progressive=True)
    rgb.save(HERE / "progressive_444.jpg", quality=40, progressive=True, subsampling=0)
    rgb.save(HERE / "restarts.jpg", quality=85, restart_marker_blocks=1)
    rgb.save(HERE / "colours_rgb.jpg", quality=85, keep_rgb=True)
    grey.save(HERE / "grey.jpg", quality=85)
    grey.save(HERE / "grey_progressive.jpg", quality=85, progressive=True)
    cmyk.save(HERE / "cmyk.jpg", quality=85)
    cmyk.save(HERE / "cmyk_progressive.jpg", quality=85, progressive=True)
    ycck()
    Image.fromarray(pattern(3, 1, 1)).save(HERE / "one_pixel.jpg")
    Image.fromarray(pattern(3, 3, 90)).save(HERE / "wide.jpg")
    for orientation in range(1, 9):
        rgb.save(HERE / f"exif_{orientation}.jpg", quality=85, exif=exif(orientation))


def ycck():
    """YCCK: a CMYK file whose Adobe marker says that the first three components are YCbCr (transform 2)."""
    data = bytearray((HERE / "cmyk.jpg").read_bytes())
    at = data.index(b"Adobe")
    data[at + 11] = 2
    (HERE / "ycck.jpg").write_bytes(data)


def pngs():
    for name, channels, colour in [("grey", 1, 0), ("rgb", 3, 2), ("grey_alpha", 2, 4), ("rgba", 4, 6)]:
        for bits in [1, 2, 4, 8, 16] if colour == 0 else [8, 16]:
            png(f"{name}_{bits}.png", pattern(channels, bits=bits), bits, colour)
            png(f"{name}_{bits}_interlaced.png", pattern(channels, bits=bits), bits, colour, interlace=True)
    colours = (b"PLTE", np.random.default_rng(9).integers(0, 256, 256 * 3).astype(np.uint8).tobytes())
    for bits in [1, 2, 4, 8]:
        few = (b"PLTE", colours[1][: 3 << bits])
        png(f"palette_{bits}.png", pattern(1, bits=bits), bits, 3, chunks=[few])
    png("palette_transparent.png", pattern(1), 8, 3, chunks=[colours, (b"tRNS", bytes(range(0, 256, 3)))])
    png("grey_transparent.png", pattern(1), 8, 0, chunks=[(b"tRNS", struct.pack(">H", 130))])
    png("rgb_transparent.png", pattern(3), 8, 2, chunks=[(b"tRNS", struct.pack(">HHH", *pattern(3)[9, 9]))])
    png("exif_6.png", pattern(3), 8, 2, chunks=[(b"eXIf", exif(6)[6:])])
    png("gamma.png", pattern(3), 8, 2, chunks=[(b"gAMA", struct.pack(">I", 100000))])


def others():
    rgb, rgba = Image.fromarray(pattern(3)), Image.fromarray(pattern(4))
    rgb.save(HERE / "lossless.webp", lossless=True)
    rgba.save(HERE / "lossless_alpha.webp", lossless=True, exact=True)
    rgb.save(HERE / "lossy.webp", quality=80)
    rgba.save(HERE / "lossy_alpha.webp", quality=80)
    rgb.save(HERE / "exif_8.webp", lossless=True, exif=exif(8))
    rgb.save(HERE / "rgb.bmp")
    rgba.save(HERE / "rgba.bmp")
    rgb.convert("L").save(HERE / "grey.bmp")
    rgb.convert("1").save(HERE / "bits.bmp")
    few = rgb.quantize(64)
    few.save(HERE / "palette.bmp")
    few.save(HERE / "palette.gif")
    few.save(HERE / "transparent.gif", transparency=3)
    few.save(HERE / "interlaced.gif", interlace=1)
    frames = [few, Image.fromarray(255 - pattern(3)).quantize(64)]
    frames[0].save(HERE / "animated.gif", save_all=True, append_images=frames[1:])


def main():
    jpegs()
    pngs()
    others()
    kept = {}
    for path in sorted(HERE.iterdir()):
        if path.suffix in {".jpg", ".png", ".webp", ".bmp", ".gif"}:
            kept[path.name] = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    save_file(kept, HERE / "pillow.safetensors")


if __name__ == "__main__":
    main()
