"""A PDF of plain text pages (ISO 32000-1), enough for a letter: two standard fonts, rules, no compression.

Helvetica and its bold are among the fonts every reader has, so nothing is embedded. Text is WinAnsi, which for all
that French needs is Windows-1252. The same pages always give the same bytes.
"""

from hashlib import sha256

A4 = (595, 842)
_CATALOG, _PAGES, _INFO, _REGULAR, _BOLD, _FIRST_PAGE = 1, 2, 3, 4, 5, 6


class TextPage:
    """One A4 page being written. Lengths are points, measured from the top left corner."""

    def __init__(self) -> None:
        self._operators: list[bytes] = []

    def text(
        self, x: float, y: float, line: str, *, size: float = 10, bold: bool = False, grey: float = 0
    ) -> None:
        """One line with its baseline at ``y``. Raises UnicodeEncodeError for what WinAnsi does not have."""
        shown = line.encode("cp1252").replace(b"\\", rb"\\").replace(b"(", rb"\(").replace(b")", rb"\)")
        font = b"FB" if bold else b"FR"
        self._operators.append(
            b"BT /%b %g Tf %g g %g %g Td (%b) Tj ET" % (font, size, grey, x, A4[1] - y, shown)
        )

    def rule(self, x: float, y: float, width: float, *, height: float = 0.6, grey: float = 0) -> None:
        """A filled bar with its upper left corner at ``x``, ``y``."""
        self._operators.append(b"%g g %g %g %g %g re f" % (grey, x, A4[1] - y - height, width, height))

    def content(self) -> bytes:
        """The page's content stream."""
        return b"\n".join(self._operators)


def write_pdf(pages: list[TextPage], *, title: str, author: str, created: str) -> bytes:
    """The whole file. ``created`` is a PDF date such as ``D:20260305170000+01'00'``."""
    references = b" ".join(b"%d 0 R" % (_FIRST_PAGE + 2 * index) for index in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages %d 0 R /Lang (fr-FR) /ViewerPreferences << /DisplayDocTitle true >> >>"
        % _PAGES,
        b"<< /Type /Pages /Count %d /Kids [%b] /MediaBox [0 0 %d %d] /Resources << /Font << /FR %d 0 R /FB %d 0 R >> >> >>"
        % (len(pages), references, *A4, _REGULAR, _BOLD),
        b"<< /Title %b /Author %b /CreationDate (%b) >>"
        % (_utf16(title), _utf16(author), created.encode("ascii")),
        _font(b"Helvetica"),
        _font(b"Helvetica-Bold"),
    ]
    for index, page in enumerate(pages):
        stream = page.content()
        objects += [
            b"<< /Type /Page /Parent %d 0 R /Contents %d 0 R >>" % (_PAGES, _FIRST_PAGE + 2 * index + 1),
            b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream),
        ]
    return _assemble(objects)


def _assemble(objects: list[bytes]) -> bytes:
    # The comment of four high bytes tells programs that move files that this one is binary (7.5.2).
    file = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(file))
        file += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    identifier = sha256(file).hexdigest()[:32].encode("ascii")
    start = len(file)
    file += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    file += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    file += b"trailer\n<< /Size %d /Root %d 0 R /Info %d 0 R /ID [<%b> <%b>] >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        _CATALOG,
        _INFO,
        identifier,
        identifier,
        start,
    )
    return bytes(file)


def _font(name: bytes) -> bytes:
    return b"<< /Type /Font /Subtype /Type1 /BaseFont /%b /Encoding /WinAnsiEncoding >>" % name


def _utf16(text: str) -> bytes:
    return b"<FEFF%b>" % text.encode("utf-16-be").hex().upper().encode("ascii")
