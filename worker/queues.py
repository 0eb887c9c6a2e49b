"""Names of queues and tasks."""

INGEST = "ingest"
PREDICT = "predict"
TRAIN = "train"

INGEST_TASK = "overread.ingest"
PREDICT_TASK = "overread.predict"
SWEEP_TASK = "overread.sweep"
TIDY_TASK = "overread.tidy"
TRAIN_TASK = "overread.train"
