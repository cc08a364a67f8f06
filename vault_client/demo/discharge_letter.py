"""The letter a cardiology ward writes when Camille Morel goes home: two pages of selectable text."""

from textwrap import wrap

from vault_client.demo.text_pdf import A4, TextPage, write_pdf

_LEFT, _RIGHT = 62, 533
_LINE = 14
_COLUMNS = 94

_Section = tuple[str, tuple[str, ...]]

_FIRST_PAGE: tuple[_Section, ...] = (
    (
        "Motif d'hospitalisation",
        (
            "Palpitations et essoufflement d'apparition brutale, évoluant depuis six heures, chez une patiente de "
            "47 ans adressée par son médecin traitant.",
        ),
    ),
    (
        "Antécédents et mode de vie",
        (
            "Hypertension artérielle traitée depuis 2021. Appendicectomie en 1994. Pas de diabète, pas de tabac. "
            "Père hypertendu.",
            "Allergie : amoxicilline (éruption généralisée en 2009).",
            "Traitement à l'entrée : ramipril 5 mg le matin.",
        ),
    ),
    (
        "Histoire de la maladie",
        (
            "Le 2 mars 2026 vers 8 heures, au repos, palpitations rapides et irrégulières suivies d'une dyspnée "
            "d'effort. Pas de douleur thoracique, pas de syncope, pas de fièvre. À l'arrivée : pression artérielle "
            "138/84 mmHg, fréquence cardiaque 142 par minute, saturation 96 % en air ambiant, poids 64 kg.",
        ),
    ),
    (
        "Examens complémentaires",
        (
            "Électrocardiogramme : fibrillation atriale à 142 par minute, QRS fins, pas de trouble de la "
            "repolarisation.",
            "Angioscanner thoracique du 2 mars : pas d'embolie pulmonaire, parenchyme pulmonaire normal.",
            "Échocardiographie du 3 mars : fraction d'éjection 62 %, oreillette gauche non dilatée, valves normales.",
            "Biologie du 3 mars : NT-proBNP modérément élevé, troponine normale aux deux dosages, TSH normale, "
            "potassium 4,1 mmol/L, créatinine 68 µmol/L.",
        ),
    ),
)

_SECOND_PAGE: tuple[_Section, ...] = (
    (
        "Évolution dans le service",
        (
            "Anticoagulation par apixaban et ralentissement par bisoprolol dès l'admission. Retour spontané en "
            "rythme sinusal le 3 mars à 4 heures, confirmé par l'enregistrement continu. Aucune récidive sous "
            "surveillance. La patiente marche sans essoufflement dès le 4 mars.",
        ),
    ),
    (
        "Conclusion",
        (
            "Premier épisode de fibrillation atriale, spontanément réduit, sur cœur sain, chez une patiente "
            "hypertendue. Score CHA2DS2-VA à 1.",
        ),
    ),
)

_TREATMENT = (
    ("Apixaban 5 mg", "1 comprimé matin et soir", "jusqu'à la consultation de cardiologie"),
    ("Bisoprolol 2,5 mg", "1 comprimé le matin", "traitement au long cours"),
    ("Ramipril 5 mg", "1 comprimé le matin", "inchangé"),
)

_FOLLOW_UP: tuple[_Section, ...] = (
    (
        "Suivi proposé",
        (
            "Consultation chez le médecin traitant dans la semaine, avec contrôle de la créatinine et du potassium.",
            "Consultation de cardiologie avec le Dr Karim Benali le 16 avril 2026 à 10 h 30, avec un Holter de "
            "24 heures : la poursuite de l'anticoagulant y sera décidée.",
            "Éviter les anti-inflammatoires. Consulter sans attendre en cas de saignement, de malaise ou de reprise "
            "des palpitations.",
        ),
    ),
)


def discharge_letter() -> bytes:
    """The letter as a PDF file."""
    first, second = TextPage(), TextPage()
    _letterhead(first)
    _sections(first, _addresses(first), _FIRST_PAGE)
    second.text(_LEFT, 62, "Camille MOREL, née le 14/05/1978", bold=True)
    second.text(_RIGHT - 152, 62, "Hospitalisation du 2 au 5 mars 2026", size=9, grey=0.35)
    second.rule(_LEFT, 70, _RIGHT - _LEFT, grey=0.6)
    y = _sections(second, 98, _SECOND_PAGE)
    y = _sections(second, _treatment(second, y), _FOLLOW_UP)
    second.text(_LEFT, y + 10, "Bien confraternellement,")
    second.text(352, y + 40, "Dr Karim Benali", bold=True)
    second.text(352, y + 54, "Cardiologue, chef de service")
    second.text(352, y + 68, "Lettre validée le 05/03/2026 à 17 h 02", size=9, grey=0.35)
    for number, page in enumerate((first, second), start=1):
        _footer(page, number)
    return write_pdf(
        [first, second],
        title="Compte rendu d'hospitalisation",
        author="Dr Karim Benali",
        created="D:20260305170200+01'00'",
    )


