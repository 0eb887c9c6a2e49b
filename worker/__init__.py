"""The Celery workers. The portal may import `worker.enqueue` only.

    celery -A worker.app worker --without-gossip --without-mingle -n ingest@%h  -Q ingest  --pool threads -c 1
    celery -A worker.app worker --without-gossip --without-mingle -n predict@%h -Q predict --pool threads -c 1
    celery -A worker.app worker --without-gossip --without-mingle -n train@%h   -Q train   --pool prefork -c 1
    celery -A worker.app beat

Settings come from OVERREAD_DATA, OVERREAD_BROKER_URL and, where it is not the SQLite file in the
data folder, OVERREAD_DATABASE_URL. Every worker needs the data folder; the database must have been
upgraded (`models.operations.upgrade`). Workers of a kind on one host need different names.
On SIGTERM ingest and predict finish or give back their claims within a few seconds.
"""  # noqa: E501 (commands to copy)
