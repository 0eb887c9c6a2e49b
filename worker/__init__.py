"""The Celery workers, one process each for the queues ingest, predict and train, and beat.

`cli/service/processes.py` and `docker-compose.yml` start them. The portal may import
`worker.enqueue` only. Workers of a kind on one host need different names. On SIGTERM ingest and
predict finish or give back their claims within a few seconds; a night, which is a process of its
own, is handed back and resumed later.
"""
