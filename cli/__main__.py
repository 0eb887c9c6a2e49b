"""`python -m cli` runs `overread` where no script is installed."""

from cli.main import main

main(prog_name="overread")
