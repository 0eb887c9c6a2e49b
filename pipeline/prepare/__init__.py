"""One file to what the network reads: decoded, shrunk and de-identified in bounded processes."""
