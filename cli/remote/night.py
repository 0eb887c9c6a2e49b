"""`overread night`

Following a night to its end; the last ones as a table.
"""

import time
from datetime import datetime
from typing import Any

import click

from cli.api.client import Client
from cli.errors import Interrupted, UsageProblem
from cli.output import cells, console
from cli.progress import progress


@click.command()
@click.option("--now", "at_once", is_flag=True, help="Run the nightly job now, and follow it.")
@click.option("--cancel", is_flag=True, help="Stop the one that is at work.")
def night(at_once: bool, cancel: bool) -> None:
    """List the last nights, run one now, or cancel the one at work.

    A night looks at the new labels, trains a candidate where there are enough, compares it with
    what is live, and lets the gate decide. With --now: exit 0 where the night came to a decision
    or found nothing to learn, 1 where it failed or was cancelled. Ctrl-C leaves it running.
    """
    from cli.api.client import connect
    from cli.errors import Failed, UsageProblem
    from cli.settings import read_settings

    if at_once and cancel:
        raise UsageProblem("--now and --cancel do not go together")
    with connect(read_settings()) as client:
        if at_once:
            if not follow_night(client):
                raise Failed("the night did not come to a decision")
        elif cancel:
            cancel_open_night(client)
        else:
            print_nights(client)


ASK_EVERY_S = 0.5
LISTED = 20
BROKEN_OFF = ("failed", "cancelled")


def follow_night(client: Client) -> bool:
    """Begun, or the one that is open already. True where it came to a decision."""
    night = client.start_night()
    try:
        night = _follow(client, night)
    except KeyboardInterrupt:
        raise Interrupted(
            f"night {night['id']} goes on; to stop it: overread night --cancel"
        ) from None
    drift = (night["drift"] or {}).get("words")
    for words in (drift, f"{night['words']}: {night['reason']}"):
        if words:
            click.echo(words)
    click.echo(f"{client.url}/nights/{night['id']}")
    return night["outcome"] not in BROKEN_OFF


def cancel_open_night(client: Client) -> None:
    nights = client.nights()["nights"]
    if not nights or not nights[0]["is_open"]:
        raise UsageProblem("no night is at work")
    client.cancel_night(nights[0]["id"])
    click.echo(f"night {nights[0]['id']} stops within seconds")


def print_nights(client: Client) -> None:
    from rich.table import Table

    found = client.nights()
    table = Table("night", "began", "new labels", "candidate", "outcome", "why")
    for night in found["nights"][:LISTED]:
        began = _local(night["started_at"])
        told = (night[name] for name in ("new_labels", "candidate", "words", "reason"))
        table.add_row(*cells(night["id"], began, *told))
    console().print(table)
    due = _local(found["next_due"])
    click.echo(f"The next is due at {due}." if due else "Nights are switched off.")


def _follow(client: Client, night: dict[str, Any]) -> dict[str, Any]:
    with progress(f"Night {night['id']}", total=100, unit="%") as shown:
        stage = ""
        while night["is_open"]:
            if night["words"] != stage:
                stage = night["words"]
                shown.say(f"Night {night['id']}: {stage}")
            shown.show(100 * night["share"], note=night["progress"])
            time.sleep(ASK_EVERY_S)
            night = client.night(night["id"])
    return night


def _local(moment: str | None) -> str:
    """With the zone's name: the reader's may not be the service's."""
    if not moment:
        return ""
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M %Z")
