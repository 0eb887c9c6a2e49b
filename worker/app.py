"""The Celery application. Importing it reads no settings; a worker's start does, strictly."""

from celery import Celery

from models.settings import Settings
from worker.configuration import worker_configuration

app = Celery("overread", include=["worker.tasks"])
app.add_defaults(lambda: worker_configuration(Settings.read()))
