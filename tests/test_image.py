import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageFile
from torch import Tensor

from invertdesc.errors import FileError, InputError, InvertDescError
from invertdesc.image import (
    GrayMode,
    from_gray,
    read_image,
    shrink_image,
    to_gray,
    to_image,
    to_uint8,
    with_gray,
    write_image,
)
from invertdesc.limits import Limits, use_limits

# How pixels are stored under each EXIF orientation, from the upright picture.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.fixture
def pixels() -> np.ndarray:
    """(6, 9, 3) uint8, no two alike."""
    values = np.random.default_rng(0).permutation(256)[: 6 * 9 * 3]
    return values.reshape(6, 9, 3).astype(np.uint8)


@pytest.fixture
def gray() -> np.ndarray:
    """(6, 9) uint8 with 0 and 255 in it."""
    values = np.linspace(0, 255, 54).astype(np.uint8)
    return np.random.default_rng(0).permutation(values).reshape(6, 9)


def expected_of(pixels: np.ndarray) -> Tensor:
    """(3, H, W) from (H, W, 3) or (H, W) uint8."""
    rgb = pixels if pixels.ndim == 3 else np.stack([pixels] * 3, 2)
    return torch.from_numpy(rgb.astype(np.float32) / 255).permute(2, 0, 1)


def on_white(pixels: np.ndarray, alpha: np.ndarray) -> Tensor:
    colour, share = expected_of(pixels), torch.from_numpy(alpha.astype(np.float32) / 255)
    return colour * share + (1 - share)


def assert_image(image: Tensor, expected: Tensor, within: float = 1e-6) -> None:
    assert image.dtype == torch.float32
    assert image.shape == expected.shape
    assert (image - expected).abs().max() <= within


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.ppm", "a.tif", "a.tiff", "A.PNG"])
def test_rgb_files_are_read_exactly(tmp_path: Path, pixels: np.ndarray, name: str) -> None:
    Image.fromarray(pixels).save(tmp_path / name)
    assert_image(read_image(tmp_path / name), expected_of(pixels))
    assert_image(to_image(str(tmp_path / name)), expected_of(pixels))


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.pgm", "a.tif"])
def test_gray_files_give_three_equal_channels(tmp_path: Path, gray: np.ndarray, name: str) -> None:
    Image.fromarray(gray).save(tmp_path / name)
    assert_image(read_image(tmp_path / name), expected_of(gray))


