"""docker-compose.yml and Dockerfiles, checked without a container engine."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from cli.service import processes
from models.config.settings import Settings

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = YAML(typ="safe").load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]

PROGRAMS = {
    "web": processes.portal(host="0.0.0.0", port=8000),  # noqa: S104  inside the container
    "ingest": processes.INGEST,
    "predict": processes.PREDICT,
    "train": processes.TRAIN,
    "beat": processes.BEAT,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_containers_run_what_the_supervisor_runs(name: str) -> None:
    program, service = PROGRAMS[name], SERVICES[name]

    assert tuple(service["command"]) == program.command
    if "stop_grace_period" in service:
        assert service["stop_grace_period"] == f"{program.stop_wait_s:g}s"


def test_compose_has_only_known_services() -> None:
    assert SERVICES.keys() == {"valkey", "postgres", "migrate", *PROGRAMS}
    assert SERVICES["migrate"]["command"] == ["overread", "migrate"]


def test_dependencies_exist_and_have_health_checks() -> None:
    for name, service in SERVICES.items():
        for other, condition in service.get("depends_on", {}).items():
            assert other in SERVICES, f"{name} depends on {other}"
            if condition["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other]


@pytest.mark.parametrize("setting", ["second_factor", "session_idle_minutes", "log_format"])
def test_compose_passes_settings_on_with_their_defaults(setting: str) -> None:
    name, default = f"OVERREAD_{setting.upper()}", Settings.model_fields[setting].default
    assert COMPOSE["x-serving"]["environment"][name] == f"${{{name}:-{default}}}"


def test_volumes_are_declared() -> None:
    used = {volume.split(":")[0] for s in SERVICES.values() for volume in s.get("volumes", [])}
    assert used == COMPOSE["volumes"].keys()


def test_ports_are_on_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_long_running_services_have_health_checks() -> None:
    assert [name for name, s in SERVICES.items() if "healthcheck" not in s] == ["migrate"]


def test_there_is_no_default_password() -> None:
    lines = TEXT.splitlines()
    named = [line for line in lines if "PASSWORD" in line and not line.strip().startswith("#")]
    assert len(named) >= 4
    for line in named:
        required = ("${POSTGRES_PASSWORD:?", ":-${REDIS_PASSWORD:?", "$$VALKEY_PASSWORD")
        assert any(words in line for words in required)


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.train"])
def test_images_do_not_run_as_root(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    users = [line for line in lines if line.startswith("USER ")]
    assert users == ["USER 10001:10001"]
    assert lines.index(users[0]) > lines.index("COPY . .")
