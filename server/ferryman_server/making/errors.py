"""What is raised where nothing can be made of a medium."""


class CannotMake(Exception):
    """It is not to be tried again. `reason` says why, in words for whoever uploaded the medium."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
