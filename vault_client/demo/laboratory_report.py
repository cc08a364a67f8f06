"""A laboratory report as HL7 CDA R2: a header, and two sections that say their results as a table and as data.

The vocabulary is public: LOINC for what was measured, UCUM for units, HL7 tables for the rest. No template of a
national profile is claimed, since none is met in full. Identifiers are UUIDs under the 2.25 root.
"""

from typing import NamedTuple
from uuid import UUID
from xml.etree.ElementTree import Element, SubElement, indent, tostring

_LOINC = "2.16.840.1.113883.6.1"
_DOCUMENT = UUID("5d2a9c14-7e83-4b60-9f1d-c06b38e7a601")
_PATIENTS = UUID("81b6f0e5-2d97-4c3a-a4e8-6f7d15c29702")
_AUTHORS = UUID("f47c3e82-6a05-4d1b-8b93-2e90d75c1803")
_LABORATORY = UUID("2c98d6b7-04fe-4a72-b5d1-93e8c6405904")
_NOON = "20260303114500+0100"
_SAMPLED = "20260303063000+0100"


class _Result(NamedTuple):
    name: str
    loinc: str
    value: str
    unit: str
    low: str
    high: str
    flag: str = "N"


_SECTIONS = (
    (
        "18723-7",
        "Hématologie",
        (
            _Result("Hémoglobine", "718-7", "13.4", "g/dL", "12.0", "16.0"),
            _Result("Hématocrite", "4544-3", "40.2", "%", "35.0", "47.0"),
            _Result("Leucocytes", "6690-2", "7.8", "10*9/L", "4.0", "10.0"),
            _Result("Plaquettes", "777-3", "245", "10*9/L", "150", "400"),
        ),
    ),
    (
        "18719-5",
        "Biochimie",
        (
            _Result("Sodium", "2951-2", "139", "mmol/L", "136", "145"),
            _Result("Potassium", "2823-3", "4.1", "mmol/L", "3.5", "5.1"),
            _Result("Créatinine", "14682-9", "68", "umol/L", "45", "84"),
            _Result("Protéine C réactive", "1988-5", "3.2", "mg/L", "0", "5.0"),
            _Result("Troponine T, haute sensibilité", "67151-1", "7", "ng/L", "0", "14"),
            _Result("NT-proBNP", "33762-6", "486", "pg/mL", "0", "125", "H"),
            _Result("TSH", "3016-3", "1.9", "m[IU]/L", "0.4", "4.0"),
        ),
    ),
)
_SHOWN_UNITS = {"10*9/L": "G/L", "umol/L": "µmol/L", "m[IU]/L": "mUI/L"}


def laboratory_report() -> bytes:
    """The report as an XML file in UTF-8."""
    document = Element(
        "ClinicalDocument",
        {"xmlns": "urn:hl7-org:v3", "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance"},
    )
    _header(document)
    _patient(document)
    _parties(document)
    body = SubElement(SubElement(document, "component"), "structuredBody")
    for loinc, title, results in _SECTIONS:
        _section(SubElement(body, "component"), loinc, title, results)
    indent(document)
    file: bytes = tostring(document, encoding="UTF-8", xml_declaration=True)
    return file + b"\n"


def _header(document: Element) -> None:
    SubElement(document, "realmCode", code="FR")
    SubElement(document, "typeId", root="2.16.840.1.113883.1.3", extension="POCD_HD000040")
    SubElement(document, "id", root=_oid(_DOCUMENT))
    _coded(document, "code", "11502-2", "Compte rendu d'examens biologiques")
    SubElement(document, "title").text = "Compte rendu d'examens biologiques"
    SubElement(document, "effectiveTime", value=_NOON)
    SubElement(
        document, "confidentialityCode", code="N", codeSystem="2.16.840.1.113883.5.25", displayName="Normal"
    )
    SubElement(document, "languageCode", code="fr-FR")
    SubElement(document, "setId", root=_oid(_DOCUMENT))
    SubElement(document, "versionNumber", value="1")


def _patient(document: Element) -> None:
    role = SubElement(SubElement(document, "recordTarget"), "patientRole")
    SubElement(role, "id", root=_oid(_PATIENTS), extension="2026-004217")
    _address(role, "8", "rue des Lavandières")
    SubElement(role, "telecom", value="tel:+33199007890", use="HP")
    patient = SubElement(role, "patient")
    _name(patient, "Camille", "Morel")
    SubElement(
        patient,
        "administrativeGenderCode",
        code="F",
        codeSystem="2.16.840.1.113883.5.1",
        displayName="Féminin",
    )
    SubElement(patient, "birthTime", value="19780514")


