"""Every route that changes something writes an audit row."""

import io
import re
from dataclasses import dataclass, field
from typing import Any

from flask.testing import FlaskClient

from models.base import now
from models.files.handover import handed_over_path
from models.learning.promotion import install_baseline
from models.people.totp import code_at, derive_secret, step_at
from models.tables.learning import Outcome
from models.tables.people import Role, User
from tests.support.data.nights import a_night, a_trained_version
from tests.support.data.rows import a_term
from tests.support.web.people import ANOTHER, PASSWORD, a_person, audited, entered
from tests.support.web.portal import Portal, follow_link, proof
from tests.support.web.sender import CHUNK_TYPE
from tests.web.auth.test_roles import CHANGING, TABLE

JOB = "/api/v1/jobs/<job_id>"
USER = "/users/<int:user_id>"
TOKEN = "/tokens/<int:token_id>/revoke"


@dataclass
class Walk:
    """Requests routes, each of which must write one audit row."""

    portal: Portal
    client: FlaskClient
    walked: set[str] = field(default_factory=set)
    proof: str = ""

    def __call__(self, route: str, *actions: str, **body: Any) -> Any:
        """body: also contains the ids for the path."""
        method, path = route.split(" ")
        path = re.sub(r"<(?:int:)?(\w+)>", lambda found: str(body.pop(found[1])), path)
        self.proof = self.proof or proof(self.client, "/account")
        headers = {"X-CSRFToken": self.proof} | body.pop("headers", {})
        before = len(audited(self.portal))
        answer = self.client.open(path, method=method, headers=headers, **body)
        assert answer.status_code < 400, f"{route}: {answer.text}"
        assert [found for found, _ in audited(self.portal)[before:]] == list(actions), route
        self.walked.add(route)
        if "Set-Cookie" in answer.headers:  # another session
            self.proof = ""
        return answer


def test_every_changing_route_writes_one_audit_row(portal: Portal, a_png: bytes) -> None:
    walk = Walk(portal, portal.browser(Role.ADMIN))
    jobs(walk, a_png)
    with portal.database.sessions.begin() as session:
        install_baseline(session, data_dir=portal.database.settings.data_dir)
    versions(walk, "/api/v1", "/api/v1/model-versions", "json")
    versions(walk, "", "/versions", "data")
    terms(walk)
    people(walk)
    sessions(walk)
    changing = {route for route in TABLE if route.split(" ")[0] in CHANGING}
    assert walk.walked == changing


def jobs(walk: Walk, a_png: bytes) -> None:
    job = walk("POST /api/v1/jobs", "job.created", json={"name": "a folder"}).json["id"]
    files = {"files": [{"file": "b.png", "size": 3}]}
    sent = {"data": b"png", "content_type": CHUNK_TYPE}
    declared = walk(f"POST {JOB}/uploads", "files.declared", job_id=job, json=files).json
    walk(
        f"PATCH {JOB}/uploads/<int:upload_id>",
        "files.received",
        job_id=job,
        upload_id=declared["uploads"][0]["id"],
        headers={"Upload-Offset": "0"},
        **sent,
    )
    other = walk("POST /api/v1/jobs", "job.created", json={"name": "b"}).json["id"]
    declared = walk(f"POST {JOB}/uploads", "files.declared", job_id=other, json=files).json
    ids = {"ids": declared["uploads"][0]["id"]}
    walk(f"PATCH {JOB}/uploads", "files.received", job_id=other, query_string=ids, **sent)
    other = walk("POST /api/v1/jobs", "job.created", json={"name": "c"}).json["id"]
    declared = walk(f"POST {JOB}/uploads", "files.declared", job_id=other, json=files).json
    store, upload_id = walk.portal.context.store, declared["uploads"][0]["id"]
    token = "0" * 32
    handed_over_path(store.make_folder(store.temporary), token, upload_id).write_bytes(b"png")
    taken = {"token": token, "ids": [upload_id]}
    walk(f"POST {JOB}/uploads/handed-over", "files.received", job_id=other, json=taken)
    other = walk("POST /api/v1/jobs", "job.created", json={"name": "d"}).json["id"]
    parts = {"files": [(io.BytesIO(a_png), "a/a.png")]}
    walk(f"POST {JOB}/files", "files.received", job_id=other, data=parts)
    walk(f"POST {JOB}/close", "job.closed", job_id=other, json={})
    walk(f"POST {JOB}/cancel", "job.cancelled", job_id=job)
    walk(f"POST {JOB}/retry", "job.retried", job_id=job, json={})
    walk(f"POST {JOB}/cancel", "job.cancelled", job_id=job)
    walk("POST /api/v1/purges", "job.purged", json={"job_id": job, "dry_run": False})
    label = {"image_id": walk.portal.images()[-1].id, "label": "normal"}
    walk("POST /api/v1/labels", "labels.given", json={"labels": [label]})
    table = {"data": "file,label\n", "content_type": "text/csv"}
    walk("POST /api/v1/labels/csv", "labels.sent", **table)


