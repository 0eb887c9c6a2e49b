"""What gunicorn itself logs, in the portal's format.

Its access lines are off, and what it quotes of a request when something fails is left out:
addresses and headers may hold names, searches and login links.
"""

import sys
from typing import Any

from gunicorn.glogging import Logger

from models.config.logs import set_up_logging
from models.config.settings import Settings


class PortalLogger(Logger):  # type: ignore[misc]
    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        set_up_logging(Settings.read(), process="portal")
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True

    def warning(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        if str(msg).startswith("Invalid request"):
            msg, args = "an invalid request was refused", ()
        super().warning(msg, *args, **kwargs)

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Of a request's: where, and what kind; never the text. A start that fails says why."""
        if not str(msg).startswith("Error handling"):
            super().exception(msg, *args, **kwargs)
            return
        kind, _, trace = sys.exc_info()
        name = kind.__name__ if kind else "nothing"
        words = str(msg).partition("%")[0].strip()
        self.error_log.error("%s: %s", words, name, exc_info=(Exception, Exception(name), trace))
