"""`overread reread`"""

import time
from typing import Any

import click

from cli.api.client import Client, connect
from cli.errors import Failed, Interrupted
from cli.progress import progress

POLL_INTERVAL_S = 0.5


@click.command()
@click.option("--wait", is_flag=True, help="Follow it to its end.")
def reread(wait: bool) -> None:
    """Predict earlier images again with the production version.

    Earlier predictions are kept; new images have priority. Run again to see how far it is.
    """
    with connect() as client:
        rereading = client.post("rereadings")
        if wait:
            try:
                rereading = _follow(client, rereading)
            except KeyboardInterrupt:
                raise Interrupted(
                    "interrupted; the rereading continues; run the same command to follow it"
                ) from None
    done = f"{rereading['done']} of {rereading['total']} images"
    click.echo(f"{rereading['model_version']} has predicted {done}")


def _follow(client: Client, rereading: dict[str, Any]) -> dict[str, Any]:
    with progress("Rereading", total=rereading["total"]) as shown:
        while not rereading["finished_at"]:
            if rereading["is_waiting"]:
                version = rereading["model_version"]
                raise Failed(f"{version} is no longer in production; the rest waits")
            shown.show(rereading["done"], total=rereading["total"])
            time.sleep(POLL_INTERVAL_S)
            key = (rereading["model_version"], rereading["operating_point"])
            listed = client.get("rereadings")["rereadings"]
            rereading = next(r for r in listed if (r["model_version"], r["operating_point"]) == key)
        shown.show(rereading["total"], total=rereading["total"])
    return rereading
