"""`odekit` and `python -m odekit`: the command line. Ctrl-C is one line from the first moment, also during imports."""

import signal
import sys


def main() -> None:
    """Entry point: `odekit.cli.main`."""
    try:
        from odekit.cli import main as command_line
        from odekit.cli.startup import quick_exit
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the program ends anyway
        sys.stderr.write("odekit: interrupted\n")
        raise SystemExit(130) from None
    with quick_exit():
        command_line()


if __name__ == "__main__":
    main()