def test_webp_is_read_exactly(tmp_path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(tmp_path / "a.webp", lossless=True)
    assert_image(read_image(tmp_path / "a.webp"), expected_of(pixels))


def test_one_bit_png_is_black_and_white(tmp_path: Path, gray: np.ndarray) -> None:
    Image.fromarray(gray > 127).save(tmp_path / "a.png")
    assert_image(read_image(tmp_path / "a.png"), expected_of(255 * (gray > 127).astype(np.uint8)))


def test_transparent_rgb_is_laid_on_white(
    tmp_path: Path, pixels: np.ndarray, gray: np.ndarray
) -> None:
    Image.fromarray(np.dstack([pixels, gray])).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert_image(image, on_white(pixels, gray), within=1.5 / 255)
    assert (image[:, torch.from_numpy(gray == 0)] == 1).all()


def test_transparent_gray_is_laid_on_white(tmp_path: Path, gray: np.ndarray) -> None:
    alpha = gray[::-1].copy()
    layers = Image.merge("LA", (Image.fromarray(gray), Image.fromarray(alpha)))
    layers.save(tmp_path / "a.png")
    assert_image(read_image(tmp_path / "a.png"), on_white(gray, alpha), within=1.5 / 255)


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_palette_is_resolved(tmp_path: Path, gray: np.ndarray, name: str) -> None:
    palette = np.array([[9, 200, 30], [250, 0, 7], [64, 65, 66], [0, 0, 255]], np.uint8)
    indexed = Image.fromarray(gray % 4)
    indexed.putpalette(palette.tobytes())
    indexed.save(tmp_path / name)
    assert_image(read_image(tmp_path / name), expected_of(palette[gray % 4]))


@pytest.mark.parametrize("transparency", [2, bytes([255, 128, 0, 255])])
def test_transparent_palette_is_laid_on_white(
    tmp_path: Path, gray: np.ndarray, transparency: int | bytes
) -> None:
    palette = np.array([[9, 200, 30], [250, 0, 7], [64, 65, 66], [0, 0, 255]], np.uint8)
    indexed = Image.fromarray(gray % 4)
    indexed.putpalette(palette.tobytes())
    indexed.save(tmp_path / "a.png", transparency=transparency)
    alpha = np.array([255, 255, 0, 255] if transparency == 2 else list(transparency), np.uint8)
    expected = on_white(palette[gray % 4], alpha[gray % 4])
    assert_image(read_image(tmp_path / "a.png"), expected, within=1.5 / 255)


def test_transparent_colour_is_laid_on_white(tmp_path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(tmp_path / "a.png", transparency=tuple(pixels[2, 3].tolist()))
    expected = expected_of(pixels)
    expected[:, 2, 3] = 1
    assert_image(read_image(tmp_path / "a.png"), expected)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bit_gray_keeps_its_depth(tmp_path: Path, name: str) -> None:
    deep = np.array([[0, 1, 255, 256], [32768, 40000, 65534, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / name)
    expected = torch.from_numpy(deep.astype(np.float32) / 65535).expand(3, -1, -1)
    assert_image(read_image(tmp_path / name), expected, within=1e-7)


def test_sixteen_bit_gray_png_of_opencv_is_read_alike(tmp_path: Path) -> None:
    deep = np.array([[0, 1, 255, 256], [32768, 40000, 65534, 65535]], np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), deep)
    expected = torch.from_numpy(deep.astype(np.float32) / 65535).expand(3, -1, -1)
    assert_image(read_image(tmp_path / "a.png"), expected, within=1e-7)


def test_sixteen_bit_rgb_png_is_read(tmp_path: Path, pixels: np.ndarray) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), pixels[..., ::-1].astype(np.uint16) * 257)
    assert_image(read_image(tmp_path / "a.png"), expected_of(pixels), within=1 / 255)


def test_thirty_two_bit_tiff_of_sixteen_bit_values_is_read(tmp_path: Path) -> None:
    deep = np.array([[0, 1], [40000, 65535]], np.int32)
    Image.fromarray(deep).save(tmp_path / "a.tif")
    expected = torch.from_numpy(deep.astype(np.float32) / 65535).expand(3, -1, -1)
    assert_image(read_image(tmp_path / "a.tif"), expected, within=1e-7)


def test_float_tiff_is_read(tmp_path: Path) -> None:
    values = np.array([[0, 0.1, 0.25], [0.5, 0.999, 1]], np.float32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert_image(read_image(tmp_path / "a.tif"), torch.from_numpy(values).expand(3, -1, -1))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.array([[0, 200]], np.float32), "got values from 0 to 200. Divide by 255?"),
        (np.array([[0, np.nan]], np.float32), "got NaN"),
        (np.array([[0, 70000]], np.int32), "got int32"),
        (np.array([[-1, 9]], np.int32), "got int32"),
    ],
)
def test_tiff_of_values_without_a_meaning_is_named(
    tmp_path: Path, values: np.ndarray, reason: str
) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path)
    with pytest.raises(InputError, match=f"^Cannot use {re.escape(str(path))}: .*{reason}"):
        read_image(path)


def test_jpeg_is_read_nearly(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:32, :48]
    smooth = np.stack([4 * columns, 5 * rows, 255 - 4 * columns], 2).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=100, subsampling=0)
    assert_image(read_image(tmp_path / "a.jpg"), expected_of(smooth), within=4 / 255)


