"""The errors that elman raises on purpose; the command line prints them without a traceback."""


class InputError(ValueError):
    """What the user gave can't be used: the message says what was expected, what was found, where, and what to do."""


class TrainingError(RuntimeError):
    """Training can't go on: the loss is not finite or has exploded. The last good checkpoint is kept."""
