"""The faults that a running service is put through, and how often each."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.chaos.database_faults import (
    cut_connections,
    lock_sqlite,
    move_leases,
    stop_postgres,
    stop_writes,
)
from tests.chaos.file_faults import (
    damage_upload,
    delete_input,
    delete_upload,
    fill_disk,
    lose_secrets,
    swap_input,
)
from tests.chaos.process_faults import (
    cut_power,
    end,
    flush_broker,
    freeze,
    freeze_broker,
    freeze_decoder,
    kill,
    kill_decoder,
    kill_sender,
)
from tests.chaos.rig import Rig

Hit = Callable[[Rig, random.Random], str | None]


@dataclass(frozen=True)
class Fault:
    """share: relative frequency. while_sending: needs a running upload. needs_images: needs images
    that wait. needs_ready: needs images that wait for a predict worker. is_slow: takes many
    seconds, and is left out of short runs.
    """

    name: str
    hit: Hit
    share: int
    database: str = ""  # "": either
    while_sending: bool = False
    needs_images: bool = False
    needs_ready: bool = False
    is_slow: bool = False


FAULTS = (
    Fault("predict worker killed", partial(kill, "predict"), 8, needs_ready=True),
    Fault("ingest worker killed", partial(kill, "ingest"), 8),
    Fault("decoder killed", kill_decoder, 5),
    Fault("decoder frozen", freeze_decoder, 3),
    Fault("predict worker frozen", partial(freeze, "predict"), 3, needs_ready=True, is_slow=True),
    Fault("ingest worker frozen", partial(freeze, "ingest"), 3, is_slow=True),
    Fault("broker killed", partial(kill, "broker"), 6),
    Fault("broker flushed", flush_broker, 2),
    Fault("broker frozen", freeze_broker, 2, is_slow=True),
    Fault("beat killed", partial(kill, "beat"), 2),
    Fault("portal killed during upload", partial(kill, "portal"), 4, while_sending=True),
    Fault("portal restarted during upload", partial(end, "portal"), 3, while_sending=True),
    Fault(
        "portal frozen during upload",
        partial(freeze, "portal"),
        2,
        while_sending=True,
        is_slow=True,
    ),
    Fault("sender killed", kill_sender, 2, while_sending=True),
    Fault("power cut", cut_power, 2, is_slow=True),
    Fault("disk full", fill_disk, 4),
    Fault("SQLite locked", lock_sqlite, 4, database="sqlite"),
    Fault("PostgreSQL stopped, fast", partial(stop_postgres, immediate=False), 3, "postgresql"),
    Fault("PostgreSQL stopped, immediate", partial(stop_postgres, immediate=True), 3, "postgresql"),
    Fault("PostgreSQL connections cut", cut_connections, 2, "postgresql"),
    Fault("upload deleted", delete_upload, 3, needs_images=True),
    Fault("network input deleted", delete_input, 3, needs_images=True, needs_ready=True),
    Fault("network input swapped", swap_input, 3, needs_images=True, needs_ready=True),
    Fault("upload damaged", damage_upload, 3, needs_images=True),
    Fault("leases moved by a day", move_leases, 3, needs_images=True),
    Fault("secrets lost and restored", lose_secrets, 2, is_slow=True),
    Fault("PostgreSQL read-only", stop_writes, 2, "postgresql", is_slow=True),
)
