"""Decoding one picture: every mode, depth and format becomes a square of 8-bit pixels."""

from io import BytesIO

import numpy as np
import pytest
from ganzoo_images.decode import Broken, Treatment, decode
from PIL import Image


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def decoded(content: bytes, size: int = 8, *how: object, **more: object) -> np.ndarray:
    pixels = decode(content, Treatment(size, *how, **more))
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
        decode(content, Treatment(8))


# --- what the user decides -------------------------------------------------------------------------------------------


def test_pictures_are_cut_padded_or_stretched():
    wide = np.zeros((4, 8, 3), np.uint8)
    wide[:, :4] = 200
    content = encoded(Image.fromarray(wide))
    cut = decoded(content, 4)
    assert cut[0].tolist() == [[200, 200, 0, 0]] * 4
    padded = decoded(content, 8, fit="pad")
    assert padded[0, 2:6].tolist() == wide[..., 0].tolist()
    assert (padded[0, [0, 1, 6, 7]] == 255).all()
    assert (decoded(content, 8, fit="pad", background="black")[0, [0, 1, 6, 7]] == 0).all()
    stretched = decoded(content, 8, fit="stretch")
    assert stretched[0].tolist() == [[200] * 4 + [0] * 4] * 8


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (3, 3), (500, 2), (2, 1000)])
def test_any_proportions_fit(fit, shape):
    pixels = decoded(encoded(Image.new("L", shape, 90)), 8, fit=fit)
    assert pixels.shape == (1, 8, 8)
    assert 90 in pixels


def test_levels_beyond_8_bits_are_scaled_to_the_range():
    twelve = np.array([[0, 1000, 4095, 60000]] * 4, np.uint16)
    assert decoded(encoded(Image.fromarray(twelve)), 4, range=(0, 4095))[0, 0].tolist() == [0, 62, 255, 255]
    signed = np.array([[-1000, 0, 1000, 3000]] * 4, np.int32)
    assert decoded(encoded(Image.fromarray(signed), "TIFF"), 4, range=(-1000, 1000))[0, 0].tolist() == [
        0,
        128,
        255,
        255,
    ]
    floats = np.array([[0.0, 0.25, 1.0, np.nan]] * 4, np.float32)
    assert decoded(encoded(Image.fromarray(floats), "TIFF"), 4, range=(0, 1))[0, 0].tolist() == [0, 64, 255, 0]
    with pytest.raises(Broken, match=r"without an agreed range; say .* data\.range = \[0, 1\]"):
        decode(encoded(Image.fromarray(floats), "TIFF"), Treatment(4))
    assert decoded(encoded(RED), range=(0, 4095))[:, 0, 0].tolist() == [250, 10, 30]  # 8 bits have a range already


def test_heif_pictures_are_read_if_pillow_heif_is_installed():
    pytest.importorskip("pillow_heif")
    content = encoded(Image.new("RGB", (64, 48), (200, 40, 40)), "HEIF", quality=95)
    assert np.abs(decoded(content, 16)[:, 8, 8].astype(int) - [200, 40, 40]).max() <= 6
