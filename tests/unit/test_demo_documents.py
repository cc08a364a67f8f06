"""The documents the demo makes: each is what it says, and the same at every run."""

import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from crypto.errors import Unavailable
from vault_client.demo.documents import DemoDocument, make_documents
from vault_client.demo.text_pdf import TextPage, write_pdf
from vault_client.file_description import Category, describe

pydicom = pytest.importorskip("pydicom", reason="the demo extra is not installed")
image = pytest.importorskip("PIL.Image", reason="the demo extra is not installed")

CDA = {"": "urn:hl7-org:v3"}
AGAIN = "import sys, pathlib; from vault_client.demo.documents import make_documents as m; m(pathlib.Path(sys.argv[1]))"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DemoDocument]:
    """The documents by media type, made once."""
    return {document.mime: document for document in make_documents(tmp_path_factory.mktemp("demo") / "new")}


def test_there_is_one_of_each_kind(made: dict[str, DemoDocument]) -> None:
    """Letter, prescription, image, results and photo: real sizes, all of one person."""
    assert [document.category for document in made.values()] == [
        Category.REPORT,
        Category.PRESCRIPTION,
        Category.IMAGING,
        Category.LABORATORY,
        Category.PICTURE,
    ]
    assert len({document.title for document in made.values()}) == 5
    assert all(document.path.stat().st_size > 5_000 for document in made.values())


def test_each_is_described_as_it_was_made(made: dict[str, DemoDocument]) -> None:
    """Somebody else's reading of the file finds the same kind and date."""
    for document in made.values():
        described = describe(document.path)
        assert (document.mime, document.date) == (described.mime, described.date)


def test_another_run_makes_the_same_bytes(made: dict[str, DemoDocument], tmp_path: Path) -> None:
    """Neither the clock, nor the time zone, nor the order of hashes changes a byte."""
    environment = os.environ | {"PYTHONHASHSEED": "7", "TZ": "NZST-12"}
    subprocess.run([sys.executable, "-c", AGAIN, str(tmp_path)], check=True, env=environment, timeout=120)

    for document in made.values():
        assert document.path.read_bytes() == (tmp_path / document.path.name).read_bytes()


