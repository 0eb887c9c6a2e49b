"""The ingest task: uploads are decoded, predicted and recorded. Called by `worker.tasks`."""
