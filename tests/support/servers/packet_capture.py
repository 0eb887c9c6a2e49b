"""Run a command and record every packet that it sends to other machines.

    unshare --user --map-root-user --net --mount python packet_capture.py RECORD COMMAND...

In the network namespace every address is routed to the loopback device, the only one: lookups and
connections fail at once, but their packets are captured, whichever library or program sent them.
"""

import ipaddress
import re
import select
import socket
import subprocess
import sys
from pathlib import Path
from typing import TextIO

NAMESPACE = ("unshare", "--user", "--map-root-user", "--net", "--mount")
NAME_SERVICE = Path("/etc/nsswitch.conf")
ALL_PROTOCOLS = 3  # linux/if_ether.h
PROTOCOLS = {6: "TCP", 17: "UDP"}
DNS_PORT = 53


def main() -> int:
    record, *command = sys.argv[1:]
    _route_all_addresses_to_loopback()
    _resolve_names_by_dns_only(Path(record).with_suffix(".nsswitch"))
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL_PROTOCOLS)) as packets,
        Path(record).open("w") as seen,
        subprocess.Popen(command) as child,
    ):
        packets.setblocking(False)
        while child.poll() is None:
            select.select([packets], [], [], 0.05)
            _note(packets, seen)
        _note(packets, seen)
    return child.returncode


def _route_all_addresses_to_loopback() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "route", "add", "local", "default", "dev", "lo"], check=True)
    # Fails where the kernel has no IPv6.
    subprocess.run(["ip", "-6", "route", "add", "local", "default", "dev", "lo"], check=False)


def _resolve_names_by_dns_only(file: Path) -> None:
    """Services other than DNS would be asked over a socket in the file system."""
    if NAME_SERVICE.exists():
        file.write_text("hosts: files dns\n")
        subprocess.run(["mount", "--bind", file, NAME_SERVICE], check=True)


def _note(packets: socket.socket, seen: TextIO) -> None:
    while select.select([packets], [], [], 0)[0]:
        packet, (_, _, direction, *_) = packets.recvfrom(65536)
        if direction == socket.PACKET_OUTGOING and (line := _describe(packet)):
            seen.write(line + "\n")


def _describe(packet: bytes) -> str | None:
    """None for packets that stay on the machine, except DNS: a local server would forward it."""
    if packet[0] >> 4 == 4:
        protocol, receiver, start = packet[9], packet[16:20], 4 * (packet[0] & 15)
    else:
        protocol, receiver, start = packet[6], packet[24:40], 40
    address = ipaddress.ip_address(receiver)
    port = int.from_bytes(packet[start + 2 : start + 4], "big")
    if protocol not in PROTOCOLS or (address.is_loopback and port != DNS_PORT):
        return None
    words = b".".join(re.findall(rb"[\w-]{2,}", packet[start + 8 :])).decode()
    return f"{PROTOCOLS[protocol]} {address} port {port}: {words}"


if __name__ == "__main__":
    sys.exit(main())
