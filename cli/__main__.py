"""`python -m cli` is `overread`, for where no script is installed."""

from cli.main import main

main(prog_name="overread")
