"""File formats before decoding: media types, zip archives, JPEG, JPEG 2000 and PNG streams."""
