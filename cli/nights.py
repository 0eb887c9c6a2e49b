"""Following a night to its end; the last ones as a table."""

import time
from datetime import datetime
from typing import Any

import click

from cli.client import Client
from cli.fatal import Interrupted, UsageProblem
from cli.progress import progress
from cli.tables import cells, console

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
