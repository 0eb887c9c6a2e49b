"""`overread night`"""

import click


@click.command()
@click.option("--now", "at_once", is_flag=True, help="Run the nightly job now, and follow it.")
@click.option("--cancel", is_flag=True, help="Stop the one that is at work.")
def night(at_once: bool, cancel: bool) -> None:
    """List the last nights, run one now, or cancel the one at work.

    A night looks at the new labels, trains a candidate where there are enough, compares it with
    what is live, and lets the gate decide. With --now: exit 0 where the night came to a decision
    or found nothing to learn, 1 where it failed or was cancelled. Ctrl-C leaves it running.
    """
    from cli.client import connect
    from cli.fatal import Failed, UsageProblem
    from cli.nights import cancel_open_night, follow_night, print_nights
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
