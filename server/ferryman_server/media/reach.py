"""How far an upload may be read: told by its commits, waited for by whoever reads along."""

import asyncio


class Reach:
    """Everything here is called on the event loop."""

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset  # bytes that are committed
        self.whole = False  # that is all of the upload
        self._more = asyncio.Event()

    def move(self, offset: int) -> None:
        """So much is committed."""
        self.offset = max(self.offset, offset)
        self._more.set()

    def end(self, length: int) -> None:
        """The upload is complete."""
        self.offset, self.whole = length, True
        self._more.set()

    def look(self) -> None:
        """There is something to look at, though no more was committed."""
        self._more.set()

    async def wait(self, seconds: float | None) -> bool:
        """Wait until more is told; False: it was not for so long. None: for ever."""
        try:
            async with asyncio.timeout(seconds):
                await self._more.wait()
        except TimeoutError:
            return False
        self._more.clear()
        return True
