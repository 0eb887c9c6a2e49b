"""Start a service, submit one image, stop: `python -m ... FOLDER IMAGE`."""

import sys
from pathlib import Path

from tests.support.servers.service import Service, wait_until


def main() -> int:
    service = Service(Path(sys.argv[1]))
    service.start()
    try:
        wait_until(lambda: _has_started_all(service.log), what="all processes")
        sent = service.run("submit", sys.argv[2], "--wait", "--json")
    finally:
        service.end()
    sys.stdout.write(sent.stdout + sent.stderr)
    return sent.returncode


def _has_started_all(log: str) -> bool:
    """Including those that `overread up` does not wait for."""
    return all(words in log for words in ("beat: Starting", "train@"))


if __name__ == "__main__":
    sys.exit(main())
