"""A patient has one hash, in DICOM files and in label tables."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pipeline.pseudonym import patient_pseudonym
from tests.support.data.builders import make_dicom
from tests.support.imaging.deidentified import deidentified

KEY = b"an invented key"
WORDS = st.text(max_size=20)


def test_patient_hash_of_dicom_is_that_of_the_plain_identifier(tmp_path: Path) -> None:
    plain = make_dicom(tmp_path / "1.dcm", PatientID="A")
    issued = make_dicom(tmp_path / "2.dcm", PatientID="A", IssuerOfPatientID="here")
    hashes = [deidentified(path.read_bytes(), key=KEY).patient_hash for path in (plain, issued)]
    assert hashes == [patient_pseudonym(KEY, "A"), patient_pseudonym(KEY, "A", issuer="here")]


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
