"""File formats before decoding: content sniffing and zip archives."""
