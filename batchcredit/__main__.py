"""`batchcredit` on the command line, and `python -m batchcredit`."""

import sys


def main() -> None:
    """Run the command line and exit with the contract's code."""
    from batchcredit.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
