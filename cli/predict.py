"""`overread predict`"""

import sys
from pathlib import Path

import click


@click.command()
@click.argument(
    "paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--jsonl", is_flag=True, help="Print JSON lines, each as soon as it is known.")
@click.option(
    "--overlays",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also write pictures that show where the network looked.",
)
@click.option(
    "--engine",
    type=click.Choice(["openvino", "tensorflow"]),
    default="openvino",
    show_default=True,
    help="The compiled network, or the reference.",
)
def predict(paths: tuple[Path, ...], jsonl: bool, overlays: Path | None, engine: str) -> None:
    """Read files, folders or zips here and now; no service needed.

    Exit code 0: every file was predicted; 1: some were refused or failed.
    """
    from cli.predicting import predict_paths
    from cli.settings import read_settings

    all_predicted = predict_paths(
        paths,
        settings=read_settings(),
        engine="tensorflow" if engine == "tensorflow" else "openvino",
        as_json=jsonl,
        overlays=overlays,
    )
    sys.exit(0 if all_predicted else 1)
