"""What gunicorn itself logs, in the portal's format. Its own access lines would hold addresses."""

from typing import Any

from gunicorn.glogging import Logger

from models.logs import set_up_logging
from models.settings import Settings


class PortalLogger(Logger):  # type: ignore[misc]
    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        set_up_logging(Settings.read(), process="portal")
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True