def terms(walk: Walk) -> None:
    with walk.portal.database.sessions.begin() as session:
        term_id = a_term(session).id
    form = {"meaning": "fitting"}
    walk("POST /terms/<int:term_id>", "term.changed", term_id=term_id, data=form)


def versions(walk: Walk, root: str, folder: str, kind: str) -> None:
    """By API and by form. kind: of the body."""
    name, other = candidates(walk.portal, kind)
    yes = {"json": True, "data": "yes"}[kind]
    promote = {kind: {"despite_refusal": yes}}
    walk(f"POST {folder}/<name>/promote", "version.promoted", name=name, **promote)
    walk(f"POST {root}/roll-back", "version.rolled-back", **{kind: {"live": name}})
    walk(f"POST {folder}/<name>/reject", "version.rejected", name=other)
    walk(f"POST {root}/rereadings", "rereading.asked")
    walk(f"POST {root}/nights", "night.asked")
    night = walk.client.get("/api/v1/nights").get_json()["nights"][0]["id"]
    walk(f"POST {root}/nights/<int:night_id>/cancel", "night.cancelled", night_id=night)
    walk(f"POST {root}/audit/check", "audit.checked")


def candidates(portal: Portal, name: str) -> tuple[str, str]:
    """One refused version and one proposed version."""
    names = (f"{name}-1", f"{name}-2")
    with portal.database.sessions.begin() as session:
        for one, outcome in zip(names, (Outcome.REFUSED, Outcome.PROPOSED), strict=True):
            version = a_trained_version(session, portal.database.settings, one)
            a_night(session, outcome, candidate=version)
    return names


def people(walk: Walk) -> None:
    walk("POST /users", "user.added", data={"name": "rita", "role": "viewer"})
    new = {"name": "olga", "role": "viewer"}
    olga = walk("POST /api/v1/users", "user.added", json=new).json["user"]["id"]
    walk(f"PATCH /api/v1{USER}", "user.role-changed", user_id=olga, json={"role": "reader"})
    walk(f"POST {USER}", "user.deactivated", user_id=olga, data={"is_active": "no"})
    walk(f"POST {USER}", "user.activated", user_id=olga, data={"is_active": "yes"})
    walk(f"POST {USER}/link", "user.invited", user_id=olga)
    link = walk(f"POST /api/v1{USER}/link", "user.invited", user_id=olga).json["link"]
    token = {"name": "mine", "role": "viewer", "days": 7}
    made = walk("POST /api/v1/tokens", "token.issued", json=token).json["id"]
    walk("POST /account/tokens", "token.issued", data=token)
    walk(f"POST /api/v1{TOKEN}", "token.revoked", token_id=made)
    walk(f"POST /account{TOKEN}", "token.revoked", token_id=made + 1)
    for root in ("", "/api/v1"):
        with walk.portal.database.sessions.begin() as session:
            session.get_one(User, olga).totp_nonce = "of an authenticator"
        walk(f"POST {root}{USER}/second-factor/remove", "second-factor.removed", user_id=olga)
    chosen = {"token": link.partition("#")[2], "password": ANOTHER, "again": ANOTHER}
    walk("POST /welcome", "password.set", "login", data=chosen)


def second_factor(walk: Walk) -> None:
    walk("POST /account/second-factor", "second-factor.begun")
    with walk.client.session_transaction() as session:
        secret = derive_secret(session["totp_nonce"], key=walk.portal.context.secrets.session_key)
    codes = [code_at(secret, step_at(now()) + apart) for apart in (0, 1)]
    walk("POST /account/second-factor/on", "second-factor.on", data={"code": codes[0]})
    walk("POST /account/second-factor/recovery-codes", "recovery-codes.renewed")
    follow_link(walk.client, walk.portal.token(Role.ADMIN, kind="login"))
    walk("POST /login/code", "login", data={"code": codes[1]})
    walk("POST /account/second-factor/off", "second-factor.off")


def sessions(walk: Walk) -> None:
    a_person(walk.portal, "anna")
    walk("POST /login", "login", data={"name": "anna", "password": PASSWORD})
    both = {"current": PASSWORD, "password": ANOTHER, "again": ANOTHER}
    walk("POST /account/password", "password.set", data=both)
    link = walk.portal.token(Role.ADMIN, kind="login")
    walk("POST /login/link", "login", data={"token": link})
    second_factor(walk)
    walk("POST /logout", "logout")
    walk.client, walk.proof = entered(walk.portal, "anna", ANOTHER), ""
    walk("POST /account/leave", "logout.everywhere")
