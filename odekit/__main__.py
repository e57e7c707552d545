"""`python -m odekit`: the command line, where the installed command `odekit` is not on the path."""

from odekit.cli import main

if __name__ == "__main__":
    main()