def test_cmyk_jpeg_has_the_right_colours(tmp_path: Path) -> None:
    blocks = np.zeros((16, 64, 3), np.uint8)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
    for number, colour in enumerate(colours):
        blocks[:, 16 * number : 16 * (number + 1)] = colour
    image = Image.fromarray(blocks).convert("CMYK")
    image.save(tmp_path / "a.jpg", quality=100, subsampling=0)
    with Image.open(tmp_path / "a.jpg") as stored:
        assert stored.mode == "CMYK"
    assert_image(read_image(tmp_path / "a.jpg"), expected_of(blocks), within=6 / 255)


@pytest.mark.parametrize("orientation", STORED)
def test_orientation_tag_is_obeyed(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16], upright[:8, 16:] = (250, 0, 0), (0, 250, 0)
    upright[8:, :16], upright[8:, 16:] = (0, 0, 250), (250, 250, 250)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](upright))
    Image.fromarray(stored).save(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)
    assert_image(read_image(tmp_path / "a.jpg"), expected_of(upright), within=6 / 255)
    with Image.open(tmp_path / "a.jpg") as opened:
        assert_image(to_image(opened), expected_of(upright), within=6 / 255)


def test_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "no.png"
    with pytest.raises(FileError, match=f"Expected an image file, found none at {path}"):
        read_image(path)
    with pytest.raises(OSError, match="found none"):
        to_image(str(path))


def test_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=f"Expected an image file, found none at {tmp_path}"):
        read_image(tmp_path)


@pytest.mark.parametrize("content", [b"", b"this is no picture\n", b"\x89PNG", bytes(1000)])
def test_file_that_is_no_image(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(FileError, match=rf"got {path}, which has another format"):
        read_image(path)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.bmp", "a.tif", "a.webp"])
def test_truncated_file(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    path = tmp_path / name
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileError, match=f"Expected .* got {path}") as caught:
        read_image(path)
    assert isinstance(caught.value, InvertDescError)


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize("kind", ["EPS", "ICNS", "ICO", "PCX", "SGI", "TGA"])
def test_formats_that_are_not_named_are_not_opened(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    Image.init()
    if kind == "EPS":
        path.write_bytes(POSTSCRIPT)
    else:
        Image.new("RGB", (32, 32)).save(path, kind)
    opened: list[object] = []
    monkeypatch.setitem(Image.OPEN, kind, (lambda *given: opened.append(given), None))
    with pytest.raises(FileError, match=f"BMP, GIF, JPEG, PNG, PPM, TIFF or WEBP, got {path}"):
        read_image(path)
    assert not opened


def test_damaged_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(noise).save(path)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(FileError, match="Expected a whole image file"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".bmp", ".gif", ".jpg", ".png", ".ppm", ".tif", ".webp"])
def test_pixels_are_counted_before_they_are_unpacked(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a{suffix}"
    Image.new("RGB", (10, 11)).save(path)
    with use_limits(Limits(pixels=110)):
        assert read_image(path).shape == (3, 11, 10)
    monkeypatch.setattr(ImageFile.ImageFile, "load", None)
    with use_limits(Limits(pixels=109)), pytest.raises(InputError) as caught:
        read_image(path)
    assert str(caught.value).startswith(
        f"Cannot use {path}: Expected an image of at most 109 pixels, got 110. If you trust it, "
        "raise the limit pixels: use_limits(Limits(pixels=110))."
    )


def test_pillows_own_limit_does_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for side in (4, 10):  # of which Pillow would warn, and raise
        Image.new("RGB", (side, side)).save(tmp_path / "a.png")
        assert read_image(tmp_path / "a.png").shape == (3, side, side)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "RGBX", "L", "CMYK", "YCbCr", "HSV"])
def test_pil_modes_show_the_same_picture(gray: np.ndarray, mode: str) -> None:
    image = Image.fromarray(np.stack([gray] * 3, 2)).convert(mode)
    assert_image(to_image(image), expected_of(gray), within=3 / 255)


