"""`python -m resblock` is the command `resblock`."""

from resblock.cli import main

if __name__ == "__main__":
    main()
