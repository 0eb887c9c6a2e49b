"""Commands that train, evaluate and import labelled images."""
