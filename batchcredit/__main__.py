"""`batchcredit` on the command line, and `python -m batchcredit`."""

import sys


def main() -> None:
    """Run the command line and exit with the contract's code."""
    try:
        from batchcredit import host
        from batchcredit.cli import run
    except KeyboardInterrupt:
        sys.exit(2)  # nothing was read yet
    host.keep_secrets_in()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
