"""What keeps a measurement from being taken, in words for whoever started it."""


class CannotMeasure(Exception):
    """A program is missing, did not start, or gave an answer that has no figure."""
