"""Name the flowers in pictures: python -m helpers.predict --checkpoint best.pt photo.jpg folder/ ..."""

import argparse
import sys
from pathlib import Path

from helpers.images import UserError
from helpers.prediction import collect_images, load_model, predict_files, write_csv


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m helpers.predict", description="Name the flowers in pictures.")
    parser.add_argument("--checkpoint", type=Path, required=True, help="best.pt, written by helpers.train")
    parser.add_argument("--top", type=int, default=5, help="how many guesses to print (default 5)")
    parser.add_argument("--csv", type=Path, help="also write the best guess for every image to this file")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE_OR_FOLDER")
    options = parser.parse_args(arguments)
    if options.top < 1:
        parser.error("--top must be 1 or more")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, or 2 if something could not be read or written."""
    options = parse(arguments)
    problems = []
    try:
        results, unreadable = predict_files(load_model(options.checkpoint), collect_images(options.images), options.top)
        problems += unreadable
        for guesses in results:
            print(guesses[0].file)
            for guess in guesses:
                print(f"  {guess.probability:6.1%}  {guess.name}")
        if options.csv:
            write_csv(options.csv, results)
    except UserError as error:
        problems.append(str(error))
    except KeyboardInterrupt:
        return 130
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 2 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