def _parties(document: Element) -> None:
    author = SubElement(document, "author")
    SubElement(author, "time", value=_NOON)
    assigned = SubElement(author, "assignedAuthor")
    SubElement(assigned, "id", root=_oid(_AUTHORS), extension="biologiste-1")
    _name(SubElement(assigned, "assignedPerson"), "Maud", "Keller", prefix="Dr")
    _organization(SubElement(assigned, "representedOrganization"))
    custodian = SubElement(SubElement(document, "custodian"), "assignedCustodian")
    _organization(SubElement(custodian, "representedCustodianOrganization"))
    recipient = SubElement(SubElement(document, "informationRecipient"), "intendedRecipient")
    _name(SubElement(recipient, "informationRecipient"), "Karim", "Benali", prefix="Dr")
    event = SubElement(SubElement(document, "documentationOf"), "serviceEvent")
    SubElement(SubElement(event, "effectiveTime"), "low", value=_SAMPLED)


def _section(component: Element, loinc: str, title: str, results: tuple[_Result, ...]) -> None:
    section = SubElement(component, "section")
    _coded(section, "code", loinc, title)
    SubElement(section, "title").text = title
    text = SubElement(section, "text")
    SubElement(
        text, "paragraph"
    ).text = "Prélèvement du 3 mars 2026 à 6 h 30. Personnes et résultats fictifs."
    table = SubElement(text, "table", border="1")
    heading = SubElement(SubElement(table, "thead"), "tr")
    for label in ("Analyse", "Résultat", "Unité", "Valeurs de référence"):
        SubElement(heading, "th").text = label
    rows = SubElement(table, "tbody")
    for result in results:
        row = SubElement(rows, "tr", ID=f"resultat-{result.loinc}")
        mark = " (élevé)" if result.flag == "H" else ""
        span = f"{_french(result.low)} à {_french(result.high)}"
        unit = _SHOWN_UNITS.get(result.unit, result.unit)
        for cell in (result.name, _french(result.value) + mark, unit, span):
            SubElement(row, "td").text = cell
    for result in results:
        _observation(SubElement(section, "entry", typeCode="DRIV"), result)


def _observation(entry: Element, result: _Result) -> None:
    observation = SubElement(entry, "observation", classCode="OBS", moodCode="EVN")
    code = _coded(observation, "code", result.loinc, result.name)
    SubElement(SubElement(code, "originalText"), "reference", value=f"#resultat-{result.loinc}")
    SubElement(observation, "statusCode", code="completed")
    SubElement(observation, "effectiveTime", value=_SAMPLED)
    SubElement(observation, "value", {"xsi:type": "PQ", "value": result.value, "unit": result.unit})
    SubElement(observation, "interpretationCode", code=result.flag, codeSystem="2.16.840.1.113883.5.83")
    span = SubElement(SubElement(observation, "referenceRange"), "observationRange")
    limits = SubElement(span, "value", {"xsi:type": "IVL_PQ"})
    SubElement(limits, "low", value=result.low, unit=result.unit)
    SubElement(limits, "high", value=result.high, unit=result.unit)


def _organization(organization: Element) -> None:
    SubElement(organization, "id", root=_oid(_LABORATORY))
    SubElement(organization, "name").text = "Laboratoire du Centre hospitalier des Tilleuls"
    SubElement(organization, "telecom", value="tel:+33199001234", use="WP")
    _address(organization, "12", "allée des Tilleuls")


def _address(parent: Element, number: str, street: str) -> None:
    address = SubElement(parent, "addr")
    parts = (
        ("houseNumber", number),
        ("streetName", street),
        ("postalCode", "00100"),
        ("city", "Valmont-sur-Loge"),
    )
    for tag, value in parts:
        SubElement(address, tag).text = value


def _name(parent: Element, given: str, family: str, *, prefix: str = "") -> None:
    name = SubElement(parent, "name")
    if prefix:
        SubElement(name, "prefix").text = prefix
    SubElement(name, "given").text = given
    SubElement(name, "family").text = family


def _coded(parent: Element, tag: str, loinc: str, label: str) -> Element:
    return SubElement(parent, tag, code=loinc, codeSystem=_LOINC, codeSystemName="LOINC", displayName=label)


def _oid(uuid: UUID) -> str:
    return f"2.25.{uuid.int}"


def _french(number: str) -> str:
    return number.replace(".", ",")
