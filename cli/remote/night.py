"""`overread night`"""

import time
from datetime import datetime
from typing import Any

import click

from cli.api.client import Client, connect
from cli.errors import Failed, Interrupted, UsageProblem
from cli.output import print_table
from cli.progress import progress

POLL_INTERVAL_S = 0.5
LISTED = 20


@click.command()
@click.option("--now", "at_once", is_flag=True, help="Start the nightly training and follow it.")
@click.option("--cancel", is_flag=True, help="Cancel the running one.")
def night(at_once: bool, cancel: bool) -> None:
    """List recent nightly trainings, start one, or cancel the running one.

    It trains a candidate on the new labels if there are enough, compares it with production, and
    lets the promotion gate decide. With --now: exit code 0 if it came to a decision or there was
    nothing to train on, 1 if it failed or was cancelled. It continues after Ctrl-C.
    """
    if at_once and cancel:
        raise UsageProblem("--now and --cancel exclude each other")
    with connect() as client:
        if at_once:
            if not _run(client):
                raise Failed("the night failed or was cancelled")
        elif cancel:
            _cancel(client)
        else:
            _print_nights(client)


def _run(client: Client) -> bool:
    """Start a night or follow the open one; return whether it came to a decision."""
    night = client.post("nights")
    try:
        night = _follow(client, night)
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted; night {night['id']} continues; to cancel it: overread night --cancel"
        ) from None
    if drift := (night["drift"] or {}).get("words"):
        click.echo(drift)
    click.echo(f"{night['words']}: {night['reason']}")
    click.echo(f"{client.url}/nights/{night['id']}")
    return night["outcome"] not in ("failed", "cancelled")


def _follow(client: Client, night: dict[str, Any]) -> dict[str, Any]:
    with progress(f"Night {night['id']}", total=100, unit="%") as shown:
        stage = ""
        while night["is_open"]:
            if night["words"] != stage:
                stage = night["words"]
                shown.say(f"Night {night['id']}: {stage}")
            shown.show(100 * night["share"], note=night["progress"])
            time.sleep(POLL_INTERVAL_S)
            night = client.get(f"nights/{night['id']}")
    return night


def _cancel(client: Client) -> None:
    nights = client.get("nights")["nights"]
    if not nights or not nights[0]["is_open"]:
        raise UsageProblem("no night is running")
    client.post(f"nights/{nights[0]['id']}/cancel")
    click.echo(f"night {nights[0]['id']} is being cancelled")


def _print_nights(client: Client) -> None:
    found = client.get("nights")
    others = ("new_labels", "candidate", "words", "reason")
    print_table(
        ("night", "started", "new labels", "candidate", "outcome", "reason"),
        (
            (night["id"], _local(night["started_at"]), *(night[name] for name in others))
            for night in found["nights"][:LISTED]
        ),
    )
    due = _local(found["next_due"])
    click.echo(f"Next night: {due}" if due else "Nights are disabled.")


def _local(moment: str | None) -> str:
    """Local time with its zone, which may differ from the service's."""
    if not moment:
        return ""
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M %Z")
