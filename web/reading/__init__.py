"""Work list, study pages, images and results."""
