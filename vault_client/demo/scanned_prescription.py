"""A prescription as a flatbed scanner gives it: an image of a page, a little askew, without any text in it.

Drawn with the font that comes inside Pillow, so that no font of the machine changes the picture. That font has no
accented letters: they are drawn as a letter and its accent.
"""

import unicodedata
from collections.abc import Iterable
from hashlib import shake_256
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

_DPI = 150
_PAGE = (1240, 1754)
_INK = 40
_STAMP = 105
_LEFT = 130

# Strokes from the middle of the top of the letter, in sizes of the font.
_ACCENTS = {
    "\N{COMBINING ACUTE ACCENT}": ((-0.05, -0.07), (0.1, -0.22)),
    "\N{COMBINING GRAVE ACCENT}": ((-0.1, -0.22), (0.05, -0.07)),
    "\N{COMBINING CIRCUMFLEX ACCENT}": ((-0.1, -0.07), (0.0, -0.22), (0.1, -0.07)),
}
_FLOURISH = (
    *((720, 1545), (760, 1430), (775, 1390), (762, 1470), (768, 1540), (800, 1490), (822, 1470), (830, 1505)),
    *((862, 1462), (872, 1500), (915, 1455), (925, 1495), (985, 1448), (1060, 1440)),
)
_BODY = (
    (34, "Apixaban 5 mg, comprimé", 0),
    (27, "1 comprimé matin et soir, sans interruption.", 40),
    (27, "QSP 1 mois, à renouveler 1 fois.", 40),
    (0, "", 0),
    (34, "Bisoprolol 2,5 mg, comprimé", 0),
    (27, "1 comprimé le matin.", 40),
    (27, "QSP 1 mois, à renouveler 2 fois.", 40),
    (0, "", 0),
    (34, "Ramipril 5 mg, comprimé", 0),
    (27, "1 comprimé le matin (traitement habituel).", 40),
    (27, "QSP 1 mois, à renouveler 2 fois.", 40),
    (0, "", 0),
    (27, "Contrôle sanguin : créatinine, potassium, hémogramme", 0),
    (27, "dans une semaine, à jeun de préférence.", 0),
)


def scanned_prescription() -> bytes:
    """The page as a PNG file of 150 dots per inch."""
    from PIL import Image, ImageChops, ImageDraw, ImageFilter

    page = Image.new("L", _PAGE, 255)
    _draw(ImageDraw.Draw(page))
    askew = page.rotate(0.7, Image.Resampling.BICUBIC, translate=(-4, 6), fillcolor=255)
    # Paper is never white, and the light of a scanner falls off towards the spine.
    grain = Image.frombytes("L", _PAGE, shake_256(b"coffre demo prescription").digest(_PAGE[0] * _PAGE[1]))
    paper = grain.filter(ImageFilter.GaussianBlur(1.2)).point(lambda value: 243 + (value - 128) // 8)
    shade = Image.linear_gradient("L").rotate(90).resize(_PAGE).point(lambda value: 255 - max(0, 24 - value))
    scan = ImageChops.multiply(ImageChops.multiply(askew.filter(ImageFilter.GaussianBlur(0.6)), paper), shade)
    file = BytesIO()
    # Fewer greys, as office scanners keep them: the grain of the paper is most of the file.
    scan.point(lambda value: min(255, value // 5 * 5 + 3)).save(file, "PNG", dpi=(_DPI, _DPI))
    return file.getvalue()


def _draw(draw: "ImageDraw") -> None:
    _write(draw, _LEFT, 120, "Docteur Inès Laurent", 44)
    _write(draw, _LEFT, 180, "Médecine générale", 28)
    _write(draw, _LEFT, 220, "3, place du Marché", 24)
    _write(draw, _LEFT, 252, "00100 Valmont-sur-Loge", 24)
    _write(draw, 830, 180, "Sur rendez-vous", 24)
    _write(draw, 830, 212, "Tél. 01 99 00 45 67", 24)
    draw.line((_LEFT, 304, 1110, 304), fill=_INK, width=3)
    _write(draw, 740, 350, "Valmont, le 12 mars 2026", 27)
    _write(draw, _LEFT, 420, "Camille MOREL", 34)
    _write(draw, _LEFT, 468, "née le 14/05/1978, 64 kg", 27)
    _write(draw, 500, 560, "Ordonnance", 46)
    draw.line((500, 622, 758, 622), fill=_INK, width=3)
    y = 690
    for size, line, indent in _BODY:
        if line:
            _write(draw, _LEFT + indent, y, line, size)
        y += size + 18
    _signature(draw)
    draw.line((_LEFT, 1640, 1110, 1640), fill=150, width=2)
    _write(draw, _LEFT, 1654, "Document de démonstration : personnes, lieux et prescriptions fictifs.", 20)


def _signature(draw: "ImageDraw") -> None:
    draw.rounded_rectangle((700, 1345, 1105, 1480), radius=14, outline=_STAMP, width=3)
    _write(draw, 728, 1362, "Dr Inès Laurent", 30, ink=_STAMP)
    _write(draw, 728, 1404, "Médecine générale", 23, ink=_STAMP)
    _write(draw, 728, 1438, "Valmont-sur-Loge", 23, ink=_STAMP)
    draw.line(_smooth(_FLOURISH), fill=55, width=5, joint="curve")


def _smooth(points: Iterable[tuple[int, int]]) -> list[tuple[float, float]]:
    # Chaikin's corner cutting, three times.
    line: list[tuple[float, float]] = [(float(x), float(y)) for x, y in points]
    for _ in range(3):
        cut = [line[0]]
        for (ax, ay), (bx, by) in pairwise(line):
            cut += [
                (0.75 * ax + 0.25 * bx, 0.75 * ay + 0.25 * by),
                (0.25 * ax + 0.75 * bx, 0.25 * ay + 0.75 * by),
            ]
        line = [*cut, line[-1]]
    return line


def _write(draw: "ImageDraw", x: float, y: float, text: str, size: int, *, ink: int = _INK) -> None:
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    for character in text:
        letter, *accents = list(unicodedata.normalize("NFD", character))
        draw.text((x, y), letter, font=font, fill=ink)
        left, top, right, _ = draw.textbbox((x, y), letter, font=font)
        for accent in accents:
            stroke = [
                ((left + right) / 2 + across * size, top + down * size) for across, down in _ACCENTS[accent]
            ]
            draw.line(stroke, fill=ink, width=max(2, round(size * 0.08)), joint="curve")
        x += font.getlength(letter)