def test_pil_image_without_pixels() -> None:
    with pytest.raises(InputError, match="at least 1 pixel"):
        to_image(Image.new("I", (0, 4)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_float_arrays(pixels: np.ndarray, dtype: Any) -> None:
    array = (pixels / 255).astype(dtype)
    assert_image(to_image(array), expected_of(pixels), within=1e-3)


@pytest.mark.parametrize("dtype", [np.uint16, ">u2"])
def test_sixteen_bit_arrays(pixels: np.ndarray, dtype: Any) -> None:
    array = (pixels.astype(np.uint16) * 257).astype(dtype)
    assert_image(to_image(array), expected_of(pixels))


def test_arrays_in_any_memory_layout(pixels: np.ndarray) -> None:
    read_only = pixels.copy()
    read_only.flags.writeable = False
    for array in (read_only, np.asfortranarray(pixels)):
        assert_image(to_image(array), expected_of(pixels))
    turned = to_image(pixels[::-1, ::2, ::-1])
    assert_image(turned, expected_of(pixels).flip(0, 1)[:, :, ::2])


def test_gray_arrays(gray: np.ndarray) -> None:
    assert_image(to_image(gray), expected_of(gray))
    assert_image(to_image(gray[..., None]), expected_of(gray))


@pytest.mark.parametrize(
    "shape", [(4,), (4, 5, 2), (4, 0, 4), (3, 4, 5), (1, 4, 5, 3), (), (0, 5), (4, 0, 3)]
)
def test_arrays_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"of shape .* got"):
        to_image(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int32, np.int64, np.complex64, object, "U3"])
def test_arrays_of_another_dtype_are_refused(dtype: Any) -> None:
    array = np.zeros((4, 5, 3), dtype)
    with pytest.raises(InputError, match=f"of dtype uint8, uint16 or float, got {array.dtype}"):
        to_image(array)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_that_come_first_are_told_how_to_come_last(channels: int) -> None:
    with pytest.raises(InputError, match=r"Try array\.transpose\(1, 2, 0\)\.$"):
        to_image(np.zeros((channels, 5, 6), np.uint8))


def test_transparent_arrays_are_laid_on_white_as_files_are(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 4), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    expected = read_image(tmp_path / "a.png")
    assert torch.equal(to_image(pixels), expected)
    deep = pixels.astype(np.uint16) * 257
    for finer in (pixels / 255.0, deep):
        assert (to_image(finer) - expected).abs().max() <= 1 / 255
    clear = np.zeros((2, 3, 4))
    assert to_image(clear).unique().tolist() == [1]
    clear[0, 0, 3] = 2
    with pytest.raises(InputError, match="from 0 to 2"):
        to_image(clear)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3), (2, 4, 5), (1, 3, 4, 5), (3, 0, 5), ()])
def test_tensors_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=rf"shape \(3, H, W\), got {re.escape(str(shape))}"):
        to_image(torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.bool, torch.int16, torch.uint16, torch.complex64])
def test_tensors_of_another_dtype_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(InputError, match=f"of dtype uint8 or float, got {dtype}"):
        to_image(torch.zeros(3, 4, 5, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_float_tensors(dtype: torch.dtype) -> None:
    values = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0))
    assert_image(to_image(values.to(dtype)), values, within=4e-3)


def test_uint8_and_gray_tensors(gray: np.ndarray) -> None:
    assert_image(to_image(torch.from_numpy(gray)[None]), expected_of(gray))


@pytest.mark.parametrize(
    ("value", "told"), [(255.0, "0 to 255"), (-0.5, "-0.5 to 0"), (1.01, "0 to 1.01")]
)
def test_values_outside_the_range_are_told(value: float, told: str) -> None:
    image = torch.zeros(3, 4, 5)
    image[1, 2, 3] = value
    with pytest.raises(InputError, match=rf"in \[0, 1\], got values from {told}\. Divide by 255"):
        to_image(image)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_one_value_that_is_not_finite_is_refused(value: float) -> None:
    image = torch.zeros(3, 4, 5)
    image[1, 2, 3] = value
    with pytest.raises(InputError, match="Expected a float image"):
        to_image(image)
    with pytest.raises(InputError, match="Expected a float image"):
        to_image(image.permute(1, 2, 0).numpy())


