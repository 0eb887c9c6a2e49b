"""`overread reread`"""

import time
from typing import Any

import click

ASK_EVERY_S = 0.5


@click.command()
@click.option("--wait", is_flag=True, help="Follow it to its end.")
def reread(wait: bool) -> None:
    """Read earlier images again with the version that is live.

    Their former answers are kept; new images go first. Said again, it goes on where it is.
    """
    from cli.api.client import connect
    from cli.settings import read_settings

    with connect(read_settings()) as client:
        begun = client.reread()
        if wait:
            begun = _wait(client, begun)
    click.echo(f"{begun['model_version']} has read {begun['done']} of {begun['total']} images")


def _wait(client: Any, begun: dict[str, Any]) -> dict[str, Any]:
    from cli.errors import Interrupted

    try:
        return _follow(client, begun)
    except KeyboardInterrupt:
        raise Interrupted("the re-reading goes on; the same command follows it again") from None


def _follow(client: Any, begun: dict[str, Any]) -> dict[str, Any]:
    from cli.errors import Failed
    from cli.progress import progress

    with progress("Reading again", total=begun["total"]) as shown:
        while not begun["finished_at"]:
            if begun["is_waiting"]:
                raise Failed(f"{begun['model_version']} is no longer live: the rest waits")
            shown.show(begun["done"], total=begun["total"])
            time.sleep(ASK_EVERY_S)
            begun = _same(client.rereadings(), begun)
        shown.show(begun["total"], total=begun["total"])
    return begun


def _same(listed: list[dict[str, Any]], begun: dict[str, Any]) -> dict[str, Any]:
    keys = ("model_version", "operating_point")
    return next(one for one in listed if all(one[key] == begun[key] for key in keys))
