"""Others that look at a data folder know of contents that have no file yet."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ferryman_protocol.model import Phase
from ferryman_server.checkup.reading_back import verified
from ferryman_server.state.base import State
from ferryman_server.storage.local import LocalStore
from tests.server.data_folder import data_folder, id_of, record_of


async def test_a_verification_reads_what_only_the_database_knows(tmp_path: Path) -> None:
    """`ferryman doctor --verify` beside a server, or after a crash: nothing is damaged, nothing is changed."""
    async with data_folder(tmp_path) as folder:
        await folder.state.create(record_of(1, Phase.COMPLETE, b"bytes"), content=b"bytes")
        findings = await verified(folder.state, LocalStore(tmp_path))
        assert [finding.level for finding in findings] == ["ok"]
        assert folder.files() == {}


async def test_a_verification_is_not_misled_by_a_server_that_writes_meanwhile(tmp_path: Path) -> None:
    """A content that was neither recalled nor in its file when it was looked for is looked for once more."""
    async with data_folder(tmp_path) as folder:
        late: Any = Late(folder.state)
        await folder.state.create(record_of(1, Phase.COMPLETE, b"bytes"), content=b"bytes")
        findings = await verified(late, LocalStore(tmp_path))
        assert [finding.level for finding in findings] == ["ok"]
        await folder.state.drop_redo([id_of(1)])
        (finding,) = await verified(folder.state, LocalStore(tmp_path))
        assert "missing" in finding.text


class Late:
    """A state whose first answer about contents came before there were any."""

    def __init__(self, inner: State) -> None:
        self._inner = inner
        self._asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def redo(self, limit: int) -> Sequence[tuple[str, bytes]]:
        """Nothing, the first time."""
        self._asked += 1
        return [] if self._asked == 1 else await self._inner.redo(limit)
