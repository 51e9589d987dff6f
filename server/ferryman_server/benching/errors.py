"""What keeps a machine from being rated."""


class CannotRate(Exception):
    """Nothing can be measured; the text says why and what to do."""