def _letterhead(page: TextPage) -> None:
    page.rule(0, 0, A4[0], height=8, grey=0.25)
    page.text(_LEFT, 52, "Centre hospitalier des Tilleuls", size=15, bold=True)
    page.text(_LEFT, 67, "Service de cardiologie", size=10.5)
    page.text(_LEFT, 80, "12, allée des Tilleuls, 00100 Valmont-sur-Loge", size=9, grey=0.35)
    page.text(400, 52, "Chef de service", size=9, grey=0.35)
    page.text(400, 65, "Dr Karim Benali", bold=True)
    page.text(400, 78, "Secrétariat : 01 99 00 12 34", size=9, grey=0.35)
    page.rule(_LEFT, 92, _RIGHT - _LEFT, height=1)


def _addresses(page: TextPage) -> float:
    page.text(_LEFT, 116, "Patiente", size=9, grey=0.35)
    page.text(_LEFT, 130, "Camille MOREL", bold=True)
    page.text(_LEFT, 144, "Née le 14/05/1978, sexe féminin")
    page.text(_LEFT, 158, "Dossier n° 2026-004217")
    page.text(352, 116, "À l'attention de", size=9, grey=0.35)
    page.text(352, 130, "Dr Inès Laurent", bold=True)
    page.text(352, 144, "Médecine générale")
    page.text(352, 158, "3, place du Marché, 00100 Valmont-sur-Loge", size=8.5)
    page.text(_LEFT, 200, "Compte rendu d'hospitalisation", size=17, bold=True)
    page.text(_LEFT, 217, "Séjour du 2 au 5 mars 2026. Lettre du 5 mars 2026", size=9.5, grey=0.35)
    page.text(_LEFT, 246, "Chère consœur,")
    for index, line in enumerate(
        wrap(
            "Votre patiente a été hospitalisée dans notre service du 2 au 5 mars 2026. Voici ce qu'il faut en retenir.",
            _COLUMNS,
        )
    ):
        page.text(_LEFT, 264 + index * _LINE, line)
    return 264 + 2 * _LINE + 14


def _sections(page: TextPage, y: float, sections: tuple[_Section, ...]) -> float:
    for heading, paragraphs in sections:
        page.text(_LEFT, y, heading, size=11.5, bold=True)
        page.rule(_LEFT, y + 4, _RIGHT - _LEFT, height=0.4, grey=0.6)
        y += 20
        for paragraph in paragraphs:
            for line in wrap(paragraph, _COLUMNS):
                page.text(_LEFT, y, line)
                y += _LINE
            y += 3
        y += 12
    return y


def _treatment(page: TextPage, y: float) -> float:
    page.text(_LEFT, y, "Traitement de sortie", size=11.5, bold=True)
    page.rule(_LEFT, y + 8, _RIGHT - _LEFT, height=18, grey=0.9)
    columns = (_LEFT + 6, _LEFT + 136, _LEFT + 286)
    for x, heading in zip(columns, ("Médicament", "Posologie", "Durée"), strict=True):
        page.text(x, y + 20.5, heading, size=9, bold=True)
    y += 26
    for row in _TREATMENT:
        for x, cell in zip(columns, row, strict=True):
            page.text(x, y + 13, cell, size=9.5)
        y += 18
        page.rule(_LEFT, y, _RIGHT - _LEFT, height=0.4, grey=0.6)
    return y + 28


def _footer(page: TextPage, number: int) -> None:
    page.rule(_LEFT, 792, _RIGHT - _LEFT, height=0.4, grey=0.6)
    page.text(
        _LEFT,
        805,
        "Document de démonstration : personnes, lieux et résultats sont fictifs.",
        size=8,
        grey=0.35,
    )
    page.text(_RIGHT - 40, 805, f"Page {number} / 2", size=8, grey=0.35)
