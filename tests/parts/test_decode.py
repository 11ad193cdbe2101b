"""Decoding one picture: every mode, depth and format becomes a square of 8-bit pixels."""

from io import BytesIO

import numpy as np
import pytest
from ganzoo_images.decode import Broken, decode
from PIL import Image


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def decoded(content: bytes, size: int = 8, channels: str = "auto", background: str = "white") -> np.ndarray:
    pixels = decode(content, size, channels, background)
    assert pixels.dtype == np.uint8
    assert pixels.shape[1:] == (size, size)
    return pixels


RED = Image.new("RGB", (8, 8), (250, 10, 30))


def test_every_mode_is_decoded():
    assert decoded(encoded(RED))[:, 0, 0].tolist() == [250, 10, 30]
    assert decoded(encoded(RED.quantize(4)))[:, 0, 0].tolist() == [250, 10, 30]
    assert decoded(encoded(RED), channels="gray").tolist() == np.asarray(RED.convert("L"))[None].tolist()
    gray = Image.new("L", (8, 8), 77)
    assert decoded(encoded(gray)).tolist() == np.full((1, 8, 8), 77).tolist()
    assert decoded(encoded(gray.convert("RGB"))).shape == (1, 8, 8)
    assert decoded(encoded(gray), channels="color").tolist() == np.full((3, 8, 8), 77).tolist()
    assert decoded(encoded(gray.point(lambda v: 255 if v > 9 else 0).convert("1"))).max() == 255
    cmyk = decoded(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100))
    assert np.abs(cmyk[:, 4, 4].astype(int) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_16_bit_levels_are_scaled_to_8_bits(form):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    assert decoded(encoded(Image.fromarray(ramp), form))[0].tolist() == np.rint(ramp / 257).astype(int).tolist()


@pytest.mark.parametrize(("background", "level"), [("white", 255), ("black", 0)])
def test_transparent_pixels_show_the_background(background, level):
    clear, half = Image.new("RGBA", (8, 8), (9, 9, 200, 0)), Image.new("LA", (8, 8), (100, 128))
    assert decoded(encoded(clear), background=background).tolist() == np.full((1, 8, 8), level).tolist()
    assert abs(int(decoded(encoded(half), background=background)[0, 0, 0]) - (100 * 128 + level * 127) / 255) <= 1
    palette = RED.quantize(4)
    assert decoded(encoded(palette, transparency=palette.getpixel((0, 0))), background=background).min() == level
    assert decoded(encoded(RED, transparency=(250, 10, 30)), background=background)[0, 0, 0] == level


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    """The picture is stored with the inverse of each orientation, so decoding restores it."""
    upright = Image.fromarray(np.arange(0, 256, 4, np.uint8).reshape(8, 8))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert decoded(encoded(stored, exif=exif))[0].tolist() == np.asarray(upright).tolist()


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue", "lime")]
    assert decoded(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))[:, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("shape", [(40, 100), (100, 40), (33, 8), (3, 5), (1, 300), (8, 8)])
def test_the_shorter_side_is_resized_and_the_center_kept(shape):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (*shape, 3), np.uint8))
    side = min(shape)
    left, top = (shape[1] - side) // 2, (shape[0] - side) // 2
    square = image.crop((left, top, left + side, top + side))
    expected = np.asarray(square.resize((8, 8), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
    assert np.abs(decoded(encoded(image)).astype(int) - expected).max() <= 2


def test_a_large_jpeg_decoded_at_a_fraction_looks_the_same():
    y, x = np.mgrid[0:1200, 0:1600] / 300
    smooth = Image.fromarray(np.stack([127 + 120 * np.sin(x), 127 + 120 * np.cos(y), 60 * x], 2).astype(np.uint8))
    small = decoded(encoded(smooth, "JPEG", quality=95), 16).astype(int)
    exact = smooth.crop((200, 0, 1400, 1200)).resize((16, 16), Image.Resampling.LANCZOS)
    assert np.abs(small - np.asarray(exact).transpose(2, 0, 1)).max() <= 4


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"not a picture", "^cannot identify image file$"),
        (encoded(Image.effect_noise((64, 64), 50))[:1500], "truncated|broken"),
        (encoded(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF"), "floating"),
        (encoded(Image.fromarray(np.full((8, 8), 1 << 20, np.int32)), "TIFF"), "32 bits"),
    ],
)
def test_an_unreadable_file_raises_broken_with_the_reason(content, why):
    with pytest.raises(Broken, match=why):
        decode(content, 8, "auto", "white")
