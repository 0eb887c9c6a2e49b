"""A portal of the test's own, for commands of an admin."""

from collections.abc import Iterator

import pytest

from models.config.settings import Settings
from models.tables.people import Role
from tests.support.servers.portal_server import ServedPortal, serve_portal


@pytest.fixture
def service(settings: Settings) -> Iterator[ServedPortal]:
    with serve_portal(settings, role=Role.ADMIN) as service:
        yield service
