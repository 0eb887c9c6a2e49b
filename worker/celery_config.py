"""Names of queues and tasks, and Celery's settings, made from ours.

Messages are nudges. They are acknowledged on arrival: losing one costs one sweep, while a message
acknowledged late would come back only after the visibility timeout, that is after hours.
"""

from typing import Any

from models.config.settings import Settings, SettingsError

INGEST = "ingest"
PREDICT = "predict"
TRAIN = "train"

INGEST_TASK = "overread.ingest"
PREDICT_TASK = "overread.predict"
SWEEP_TASK = "overread.sweep"
TIDY_TASK = "overread.tidy"
NIGHT_TASK = "overread.night"
REREAD_TASK = "overread.reread"


HOUR_S = 3600


def worker_configuration(settings: Settings) -> dict[str, Any]:
    if not settings.broker_url:
        raise SettingsError("OVERREAD_BROKER_URL: expected the broker's URL, received nothing")
    return sender_configuration(settings) | {
        "broker_transport_options": _transport(settings, answer_within_s=30),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # no limit: the broker will be back
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": True,  # or it runs twice
    }


def beat_configuration(settings: Settings) -> dict[str, Any]:
    return worker_configuration(settings) | {
        "beat_scheduler": "worker.beat:Beat",
        "beat_schedule": _schedule(settings),
        "beat_schedule_filename": str(settings.data_dir / "beat-schedule"),
        "beat_max_loop_interval": 5,
    }


def sender_configuration(settings: Settings) -> dict[str, Any]:
    return {
        "broker_url": settings.broker_url,
        # With a broker that hangs, uploads must not wait for their nudge.
        "broker_transport_options": _transport(settings, answer_within_s=2),
        "visibility_timeout": settings.visibility_timeout_s,
        "broker_connection_timeout": 1.0,
        "task_routes": {
            INGEST_TASK: {"queue": INGEST},
            PREDICT_TASK: {"queue": PREDICT},
            REREAD_TASK: {"queue": PREDICT},
            NIGHT_TASK: {"queue": TRAIN},
        },
        # One retry: after a broker's restart the first attempt meets a dead connection.
        "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0, "interval_max": 0},
        "task_ignore_result": True,  # states are the database's
        "task_serializer": "json",
        "accept_content": ["json"],
    }


def _transport(settings: Settings, *, answer_within_s: float) -> dict[str, Any]:
    return {
        "visibility_timeout": settings.visibility_timeout_s,
        # By default unacknowledged messages are looked for only every 100 s.
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": 1,
        "socket_timeout": answer_within_s,
        "socket_keepalive": True,
        "health_check_interval": 25,
    }


def _schedule(settings: Settings) -> dict[str, Any]:
    """Sweeps go to both queues, so that either worker alone is enough."""
    every = settings.sweep_interval_s
    sweeps = {
        f"sweep-{queue}": {
            "task": SWEEP_TASK,
            "schedule": every,
            "options": {"queue": queue, "expires": every},
        }
        for queue in (INGEST, PREDICT)
    }
    tidy = {"task": TIDY_TASK, "schedule": HOUR_S, "options": {"queue": INGEST, "expires": HOUR_S}}
    return sweeps | {"tidy": tidy}
