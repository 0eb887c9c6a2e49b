"""From a file of any supported format to pixels."""
