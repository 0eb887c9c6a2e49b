"""Where a login leads: only to pages of this portal, whatever the address asks for."""

import re
from posixpath import normpath
from urllib.parse import unquote

START = "/"
# One slash first. No backslash and nothing invisible: browsers read the one as a slash, and leave
# the other out.
_LOCAL = re.compile(r"/(?!/)[^\\\x00-\x20\x7f-\x9f]*")
# No second login, which might be somebody else's.
WAYS_IN_AND_OUT = ("/login", "/welcome", "/logout")


def local_path(wanted: str) -> str:
    # As browser and server read it: without dots, escapes and needless slashes.
    path = normpath("/" + unquote(wanted.partition("?")[0]).lstrip("/"))
    is_local = _LOCAL.fullmatch(wanted) and not path.startswith(WAYS_IN_AND_OUT)
    return wanted if is_local else START
