"""Words of ten languages, and the standard's codes."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.sr._cid_dict import cid_concepts  # pydicom 3.0.2; lists, for this test only
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

from pipeline.dicom.vocabulary.body_parts import COMBINED, KEPT_PARTS, PART_CODES, part_of
from pipeline.dicom.vocabulary.views import VIEW_CODES, VIEW_WORDS, View, kept_view, view_words
from pipeline.dicom.vocabulary.words import words

CHESTS = {
    "English": "CHEST, CHEST PA, PORT CHEST, CHEST1VIEW, CHESTPAERECT, LUNGS, RIBS, THORACIC, CXR",
    "German": "THORAX, LUNGE, BRUST, THORAXPA, RÖNTGEN THORAX, RIPPEN, THX, LUNGENÜBERSICHT",
    "French": "POITRINE, POUMONS, THORAX DE FACE, CAGE THORACIQUE, GRIL COSTAL",
    "Spanish": "PECHO, TÓRAX, TORAX_PA, PULMON, PULMONES, COSTILLAS",
    "Italian": "TORACE, POLMONI, GABBIA TORACICA, RX TORACE, TORACE IN PIEDI",
    "Portuguese": "PEITO, TORAX, PULMÃO, COSTELAS",
    "Dutch": "BORSTKAS, LONGEN, X THORAX, X-THORAXFOTO, RIBBEN",
    "Polish": "KLP, RTG KLP, KLATKA PIERSIOWA, PŁUCA, RTG KLATKI PIERSIOWEJ",
    "Turkish": "TORAKS, GÖĞÜS, AKCİĞER, AKCIGER GRAFISI, TORAX",
    "Nordic": "BRÖSTKORG, BRYSTKASSE, LUNGOR, LUNGER, REVBEN, RINTAKEHÄ, KEUHKOT",
}
PARTS = {
    "HAND": "HAND, HANDS, HANDL, HÄNDE, HAENDE, MAIN, MANO, MÃO, DŁOŃ, RĘKA, HÄNDER, KÄSI",
    "KNEE": "KNEE, KNIE, GENOU, RODILLA, GINOCCHIO, JOELHO, KOLANO, DIZ, KNÄ, KNÆ, POLVI",
    "FOOT": "FOOT, FUSS, FUß, FÜSSE, PIED, PIE, PIEDE, PÉ, VOET, STOPA, AYAK, FOD, FÖTTER",
    "SKULL": "SKULL, SCHÄDEL, SCHAEDEL, CRÂNE, CRANEO, CRANIO, SCHEDEL, CZASZKA, KAFATASI, SKALLE",
    "PELVIS": "PELVIS, BECKEN, BECKENÜBERSICHT, BASSIN, BACINO, BEKKEN, MIEDNICA, BÄCKEN",
    "SHOULDER": "SHOULDER, SCHULTERGELENK, AXEL, ÉPAULE, HOMBRO, SPALLA, OMBRO, SCHOUDER, BAREK",
    "ABDOMEN": "ABDOMEN, KUB, BAUCH, ADDOME, BUIK, BRZUCH, VATSA",
    "SPINE": "SPINE, THORACIC SPINE, COLUMNA TORACICA, RACHIS, RACHIDE, KREGOSLUP PIERSIOWY,"
    " OMURGA, THORACALE WK",
    "TSPINE": "TSPINE, BWS, BRUSTWIRBELSÄULE, DORSAL",
    "STERNUM": "STERNUM, BRUSTBEIN, BORSTBEEN, MOSTEK",
    "LEG": "LEG, LONG LEG, JAMBE, PIERNA, LOW_EXM",
    "WRIST": "WRIST, HANDGELENK, POIGNET, MUÑECA, POLSO, NADGARSTEK, R_WRIST, HÅNDLEDD",
    "HIP": "HIP, HÜFTE, HUEFTGELENK, HÜFTGELENK, HANCHE, CADERAS, ANCA, HEUPEN, HÖFTLED",
}
VIEWS = {
    View.FRONTAL: "PA, AP, P.A., A/P, AP PORTABLE, DE FACE, FRENTE, PA_ERECT, ANTERIOR",
    View.LATERAL: (
        "LL, LL/RL, LAT, LATERAL CHEST, LEFT LATERAL, LLAT, SEITLICH, PROFIL, PROFIL GAUCHE,"
        " SEITENANSICHT, ZIJ, SIDBILD, PROFILOWE, THORAX LATERALER, PERFIL,"
        " LATERALE, LATERO-LATERALE, ZIJDELINGS, DWARS, BOCZNE, YAN, SIDEBILDE, CHESTLAT"
    ),
    View.OBLIQUE: "RAO, OBLIQUE, PA OBLIQUE, SCHRÄG, SCHRÄGE, OBLICUA, SKOŚNE, OBLIK, SKRÅ, VIISTO",
    View.TANGENTIAL: "TANGENTIAL, TANGENTIEL, TANGENZIALE",
    View.AXIAL: "AXIAL, CRANIO CAUDAL AXIALE",
}


@pytest.mark.parametrize("language", CHESTS)
def test_chest_in_usual_languages(language: str) -> None:
    parts = {word: part_of(word) for word in CHESTS[language].split(", ")}
    assert set(parts.values()) == {"CHEST"}, parts


@pytest.mark.parametrize("part", PARTS)
def test_other_parts_in_usual_languages(part: str) -> None:
    parts = {word: part_of(word) for word in PARTS[part].split(", ")}
    assert set(parts.values()) == {part}, parts


def test_more_than_the_chest() -> None:
    trunks = "BABYGRAM, TORSO, CHESTABDOMEN, CHEST ABDOMEN, THORAX UND ABDOMEN, TRONCO, RUMPF,"
    trunks += " CHEST_TO_HAND, THORACO-ABDOMINAL"
    assert {part_of(word) for word in trunks.split(", ")} == {COMBINED}


@pytest.mark.parametrize("view", VIEWS)
def test_views_in_usual_languages(view: View) -> None:
    found = {
        text: [VIEW_WORDS[word] for word in view_words(text)] for text in VIEWS[view].split(", ")
    }
    assert all(
        (view in views and views.count(View.FRONTAL) < len(views)) or set(views) == {view}
        for views in found.values()
    ), found


@pytest.mark.parametrize("name", ["MUELLER", "DOE", "ANNA", "SNARK", "X", "", "123"])
def test_names_are_not_known(name: str) -> None:
    assert part_of(name) == ""
    assert kept_view(name) == ""


def test_kept_view_is_what_a_phrase_says() -> None:
    kept = {text: kept_view(text) for text in ("PA UPRIGHT", "P-A", "AP PA", "PA LATERAL", "FRONT")}
    assert kept == {"PA UPRIGHT": "PA", "P-A": "PA", "AP PA": "", "PA LATERAL": "", "FRONT": ""}


def test_words_are_bounded() -> None:
    assert len(words("A " * 1000)) <= 32


def standard_codes(*context_groups: int) -> Iterator[tuple[str, str]]:
    """Yield SNOMED CT and SNOMED RT codes with their meaning."""
    old = {new: code for code, new in mapping["SRT"].items()}
    snomed: dict[str, Any] = concepts["SCT"]
    for group in context_groups:
        for name in cid_concepts[group]["SCT"]:
            for code, (meaning, groups) in snomed[name].items():
                if group in groups:
                    yield code, meaning
                    yield old.get(code, code), meaning


def test_view_codes_are_those_of_the_standard() -> None:
    """PS3.16 CID 4010: the meaning in words gives the same view as the code."""
    meanings = dict(standard_codes(4010))
    for code, meaning in meanings.items():
        if meaning == "tissue specimen":
            continue
        view = VIEW_CODES[code]
        of_words = [VIEW_WORDS[word] for word in view_words(meaning.replace("-", ""))]
        assert not of_words or view in of_words or view == View.OTHER, (code, meaning)
    for code in VIEW_CODES.keys() & mapping["SRT"].keys():
        assert VIEW_CODES[mapping["SRT"][code]] == VIEW_CODES[code], code


def test_part_codes_are_those_of_the_standard() -> None:
    """PS3.16 CID 4009: a meaning of one word that names a part names the one of the code."""
    for code, meaning in standard_codes(4009, 4031):
        if code in PART_CODES and " " not in meaning and part_of(meaning):
            assert part_of(meaning) == PART_CODES[code], (code, meaning)
    for code in PART_CODES.keys() & mapping["SRT"].keys():
        assert PART_CODES.get(mapping["SRT"][code], PART_CODES[code]) == PART_CODES[code], code


def test_what_is_kept_in_stored_files_is_read_again() -> None:
    """Among these are the words that earlier releases kept."""
    earlier = "CHEST THORAX THORACIC LUNG RIBS BRUST HEART PULMONARY CHESTABDOMEN CHESTPORT CXR"
    assert set(earlier.split()) <= KEPT_PARTS
    assert {part_of(word) for word in KEPT_PARTS} == {"CHEST", COMBINED}
