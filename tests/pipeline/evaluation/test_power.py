"""The simulation of the gate takes a site's own numbers."""

import pytest

from benchmarks.power import main


def test_the_table_is_of_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--auroc", "0.97", "--correlation", "0.9", "--patients", "60", "30"]
    main([*arguments, "--trials", "1", "--skip-equal"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:4] == [
        "Production's AUROC 0.97, correlation 0.9:",
        "",
        "| true gain | 30 | 60 | for 80 % |",
    ]
    gains = [line.split(" | ")[0] for line in lines[5:]]
    assert gains == ["| 0", "| 0.005", "| 0.01", "| 0.02"], "0.05 more would be beyond 1"


@pytest.mark.parametrize(
    "arguments",
    [["--auroc", "1.5"], ["--patients", "1"], ["--trials", "0"], ["--correlation", "high"]],
)
def test_what_cannot_be_is_wrong_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "expected" in (said := capsys.readouterr().err) or "invalid" in said
