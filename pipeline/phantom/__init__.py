"""Generated chest radiographs that show no one, for the demo and for tests."""
