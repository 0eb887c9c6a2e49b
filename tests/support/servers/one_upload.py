"""A whole service that reads one picture and stops: `python -m ... FOLDER PICTURE`."""

import sys
from pathlib import Path

from tests.support.servers.service import Service, wait_until

WITHIN_S = 300.0  # on the slowest machine


def main() -> int:
    service = Service(Path(sys.argv[1]))
    service.start()
    try:
        wait_until(lambda: _are_all_started(service.log), within_s=WITHIN_S, what="all processes")
        sent = service.run("submit", sys.argv[2], "--wait", "--json")
    finally:
        service.end()
    sys.stdout.write(sent.stdout + sent.stderr)
    return sent.returncode


def _are_all_started(log: str) -> bool:
    """Also those that the service's own start does not wait for."""
    return all(words in log for words in ("beat: Starting", "train@"))


if __name__ == "__main__":
    sys.exit(main())
