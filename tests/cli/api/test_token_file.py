"""The client follows the local token when the service replaces it."""

from pathlib import Path

import pytest
from sqlalchemy import update

from cli.api.client import Client
from cli.errors import Failed
from models.base import now
from models.tables.people import Role, Token
from tests.support.servers.portal_server import ServedPortal


def test_client_reads_the_token_file_again_when_it_was_renewed(
    service: ServedPortal, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(service.token)
    with Client(service.url, "", token_file=file) as client:
        job = client.create_job("a folder")
        service.interceptor.requests.clear()
        newer = service.portal.token(Role.OPERATOR, kind="local")
        file.write_text(newer + "\n")
        assert client.job(job["id"])["name"] == "a folder"
        assert len(service.interceptor.requests) == 1, "the old one is still valid"
        with service.portal.database.sessions.begin() as session:
            session.execute(update(Token).where(Token.kind == "api").values(revoked_at=now()))
        assert client.job(job["id"])["name"] == "a folder"
        assert len(service.interceptor.requests) == 3
        file.write_text("wrong")
        with service.portal.database.sessions.begin() as session:
            session.execute(update(Token).values(revoked_at=now()))
        with pytest.raises(Failed, match="refused this token"):
            client.job(job["id"])
