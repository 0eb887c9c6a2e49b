"""What is said of drift: whether the world has moved, and what to do about it."""

from pipeline.drift import MIN_EVIDENCE, MUCH, SOME, Drift, Shift, Window

LOOK = (
    "Look at some of the latest images: another device, other settings or other patients may be "
    "behind it. Label some of them, so that the next night can learn from them."
)


def describe_drift(
    drift: Drift | None, recent: Window, reference: Window, *, days: int, days_before: int
) -> str:
    """One or two plain sentences. days: of the recent window; days_before: of the reference."""
    came = f"{_images(len(recent))} of the last {days} days"
    before = f"{_images(len(reference))} of the {days_before} days before"
    if drift is None:
        return (
            f"Too few images to tell whether anything has moved: {came}, {before}, and it takes "
            f"those of about {MIN_EVIDENCE} different patients in both."
        )
    if drift.degree == "none":
        return f"Nothing has moved: {came} are answered as {before} were."
    moved = "; ".join(_moved(drift))
    much = "much" if drift.degree == "much" else "somewhat"
    return f"The world has moved {much}: {came} are not answered as {before} were ({moved}). {LOOK}"


def _moved(drift: Drift) -> list[str]:
    shifts = {"probability": drift.probability, "unfamiliarity": drift.unfamiliarity}
    found = [_shifted(name, shift) for name, shift in shifts.items() if shift.degree != "none"]
    share = drift.unanswered
    if share.degree != "none":
        found.append(f"{share.recent:.1%} got no answer, before {share.reference:.1%}")
    return found


def _shifted(name: str, shift: Shift) -> str:
    return (
        f"{name}: stability index {shift.corrected:.2f} beyond chance, above {SOME:g} is some and "
        f"above {MUCH:g} much; median {shift.recent_median:.2f}, before "
        f"{shift.reference_median:.2f}"
    )


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"
