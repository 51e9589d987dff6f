"""How a job can fail."""


class JobFailed(Exception):
    """A job was not done. `reason` says why, in words for whoever wants it done; `again`: it may be done later."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again


class WorkerDied(JobFailed):
    """The process that was at it ended, or could not be started."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, again=True)
