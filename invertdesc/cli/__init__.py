"""The `invertdesc` command: one file a subcommand."""

import sys
from collections.abc import Sequence
from contextlib import suppress

from invertdesc.cli.interrupts import STOPPED, end_at_once, hear_interrupts


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, with errors as one line and an exit status of 2.

    Args:
        arguments: What stands behind the command's name; None for the process's, with its Ctrl-C.

    Raises:
        SystemExit: Always: 0 after success, 2 after bad input, 130 when stopped from the keyboard.
    """
    try:
        if arguments is None:
            hear_interrupts()
            from invertdesc.cli.app import run_alone  # which imports much: after the line above

            status = run_alone(sys.argv[1:])
            end_at_once()
        else:
            from invertdesc.cli.app import run

            status = run(arguments)
    except KeyboardInterrupt:
        with suppress(OSError, AttributeError):  # stderr is full, or closed
            sys.stderr.write("Stopped.\n")
        status = STOPPED
    sys.exit(status)
