"""One axial slice of a chest, as a CT scanner stores it (DICOM PS3.3, CT Image Storage), of a phantom.

The anatomy is ellipses in Hounsfield units, the noise a fixed stream. Identifiers are UUIDs under the 2.25 root,
which PS3.5 annex B.2 gives to whoever needs a UID without a registered one.
"""

import struct
from hashlib import shake_256
from io import BytesIO
from math import sqrt
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

_SIZE = 256
_PIXEL_SPACING = 1.5
_INTERCEPT = -1024
_AIR, _FAT, _LUNG, _MUSCLE, _VESSEL, _MARROW, _BONE, _TABLE = -1000, -95, -860, 50, 290, 190, 760, -150

# Centre, half axes (pixels) and Hounsfield units, painted one over the other. The left of the patient is on the
# right of the picture, as radiology shows it.
_ANATOMY = (
    ((128, 128), (112, 78), _FAT),
    ((128, 128), (105, 71), _MUSCLE),
    ((128, 126), (98, 64), _FAT),
    ((128, 126), (96, 62), _MUSCLE),
    ((80, 124), (42, 54), _LUNG),
    ((178, 124), (40, 54), _LUNG),
    ((128, 120), (14, 46), _FAT),
    ((146, 106), (34, 29), _MUSCLE),
    ((152, 104), (18, 15), _VESSEL),
    ((126, 100), (15, 17), _VESSEL - 60),
    ((140, 128), (17, 9), _VESSEL - 40),
    ((152, 152), (9, 9), _VESSEL - 20),
    ((133, 146), (5, 4), _MUSCLE),
    ((134, 146), (2, 1), _AIR),
    ((128, 172), (17, 13), _BONE),
    ((128, 172), (14, 10), _MARROW),
    ((128, 188), (8, 7), _BONE),
    ((128, 188), (5, 4), _MUSCLE - 20),
    ((128, 199), (3, 9), _BONE),
    ((112, 186), (8, 3), _BONE),
    ((144, 186), (8, 3), _BONE),
    ((128, 59), (13, 4), _BONE),
    ((128, 59), (10, 2), _MARROW),
)
_RIBS = (
    *((32, 112), (29, 134), (35, 158), (52, 178), (78, 191), (46, 88), (66, 70), (92, 62)),
    *((224, 112), (227, 134), (221, 158), (204, 178), (178, 191), (210, 88), (190, 70), (164, 62)),
)
_LUNG_VESSELS = (
    *(
        (98, 118, 5),
        (92, 132, 4),
        (84, 110, 3),
        (76, 138, 3),
        (70, 120, 2),
        (86, 150, 2),
        (64, 104, 2),
        (60, 144, 2),
    ),
    *((180, 130, 4), (188, 116, 3), (192, 142, 3), (198, 126, 2), (184, 156, 2), (202, 108, 2), (196, 92, 2)),
)

_STUDY = UUID("6f0d1c1e-58f5-4a3c-9b0e-3d5c2a7e9101")
_SERIES = UUID("0b7a4f92-2c64-4f7e-8a51-9e6d13c4b202")
_INSTANCE = UUID("c3e85a27-91d0-4b6f-b7c8-52f04e8da303")
_FRAME = UUID("a94d7e60-3b1f-4c85-8e2a-7b6c90f1d404")
_IMPLEMENTATION = UUID("e1f2b8d3-7a46-4d09-a5c3-184b6e2f7505")


def ct_slice() -> bytes:
    """The slice as a DICOM file, explicit VR little endian."""
    from pydicom import dcmwrite

    file = BytesIO()
    dcmwrite(file, _dataset(), enforce_file_format=True)
    return file.getvalue()


def _dataset() -> "FileDataset":
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = UID(_uid(_INSTANCE))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(_uid(_IMPLEMENTATION))
    meta.ImplementationVersionName = "COFFRE_DEMO"
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    for keyword, value in (_IDENTITY | _GEOMETRY).items():
        setattr(dataset, keyword, value)
    dataset.SOPClassUID = CTImageStorage
    dataset.PixelData = _pixels()
    return dataset


def _uid(uuid: UUID) -> str:
    return f"2.25.{uuid.int}"


