"""Names of queues and tasks."""

INGEST = "ingest"
PREDICT = "predict"
TRAIN = "train"

INGEST_TASK = "overread.ingest"
PREDICT_TASK = "overread.predict"
SWEEP_TASK = "overread.sweep"
TIDY_TASK = "overread.tidy"
NIGHT_TASK = "overread.night"
REREAD_TASK = "overread.reread"