def test_rounding_beyond_the_range_is_clamped() -> None:
    image = to_image(torch.tensor([-5e-4, 1 + 5e-4]).expand(3, 1, 2))
    assert image.unique().tolist() == [0, 1]


def test_source_is_not_changed_with_the_image() -> None:
    source = torch.rand(3, 4, 5)
    before = source.clone()
    to_image(source).zero_()
    assert torch.equal(source, before)


@pytest.mark.parametrize("source", [None, 3, [[0, 1]], b"bytes"])
def test_other_kinds_are_named(source: Any) -> None:
    with pytest.raises(InputError, match=f"PIL image, .*, got {type(source).__name__}"):
        to_image(source)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm", "A.PNG"])
def test_write_and_read_give_the_same_pixels(tmp_path: Path, pixels: np.ndarray, name: str) -> None:
    write_image(expected_of(pixels), tmp_path / name)
    assert_image(read_image(tmp_path / name), expected_of(pixels))
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("name", "kind"), [("a.jpg", "JPEG"), ("a.webp", "WEBP")])
def test_suffix_says_the_format(tmp_path: Path, name: str, kind: str) -> None:
    write_image(torch.full((3, 16, 16), 0.5), str(tmp_path / name))
    with Image.open(tmp_path / name) as image:
        assert image.format == kind
    assert_image(read_image(tmp_path / name), torch.full((3, 16, 16), 0.5), within=3 / 255)


@pytest.mark.parametrize("name", ["a.xyz", "a", ".png", "a.txt", "png"])
def test_suffix_of_no_image_format_is_refused(tmp_path: Path, name: str) -> None:
    message = f"Expected an image suffix such as .png or .jpg, got '{name}'"
    with pytest.raises(InputError, match=re.escape(message)):
        write_image(torch.zeros(3, 4, 5), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "image", [torch.zeros(2, 3, 4, 5), torch.zeros(4, 5), torch.full((3, 4, 5), torch.nan)]
)
def test_what_is_no_image_is_not_written(tmp_path: Path, image: Tensor) -> None:
    with pytest.raises(InputError, match="Expected a"):
        write_image(image, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".bmp", ".gif", ".jpg", ".png", ".ppm", ".tif", ".webp"])
