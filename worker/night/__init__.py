"""The nightly run: snapshot, training, comparison, decision."""