_IDENTITY = {
    "SpecificCharacterSet": "ISO_IR 192",
    "ImageType": ["DERIVED", "SECONDARY", "AXIAL"],
    "SOPInstanceUID": _uid(_INSTANCE),
    "StudyInstanceUID": _uid(_STUDY),
    "SeriesInstanceUID": _uid(_SERIES),
    "FrameOfReferenceUID": _uid(_FRAME),
    "StudyDate": "20260302",
    "SeriesDate": "20260302",
    "AcquisitionDate": "20260302",
    "ContentDate": "20260302",
    "StudyTime": "151500",
    "SeriesTime": "151730",
    "AcquisitionTime": "151742",
    "ContentTime": "151755",
    "AccessionNumber": "A2026004217",
    "Modality": "CT",
    "Manufacturer": "Coffre, démonstration",
    "InstitutionName": "Centre hospitalier des Tilleuls",
    "ReferringPhysicianName": "Laurent^Inès^^Dr",
    "StudyDescription": "Angioscanner thoracique (fantôme fictif)",
    "SeriesDescription": "Axial 5 mm, injecté",
    "PatientName": "Morel^Camille",
    "PatientID": "2026-004217",
    "PatientBirthDate": "19780514",
    "PatientSex": "F",
    "PatientComments": "Patiente fictive : image calculée, sans valeur diagnostique.",
    "StudyID": "4217",
    "SeriesNumber": 2,
    "AcquisitionNumber": 1,
    "InstanceNumber": 42,
    "BodyPartExamined": "CHEST",
    "PatientPosition": "HFS",
    "PositionReferenceIndicator": "",
}
_GEOMETRY = {
    "KVP": 120,
    "XRayTubeCurrent": 210,
    "SliceThickness": 5,
    "ImagePositionPatient": [-_PIXEL_SPACING * _SIZE / 2, -_PIXEL_SPACING * _SIZE / 2, -210],
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    "SliceLocation": -210,
    "PixelSpacing": [_PIXEL_SPACING, _PIXEL_SPACING],
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "Rows": _SIZE,
    "Columns": _SIZE,
    "BitsAllocated": 16,
    "BitsStored": 12,
    "HighBit": 11,
    "PixelRepresentation": 0,
    "RescaleIntercept": _INTERCEPT,
    "RescaleSlope": 1,
    "RescaleType": "HU",
    "WindowCenter": 40,
    "WindowWidth": 400,
}


def _pixels() -> bytes:
    picture = [_AIR] * (_SIZE * _SIZE)
    for centre, axes, units in _ANATOMY:
        _paint(picture, centre, axes, units)
    for x, y in _RIBS:
        along_the_side = abs(x - 128) > 85
        _paint(picture, (x, y), (4, 8) if along_the_side else (8, 4), _BONE)
        _paint(picture, (x, y), (2, 5) if along_the_side else (5, 2), _MARROW)
    for x, y, radius in _LUNG_VESSELS:
        _paint(picture, (x, y), (radius, radius), _VESSEL - 150)
    _paint(picture, (128, 176), (116, 46), _TABLE, only_over=_AIR)
    _paint(picture, (128, 176), (112, 42), _AIR, only_over=_TABLE)
    noise = shake_256(b"coffre demo slice").digest(3 * _SIZE * _SIZE)
    values = [
        # The sum of three even bytes is nearly a bell: some 22 units of noise, as a low-dose scan has.
        min(4095, max(0, units - _INTERCEPT + (sum(noise[3 * index : 3 * index + 3]) - 382) // 6))
        for index, units in enumerate(_softened(picture))
    ]
    return struct.pack(f"<{len(values)}H", *values)


def _paint(
    picture: list[int],
    centre: tuple[int, int],
    axes: tuple[int, int],
    units: int,
    *,
    only_over: int | None = None,
) -> None:
    (x, y), (across, down) = centre, axes
    for row in range(max(0, y - down), min(_SIZE, y + down + 1)):
        reach = round(across * sqrt(1 - ((row - y) / (down + 0.5)) ** 2))
        for index in range(row * _SIZE + max(0, x - reach), row * _SIZE + min(_SIZE, x + reach + 1)):
            if only_over is None or picture[index] == only_over:
                picture[index] = units


def _softened(picture: list[int]) -> list[int]:
    # A scanner's detector blurs: each pixel shares with its four neighbours.
    last = len(picture) - 1
    return [
        (
            4 * units
            + picture[max(0, i - 1)]
            + picture[min(last, i + 1)]
            + picture[max(0, i - _SIZE)]
            + picture[min(last, i + _SIZE)]
        )
        // 8
        for i, units in enumerate(picture)
    ]
