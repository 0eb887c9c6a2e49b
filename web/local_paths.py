"""Where a login leads: only to pages of this portal, whatever the address asks for."""

import re

START = "/"
# One slash first. No backslash and nothing invisible: browsers read the one as a slash, and leave
# the other out. No second login, which might be somebody else's.
_LOCAL = re.compile(r"/(?!/|login|welcome|logout)[^\\\x00-\x20\x7f-\x9f]*")


def local_path(wanted: str) -> str:
    return wanted if _LOCAL.fullmatch(wanted) else START
