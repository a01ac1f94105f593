"""The API's own figures, part by part, each over HTTP against a service of its own.

python -m benchmarks.api [history|creates] [--epochs 1000000] [--streams 1000] [--repeats 9]
"""

import argparse

from benchmarks import api_creates, api_history

PARTS = ("creates", "history")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=PARTS, help="all of them unless named")
    parser.add_argument("--epochs", type=int, default=1_000_000, help="of the long history")
    parser.add_argument("--streams", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    if arguments.part != "history":
        api_creates.measure(repeats=arguments.repeats)
    if arguments.part != "creates":
        api_history.measure(epochs=arguments.epochs, streams=arguments.streams, repeats=arguments.repeats)


if __name__ == "__main__":
    main()
