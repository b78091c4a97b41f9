"""Errors as those read them who did not write the program."""


def in_words(error: Exception) -> str:
    """Its message, and its kind where that is not one whose messages are written for users."""
    return str(error) if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {error}"
