"""Tables for people: no probability without what it needs beside it."""

from typing import Any

import pytest

from cli.output import ResultTable


def a_result(**further: Any) -> dict[str, Any]:
    return {
        "file": "a/b.png",
        "status": "predicted",
        "reason": None,
        "finding": "pneumonia",
        "probability": 0.875,
        "threshold": 0.5,
        "unfamiliarity": 0.1,
        "warnings": [],
        "model_version": "v1",
        "operating_point": "balanced",
        "temperature": 1.669,
        **further,
    }


def printed(capsys: pytest.CaptureFixture[str], *results: dict[str, Any]) -> list[str]:
    table = ResultTable(rows=2)
    for result in results:
        table.add(result)
    table.print()
    return capsys.readouterr().out.splitlines()


def test_threshold_point_and_calibration_stand_below(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, *[a_result()] * 5)
    assert lines[-2:] == [
        "... and 3 more",
        "v1: threshold 0.500, balanced; calibrated with temperature 1.67",
    ]


def test_each_reading_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    sensitive = a_result(operating_point="sensitive", threshold=0.2, temperature=None)
    lines = printed(capsys, a_result(), sensitive)
    assert lines[-2].endswith("threshold 0.200, sensitive; its calibration was not recorded")
    assert lines[-1].endswith("threshold 0.500, balanced; calibrated with temperature 1.67")


def test_what_was_not_read_has_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    unread = dict.fromkeys(("finding", "probability", "threshold", "unfamiliarity"))
    lines = printed(capsys, a_result(status="rejected", reason="b.png: no picture", **unread))
    assert "b.png: no picture" in "".join(lines)
    assert not any("calibrat" in line for line in lines)


def test_warnings_are_told_beside_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    told = "".join(printed(capsys, a_result(reason="too strange", warnings=["one", "two"])))
    assert "too strange; one; two" in told


def test_a_name_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    told = "".join(printed(capsys, a_result(file="a\x1b[31m.png", reason="b\nc")))
    assert "a\ufffd[31m.png" in told
    assert "b\ufffdc" in told
