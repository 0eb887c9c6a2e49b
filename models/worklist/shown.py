"""Which of an image's predictions is shown."""

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import aliased

from models.learning.promotion import PRODUCTION
from models.tables.intake import Image, ModelAlias, Prediction


def shown_prediction_id(operating_point: ColumnElement[str] | str) -> ColumnElement[int]:
    """Of an image's predictions, the production version's at the configured operating point.

    Until there is one, its newest at another point; until there is one of that version, the newest
    of any version. So neither a promotion nor another setting hides results, and undoing either
    shows the former ones again. Each result names its version and operating point.
    """
    moves = select(ModelAlias.model_version_id).where(ModelAlias.name == PRODUCTION)
    live = moves.order_by(ModelAlias.id.desc()).limit(1).scalar_subquery()
    one = aliased(Prediction)
    by_live = one.model_version_id == live
    as_set = and_(by_live, one.operating_point == operating_point)
    # Sorted rather than looked up three times: each file has a few, found by hash. With a condition
    # on the version SQLite would walk through all predictions of that version.
    return (
        select(one.id)
        .where(one.sha256 == Image.sha256)
        .order_by(as_set.desc(), by_live.desc(), one.id.desc())
        .limit(1)
        .correlate(Image)
        .scalar_subquery()
    )