def test_the_letter_is_a_sound_pdf(made: dict[str, DemoDocument]) -> None:
    """Every entry of its table of objects points at the object it numbers, and every stream has its length."""
    file = made["application/pdf"].path.read_bytes()
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n\Z", file)[1])
    count, entries = re.match(rb"xref\n0 (\d+)\n((?:.{18} \n)+)trailer", file[start:]).groups()
    offsets = [int(entry[:10]) for entry in entries.splitlines()]

    assert file.startswith(b"%PDF-1.7\n")
    assert int(count) == len(offsets) == file.count(b" 0 obj\n") + 1
    for number, offset in enumerate(offsets[1:], start=1):
        assert file.startswith(b"%d 0 obj\n" % number, offset)
    lengths = re.findall(rb"<< /Length (\d+) >>\nstream\n(.*?)\nendstream", file, re.DOTALL)
    assert [len(stream) for _, stream in lengths] == [int(length) for length, _ in lengths]
    assert file.count(b"/Type /Page ") == len(lengths) == 2


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext is not on this machine")
def test_the_letter_has_text(made: dict[str, DemoDocument]) -> None:
    """Another program reads the letter's words, accents included, and complains of nothing."""
    run = subprocess.run(
        ["pdftotext", "-layout", "-enc", "UTF-8", str(made["application/pdf"].path), "-"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    text = run.stdout.decode()

    assert run.stderr == b""
    assert text.count("\f") == 2
    for words in (
        "Compte rendu d'hospitalisation",
        "Camille MOREL",
        "Dr Inès Laurent",
        "Chère consœur",
        "68 µmol/L",
    ):
        assert words in text


def test_pdf_text_is_escaped() -> None:
    """Parentheses and backslashes of a line are text, and what the font does not have is refused."""
    page = TextPage()
    page.text(10, 10, r"a(b)\c")

    assert rb"(a\(b\)\\c) Tj" in write_pdf([page], title="é", author="", created="D:2026")
    with pytest.raises(UnicodeEncodeError):
        page.text(10, 10, "\N{GREEK SMALL LETTER ALPHA}")


def test_the_prescription_is_a_scan(made: dict[str, DemoDocument]) -> None:
    """A grey A4 page at 150 dots per inch: paper that is not white, ink that is nearly black, nothing selectable."""
    path = made["image/png"].path
    with image.open(path) as scan:
        scan.load()
        shades = scan.histogram()

        assert (scan.format, scan.mode, scan.size) == ("PNG", "L", (1240, 1754))
        assert scan.info["dpi"] == pytest.approx((150, 150), abs=0.1)
    ink = sum(shades[:90]) / sum(shades)
    assert 0.005 < ink < 0.1
    assert shades[255] / sum(shades) < 0.01
    assert b"tEXt" not in path.read_bytes()


def test_the_slice_opens_as_dicom(made: dict[str, DemoDocument]) -> None:
    """A CT slice with its identity, in explicit little endian, under identifiers that need no registration."""
    dataset = pydicom.dcmread(made["application/dicom"].path)
    uids = [
        dataset.SOPInstanceUID,
        dataset.StudyInstanceUID,
        dataset.SeriesInstanceUID,
        dataset.FrameOfReferenceUID,
    ]

    assert dataset.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert dataset.SOPClassUID == pydicom.uid.CTImageStorage
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert len(set(uids)) == 4
    assert all(uid.is_valid and uid.startswith("2.25.") for uid in uids)
    assert (dataset.PatientName.family_name, dataset.PatientName.given_name) == ("Morel", "Camille")
    assert dataset.ReferringPhysicianName.given_name == "Inès"
    assert dataset.StudyDate == made["application/dicom"].date.replace("-", "")


def test_the_slice_shows_a_chest(made: dict[str, DemoDocument]) -> None:
    """Air, lung, muscle, contrast and bone have the densities a radiologist expects, with some noise."""
    dataset = pydicom.dcmread(made["application/dicom"].path)
    pixels = struct.unpack(f"<{dataset.Rows * dataset.Columns}H", dataset.PixelData)

    def density(x: int, y: int) -> float:
        near = [
            pixels[row * dataset.Columns + column]
            for row in range(y - 2, y + 3)
            for column in range(x - 2, x + 3)
        ]
        return sum(near) / len(near) * dataset.RescaleSlope + dataset.RescaleIntercept

    assert density(20, 20) < -970
    assert -900 < density(64, 126) < -800
    assert 20 < density(175, 106) < 80
    assert density(152, 152) > 200
    assert max(pixels) + dataset.RescaleIntercept > 600
    assert len(set(pixels[:256])) > 5


def test_the_results_are_a_clinical_document(made: dict[str, DemoDocument]) -> None:
    """The header names patient, author and custodian in the order the schema asks for."""
    root = ElementTree.parse(made["text/xml"].path).getroot()  # noqa: S314 - a file of our own
    parts = [child.tag.removeprefix("{urn:hl7-org:v3}") for child in root]

    assert root.tag == "{urn:hl7-org:v3}ClinicalDocument"
    assert parts == [
        "realmCode",
        "typeId",
        "id",
        "code",
        "title",
        "effectiveTime",
        "confidentialityCode",
        "languageCode",
        "setId",
        "versionNumber",
        "recordTarget",
        "author",
        "custodian",
        "informationRecipient",
        "documentationOf",
        "component",
    ]
    assert root.find("typeId", CDA).attrib == {"root": "2.16.840.1.113883.1.3", "extension": "POCD_HD000040"}
    assert root.findtext("recordTarget/patientRole/patient/name/given", None, CDA) == "Camille"
    assert root.findtext("author/assignedAuthor/assignedPerson/name/family", None, CDA)
    assert root.findtext("custodian/assignedCustodian/representedCustodianOrganization/name", None, CDA)


def test_the_table_says_what_the_data_say(made: dict[str, DemoDocument]) -> None:
    """Each coded result points at the row that shows it, with the same value; what is out of range is marked."""
    root = ElementTree.parse(made["text/xml"].path).getroot()  # noqa: S314 - a file of our own
    rows = {row.get("ID"): [cell.text for cell in row] for row in root.iterfind(".//tbody/tr", CDA)}
    observations = root.findall(".//observation", CDA)

    assert len(rows) == len(observations) >= 10
    for observation in observations:
        value = observation.find("value", CDA)
        low, high = (observation.find(f".//observationRange/value/{end}", CDA) for end in ("low", "high"))
        shown = rows[observation.find(".//reference", CDA).get("value").removeprefix("#")]
        too_high = float(value.get("value")) > float(high.get("value"))
        assert value.get("{http://www.w3.org/2001/XMLSchema-instance}type") == "PQ"
        assert float(low.get("value")) <= float(value.get("value"))
        assert shown[0] == observation.find("code", CDA).get("displayName")
        assert shown[1] == value.get("value").replace(".", ",") + (" (élevé)" if too_high else "")
        assert ("H" if too_high else "N") == observation.find("interpretationCode", CDA).get("code")


def test_the_photo_shows_a_mole(made: dict[str, DemoDocument]) -> None:
    """A few hundred kilobytes of colour: a dark patch on lighter skin, with the date of the day it was taken."""
    path = made["image/jpeg"].path
    with image.open(path) as photo:
        photo.load()
        mole, skin = photo.getpixel((760, 520)), photo.getpixel((1100, 620))

        assert (photo.format, photo.mode, photo.size) == ("JPEG", "RGB", (1600, 1200))
        assert photo.getexif()[0x0132].startswith(made["image/jpeg"].date.replace("-", ":"))
    assert 150_000 < path.stat().st_size < 800_000
    assert all(dark < light - 50 for dark, light in zip(mole, skin, strict=True))
    assert skin[0] > skin[1] > skin[2]


def test_without_the_extra_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing library is answered with the name of the extra, before any file exists."""
    monkeypatch.setattr("vault_client.demo.documents.find_spec", lambda name: None)

    with pytest.raises(Unavailable, match="`demo` extra"):
        make_documents(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_importing_the_demo_loads_no_heavy_library() -> None:
    """Pillow and pydicom are loaded when documents are drawn, not before."""
    code = "import sys, vault_client.demo.documents; print(sorted({'PIL', 'pydicom'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)

    assert run.stdout == "[]\n"
