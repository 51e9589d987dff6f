"""What keeps the services from running, in words for the person at the terminal."""


class CannotRun(Exception):
    """The services cannot be started, or one of them has ended; the text says which, and what to do."""
