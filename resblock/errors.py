"""The one error a user can mend."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that names the file, chain, residue or argument, what was found there
    and what to do. The command line prints it and exits with status 2.
    """
