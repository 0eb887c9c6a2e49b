"""A job of very many small files: does the portal stay quick, does memory stay flat?

    python -m benchmarks.speed.many_files [--files 100000] [--minutes 6]

Generates tiny images, each with bytes of its own, and sends them with `overread submit` to a
service of its own on SQLite, while the workers read what has come. Every half second somebody asks
for the list of jobs and for the job's page. Ends when everything was sent or time is up; says how
many files had arrived by then.
"""

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from benchmarks.throughput import OVERREAD, running_service

ASK_EVERY_S = 0.5
SIDE = 64  # pixels
# Rows of a PNG begin with their filter: none.
_PIXELS = np.add.outer(np.arange(SIDE) * 2, np.arange(SIDE)).astype(np.uint8)
RAMP = np.pad(_PIXELS, ((0, 0), (1, 0))).tobytes()
PROCESSES = {"portal": "gunicorn", "ingest": "-Q ingest", "predict": "-Q predict"}


@dataclass
class Measured:
    """Latencies in seconds; peaks in bytes, a process's helpers counted with it."""

    jobs_s: list[float] = field(default_factory=list)
    page_s: list[float] = field(default_factory=list)
    peaks: dict[str, int] = field(default_factory=dict)
    unanswered: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=6.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="overread-many-") as scratch:
        folder = Path(scratch) / "many"
        write_files(folder, arguments.files)
        environment = os.environ | {
            "OVERREAD_DATA": f"{scratch}/data",
            "OVERREAD_PORT": "0",
            "OVERREAD_DISK_RESERVE_BYTES": "0",
        }
        with running_service(environment, Path(scratch)):
            send_and_watch(folder, environment, files=arguments.files, minutes=arguments.minutes)


def write_files(folder: Path, count: int) -> None:
    began = time.perf_counter()
    for number in range(count):
        place = folder / f"patient{number // 200:04d}" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(tiny_png(number))
    print(f"{count} files written in {time.perf_counter() - began:.0f} s", flush=True)


def tiny_png(number: int) -> bytes:
    """Grey, 8 bit; the number stands in the first pixels. Written by hand: Pillow takes longer."""
    rows = bytearray(RAMP)
    rows[1:5] = struct.pack(">I", number)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


def send_and_watch(
    folder: Path, environment: dict[str, str], *, files: int, minutes: float
) -> None:
    service = json.loads((Path(environment["OVERREAD_DATA"]) / "service.json").read_text())
    token = Path(service["token_file"]).read_text().strip()
    measured = Measured()
    began = time.perf_counter()
    with httpx.Client(base_url=service["url"], timeout=60, trust_env=False) as api:
        api.headers["Authorization"] = f"Bearer {token}"
        with subprocess.Popen([*OVERREAD, "submit", str(folder)], env=environment) as sender:
            while sender.poll() is None and time.perf_counter() - began < 60 * minutes:
                look(api, measured)
                remember_peaks(service["pid"], sender.pid, measured)
                time.sleep(ASK_EVERY_S)
            ended = sender.poll()
            sender.kill()
        seconds = time.perf_counter() - began
        report(newest_job(api), measured, files=files, seconds=seconds, ended=ended)


def look(api: httpx.Client, measured: Measured) -> None:
    try:
        began = time.perf_counter()
        job = newest_job(api)
        measured.jobs_s.append(time.perf_counter() - began)
        if job:
            began = time.perf_counter()
            api.get(f"/jobs/{job['id']}").raise_for_status()
            measured.page_s.append(time.perf_counter() - began)
    except httpx.HTTPError:
        measured.unanswered += 1


def newest_job(api: httpx.Client) -> dict[str, Any]:
    jobs = api.get("/api/v1/jobs").raise_for_status().json()["jobs"]
    return jobs[0] if jobs else {}


def remember_peaks(supervisor: int, sender: int, measured: Measured) -> None:
    for name, sign in PROCESSES.items():
        among = [
            one
            for one in psutil.Process(supervisor).children(recursive=True)
            if sign in command_line(one) or any(sign in command_line(p) for p in one.parents())
        ]
        remember(measured, name, among)
    remember(measured, "submit", [psutil.Process(sender)])


def remember(measured: Measured, name: str, processes: list[psutil.Process]) -> None:
    used = 0
    for process in processes:
        try:
            used += process.memory_info().rss
        except psutil.Error:
            continue
    measured.peaks[name] = max(measured.peaks.get(name, 0), used)


def command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def report(
    job: dict[str, Any], measured: Measured, *, files: int, seconds: float, ended: int | None
) -> None:
    arrived, read = job.get("total", 0), job.get("predicted", 0)
    whole = "all sent" if ended == 0 else f"stopped after {seconds:.0f} s, submit's code: {ended}"
    print(f"{arrived} of {files} files arrived, {whole}: {seconds:.0f} s")
    print(f"{arrived / seconds:.0f} files/s arrived; {read} predicted by then", flush=True)
    for name, peak in measured.peaks.items():
        print(f"peak memory, {name}: {peak / 2**20:.0f} MiB")
    for name, took in (("GET /api/v1/jobs", measured.jobs_s), ("job page", measured.page_s)):
        if took:
            p50, p95 = np.percentile(took, [50, 95]) * 1000
            print(f"{name}: p50 {p50:.0f} ms, p95 {p95:.0f} ms, longest {max(took) * 1000:.0f} ms")
    print(f"requests without an answer: {measured.unanswered}")
    sys.exit(0 if ended in (0, None) else 1)


if __name__ == "__main__":
    main()
