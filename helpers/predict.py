"""Predict the flowers in images: python -m helpers.predict --checkpoint best.pt photo.jpg folder/ ..."""

import argparse
import sys
from pathlib import Path

from helpers.base import UserError, run_command
from helpers.prediction import collect_images, load_model, predict_files, write_csv


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m helpers.predict", description="Predict the flowers in images.")
    parser.add_argument("--checkpoint", type=Path, required=True, help="best.pt, written by helpers.train")
    parser.add_argument("--top", type=int, default=5, help="how many classes to print per image (default: 5)")
    parser.add_argument("--csv", type=Path, help="also write the most probable class of every image to this file")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE_OR_FOLDER")
    options = parser.parse_args(arguments)
    if options.top < 1:
        parser.error("--top must be 1 or more")
    return options


def predict(options: argparse.Namespace) -> int:
    """Print the predictions; returns 2 if an image or the CSV file failed, which does not stop the others."""
    results, errors = predict_files(load_model(options.checkpoint), collect_images(options.images), options.top)
    for guesses in results:
        print(guesses[0].file)
        for guess in guesses:
            print(f"  {guess.probability:6.1%}  {guess.name}")
    try:
        if options.csv:
            write_csv(options.csv, results)
    except UserError as error:
        errors.append(str(error))
    for message in errors:
        print(f"error: {message}", file=sys.stderr)
    return 2 if errors else 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parse(arguments)
    return run_command(lambda: predict(options))


if __name__ == "__main__":
    sys.exit(main())
