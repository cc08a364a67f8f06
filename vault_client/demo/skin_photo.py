"""The photo a patient takes of a mole on a forearm: skin, hairs, the mole, and a strip of paper in millimetres."""

from hashlib import shake_256
from io import BytesIO
from math import cos, pi, sin
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_SIZE = (1600, 1200)
_MOLE = (760, 520)
_SKIN_SHADE, _SKIN_LIGHT = (196, 140, 112), (236, 190, 162)
_MOLE_DARK, _MOLE_PALE = (58, 32, 24), (128, 78, 54)
_PIXELS_PER_MILLIMETRE = 44


def skin_photo() -> bytes:
    """The photo as a JPEG file."""
    from PIL import Image, ImageOps

    # The light comes from one side: a turned gradient, without the corners that turning leaves empty.
    light = (
        Image.linear_gradient("L").rotate(35, Image.Resampling.BICUBIC).crop((40, 40, 216, 216)).resize(_SIZE)
    )
    tone = Image.blend(_mottling("tone", 12), light, 0.45)
    tone = Image.blend(tone, _mottling("pores", 420), 0.16)
    picture = ImageOps.colorize(ImageOps.autocontrast(tone), _SKIN_SHADE, _SKIN_LIGHT)
    _mole(picture)
    _hairs(picture)
    _ruler(picture)
    vignette = Image.radial_gradient("L").resize(_SIZE).point(lambda value: max(0, value - 90) // 2)
    picture = Image.composite(Image.new("RGB", _SIZE, (40, 26, 22)), picture, vignette)
    picture = Image.blend(picture, _sensor_noise(), 0.07)
    exif = Image.Exif()
    exif[0x010E] = "Image calculee, demonstration"
    exif[0x0132] = "2026:02:14 18:21:07"
    file = BytesIO()
    picture.save(file, "JPEG", quality=88, exif=exif, dpi=(72, 72))
    return file.getvalue()


def _noise(name: str, length: int) -> bytes:
    return shake_256(b"coffre demo photo " + name.encode("ascii")).digest(length)


def _mottling(name: str, columns: int) -> "Image":
    from PIL import Image

    rows = columns * _SIZE[1] // _SIZE[0]
    return Image.frombytes("L", (columns, rows), _noise(name, columns * rows)).resize(
        _SIZE, Image.Resampling.BICUBIC
    )


def _sensor_noise() -> "Image":
    from PIL import Image

    return Image.frombytes("RGB", _SIZE, _noise("sensor", 3 * _SIZE[0] * _SIZE[1]))


def _mole(picture: "Image") -> None:
    from PIL import Image, ImageDraw, ImageFilter, ImageOps

    # Waves of different lengths around the circle make an outline that no compass draws.
    for scale, blur, weight in ((1.28, 34, 90), (1.0, 9, 235)):
        outline = []
        for step in range(180):
            angle = 2 * pi * step / 180
            wave = 1 + 0.07 * sin(2 * angle + 0.6) + 0.045 * sin(3 * angle + 2) + 0.02 * sin(7 * angle)
            outline.append(
                (_MOLE[0] + 128 * scale * wave * cos(angle), _MOLE[1] + 104 * scale * wave * sin(angle))
            )
        mask = Image.new("L", _SIZE)
        ImageDraw.Draw(mask).polygon(outline, fill=weight)
        mask = mask.filter(ImageFilter.GaussianBlur(blur))
        network = Image.blend(_mottling("network", 150), _mottling("patches", 26), 0.55)
        picture.paste(ImageOps.colorize(ImageOps.autocontrast(network), _MOLE_DARK, _MOLE_PALE), (0, 0), mask)


def _hairs(picture: "Image") -> None:
    from PIL import Image, ImageDraw, ImageFilter

    mask = Image.new("L", _SIZE)
    draw = ImageDraw.Draw(mask)
    seeds = _noise("hairs", 34 * 6)
    for index in range(0, len(seeds), 6):
        across, down, length, bend, turn, ink = seeds[index : index + 6]
        x, y = across * _SIZE[0] / 255, down * _SIZE[1] / 255
        direction, curve = 0.5 + (turn - 128) / 400, (bend - 128) / 9000
        hair = []
        for step in range(60 + length // 2):
            hair.append((x, y))
            heading = direction + curve * step
            x, y = x + 2.2 * cos(heading), y + 2.2 * sin(heading)
        draw.line(hair, fill=90 + ink // 3, width=2)
    picture.paste(Image.new("RGB", _SIZE, (70, 48, 38)), (0, 0), mask.filter(ImageFilter.GaussianBlur(1)))


def _ruler(picture: "Image") -> None:
    from PIL import Image, ImageDraw, ImageFilter, ImageFont

    width, height = 30 * _PIXELS_PER_MILLIMETRE + 90, 150
    strip = Image.new("RGBA", (width, height), (244, 242, 236, 255))
    draw = ImageDraw.Draw(strip)
    font = ImageFont.load_default(34)
    for millimetre in range(31):
        x = 45 + millimetre * _PIXELS_PER_MILLIMETRE
        depth = 70 if millimetre % 10 == 0 else 54 if millimetre % 5 == 0 else 36
        draw.line((x, 0, x, depth), fill=(50, 50, 54), width=3)
        if millimetre % 10 == 0:
            draw.text((x, 110), str(millimetre), font=font, fill=(50, 50, 54), anchor="mm")
    draw.text((width - 300, 110), "mm", font=font, fill=(50, 50, 54), anchor="mm")
    turned = strip.rotate(-2.5, Image.Resampling.BICUBIC, expand=True)
    place = (110, 900)
    shadow = Image.new("L", _SIZE)
    shadow.paste(turned.getchannel("A").point(lambda value: value * 2 // 5), (place[0] + 8, place[1] + 14))
    picture.paste(Image.new("RGB", _SIZE, (60, 36, 28)), (0, 0), shadow.filter(ImageFilter.GaussianBlur(12)))
    picture.paste(turned, place, turned)
