import pytest

from pipeline.subject import Subject, age_in_years, population_of_age, subject_of, subject_of_tags


def test_age_decides_the_population_unless_it_is_stated() -> None:
    assert subject_of({"age": "17.9"}).population == "children"
    assert subject_of({"age": "18"}).population == "adults"
    assert subject_of({"age": "19", "population": "Children"}).population == "children"
    assert subject_of({"age": ""}).population is population_of_age(None) is None


def test_words_of_tables_and_tags_are_read_alike() -> None:
    row = {"population": "", "view": "AP Supine", "sex": "female", "age": "44"}
    tags = {"ViewPosition": "AP", "PatientSex": "F", "PatientAge": "044Y", "Modality": "DX"}
    assert subject_of(row) == subject_of_tags(tags) == Subject("adults", "AP", "F", 44.0)


def test_unknown_words_count_as_not_stated_but_no_unknown_population() -> None:
    assert subject_of({"view": "LATERAL", "sex": "O", "age": "old"}) == Subject()
    with pytest.raises(ValueError, match="expected a population: children or adults"):
        subject_of({"population": "adult s"})


@pytest.mark.parametrize(
    ("text", "years"),
    [("006M", 0.5), ("052W", 0.997), ("090Y", 90), ("3,5", 3.5), ("-1", None), ("1e3", None),
     ("999", None)],
)  # fmt: skip
def test_ages_of_tags_and_tables_are_in_years(text: str, years: float | None) -> None:
    assert age_in_years(text) == (years and pytest.approx(years, abs=1e-3))


def test_a_tables_words_go_before_the_tags() -> None:
    table, tags = Subject(view="PA", age_years=0.0), Subject("adults", "AP", "M", 50)
    assert table.or_else(tags) == Subject("adults", "PA", "M", 0.0)
