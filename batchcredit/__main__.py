"""`batchcredit` on the command line, and `python -m batchcredit`."""

import sys


def main() -> None:
    """Run the command line and exit with the contract's code."""
    try:
        from batchcredit import host
        from batchcredit.cli import run

        host.keep_secrets_in()
        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # before anybody listened
        sys.stderr.write("stopped before anything was sent\n")
        code = 2
    sys.exit(code)


if __name__ == "__main__":
    main()
