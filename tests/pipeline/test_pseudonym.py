"""A patient has one hash, in DICOM files and in label tables."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pipeline.pseudonym import patient_pseudonym, pseudonym
from tests.support.data.builders import make_dicom
from tests.support.imaging.deidentified import KEY, deidentified

WORDS = st.text(max_size=20)


def test_hashes_of_dicom_are_those_of_the_plain_identifiers(tmp_path: Path) -> None:
    plain = make_dicom(tmp_path / "1.dcm", PatientID="A", StudyInstanceUID="1.2.3")
    issued = make_dicom(tmp_path / "2.dcm", PatientID="A", IssuerOfPatientID="here")
    first, other = (deidentified(path.read_bytes(), key=KEY) for path in (plain, issued))
    assert first.patient_hash == patient_pseudonym(KEY, "A")
    assert other.patient_hash == patient_pseudonym(KEY, "A", issuer="here")
    assert first.study_uid_hash == pseudonym(KEY, "study", "1.2.3")


def test_patient_hash_never_changes() -> None:
    """Rows of earlier releases contain it."""
    assert (
        patient_pseudonym(KEY, "A")
        == "1fe5acb0cc9540fc1188122e419023c11745ece09b670a1ae4d0c53fdd8aeae9"
    )


@given(first=st.tuples(WORDS, WORDS), second=st.tuples(WORDS, WORDS))
def test_different_patients_have_different_hashes(
    first: tuple[str, str], second: tuple[str, str]
) -> None:
    hashes = [patient_pseudonym(KEY, name, issuer=issuer) for name, issuer in (first, second)]
    assert (hashes[0] == hashes[1]) == (first == second)
