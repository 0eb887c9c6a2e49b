"""Once an hour: is the audit as it was written? What is intact is anchored."""

import logging

from models.audit.verify import check_audit
from worker.doors import Doors

log = logging.getLogger(__name__)


def watch_audit(doors: Doors) -> None:
    with doors.sessions() as session:
        check = check_audit(session, doors.settings.data_dir)
    if check.is_intact:
        log.info("the audit is intact: %d rows", check.rows)
    else:
        log.error("THE AUDIT IS BROKEN at row %s: %s", check.broken, check.why)
