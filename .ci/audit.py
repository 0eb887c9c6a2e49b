"""Ask whether any locked package has a known vulnerability: exit code 1 if one has.

Behind a mirror that hands out no advisories nothing can be asked. That is said, and is no failure
unless AUDIT=required.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PIP_AUDIT = Path(sys.executable).with_name("pip-audit")
OPTIONS = ("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json")


def main(lock_file: str) -> int:
    command = [PIP_AUDIT, *OPTIONS, "--requirement", lock_file]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return report(json.loads(run.stdout)["dependencies"])
    except ValueError:  # it could not even ask
        return _say_not_audited(run.stderr.strip().splitlines()[-1:] or ["no answer"])


def report(packages: list[dict[str, Any]]) -> int:
    for package in packages:
        for found in package.get("vulns", ()):
            fixed = ", ".join(found["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {found['id']}, mended in {fixed}")
    if any(package.get("vulns") for package in packages):
        return 1
    skipped = [package["skip_reason"] for package in packages if "skip_reason" in package]
    if len(skipped) < len(packages):
        print(f"nothing known against {len(packages) - len(skipped)} locked packages")
    return _say_not_audited(skipped) if skipped else 0


def _say_not_audited(reasons: list[str]) -> int:
    print(f"NOT AUDITED: {len(reasons)} could not be asked about, e.g. {reasons[0]}")
    return 1 if os.environ.get("AUDIT") == "required" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