def test_disk_that_is_full_leaves_no_part_of_a_picture(
    tmp_path: Path, suffix: str, little_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    noise = torch.rand(3, 96, 96, generator=torch.Generator().manual_seed(0))
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")
    with little_disk(4096), pytest.raises(FileError, match=rf"Cannot write .*a\{suffix}: "):
        write_image(noise, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_into_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(FileError, match="Cannot write"):
        write_image(torch.zeros(3, 4, 5), tmp_path / "file" / "a.png")


def test_uint8_rounds_and_clamps() -> None:
    values = torch.tensor([[-1.0, 0.0, 0.4 / 255, 0.6 / 255, 127.4 / 255, 1.0, 2.0]])
    assert to_uint8(values).tolist() == [[0, 0, 0, 1, 127, 255, 255]]


def test_uint8_is_the_inverse_of_to_image(pixels: np.ndarray, gray: np.ndarray) -> None:
    array = to_uint8(to_image(pixels))
    assert array.dtype == np.uint8
    assert array.flags.c_contiguous
    assert np.array_equal(array, pixels)
    every = np.arange(256, dtype=np.uint8)[None]
    assert np.array_equal(to_uint8(to_image(every)[0]), every)


def test_uint8_takes_tensors_of_autograd() -> None:
    assert to_uint8(torch.ones(3, 2, 2, requires_grad=True)).min() == 255


def test_luma_agrees_with_opencv(astronaut: Tensor) -> None:
    ours = to_uint8(to_gray(astronaut, "luma")).astype(int)
    theirs = cv2.cvtColor(to_uint8(astronaut), cv2.COLOR_RGB2GRAY).astype(int)
    assert np.abs(ours - theirs).max() <= 1
    assert theirs.std() > 10


def test_gamma_is_the_mean_of_gamma_corrected_channels(astronaut: Tensor) -> None:
    red, green, blue = astronaut.double()
    expected = (red ** (1 / 2.2) + green ** (1 / 2.2) + blue ** (1 / 2.2)) / 3
    assert (to_gray(astronaut, "gamma") - expected).abs().max() < 1e-6
    assert torch.equal(to_gray(astronaut), to_gray(astronaut, "gamma"))
    by_hand = to_gray(torch.tensor([0.2, 0.0, 1.0]).view(3, 1, 1), "gamma")
    assert by_hand.item() == pytest.approx((0.481156 + 0 + 1) / 3, abs=1e-6)


@pytest.mark.parametrize("mode", ["luma", "gamma"])
def test_gray_of_a_batch_is_that_of_its_images(mode: Any) -> None:
    images = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    batch = to_gray(images, mode)
    assert batch.shape == (2, 4, 5)
    assert torch.allclose(batch[1], to_gray(images[1], mode))


@pytest.mark.parametrize("mode", ["luma", "gamma"])
def test_gray_keeps_black_and_white(mode: Any) -> None:
    assert to_gray(torch.zeros(3, 1, 1), mode).item() == 0
    assert to_gray(torch.ones(3, 1, 1), mode).item() == pytest.approx(1, abs=1e-6)


def test_gray_mode_unknown() -> None:
    with pytest.raises(InputError, match="gray mode among gamma, luma; got 'green'"):
        to_gray(torch.zeros(3, 4, 5), "green")


@pytest.mark.parametrize("mode", ["luma", "gamma"])
@pytest.mark.parametrize("shape", [(4, 5), (1, 4, 5), (4, 5, 3)])
def test_gray_needs_three_channels(shape: tuple[int, ...], mode: Any) -> None:
    message = f"Expected RGB of shape (..., 3, H, W), got {shape}"
    with pytest.raises(InputError, match=re.escape(message)):
        to_gray(torch.zeros(shape), mode)


@pytest.mark.parametrize("mode", ["gamma", "luma"])
def test_an_image_takes_another_gray_and_keeps_its_colours(mode: GrayMode) -> None:
    image = 0.3 + 0.3 * torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    gray = to_gray(image, mode) + 0.1
    changed = with_gray(image, gray, mode)
    torch.testing.assert_close(to_gray(changed, mode), gray)
    order = [one.argsort(1) for one in (image, changed)]  # of the channels: the hue
    assert torch.equal(*order)
    cut = with_gray(image, gray + 2, mode)
    assert torch.equal(cut, torch.ones_like(cut))


def test_images_are_shrunk_to_a_longer_side() -> None:
    image = torch.rand(3, 100, 200, generator=torch.Generator().manual_seed(0))
    assert shrink_image(image, 50).shape == (3, 25, 50)
    assert shrink_image(image, 1).shape == (3, 1, 1)
    assert shrink_image(image, 200) is image
    assert 0 <= shrink_image(image, 50).min() <= shrink_image(image, 50).max() <= 1
    flat = shrink_image(torch.full((3, 100, 200), 0.25), 50)
    torch.testing.assert_close(flat, torch.full((3, 25, 50), 0.25))


@pytest.mark.parametrize("mode", ["gamma", "luma"])
def test_gray_comes_back(mode: GrayMode) -> None:
    gray = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(0))
    picture = from_gray(gray, mode)
    assert picture.shape == (2, 3, 5, 7)
    assert torch.equal(picture[:, 0], picture[:, 2])
    torch.testing.assert_close(to_gray(picture, mode), gray)
