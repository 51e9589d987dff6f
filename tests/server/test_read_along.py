"""Commits come in time for whoever reads an archive along, and for nobody else."""

from ferryman_server.read_along import ARCHIVE, FIRST, STEP, Along


class Heard:
    """Counts what was asked for."""

    def __init__(self, offset: int = 0, *, archive: bool = False) -> None:
        self.archives = self.commits = 0
        self.along = Along(offset, archive=archive, on_archive=self._seen, commit=self._commit)

    def _seen(self) -> None:
        self.archives += 1

    def _commit(self) -> None:
        self.commits += 1


def test_the_first_commit_of_an_archive_comes_early() -> None:
    """It comes at the first MiB, the others a good deal apart."""
    heard = Heard()
    heard.along.begins(memoryview(ARCHIVE + b"more"))
    assert heard.archives == 1
    commits = []
    for offset in range(0, 3 * STEP, FIRST // 4):
        heard.along.stored(offset)
        commits.append(heard.commits)
    assert commits[3] == 0
    assert commits[4] == 1
    assert heard.commits == 3


def test_other_uploads_have_no_commits_more() -> None:
    """What is no archive is committed as ever."""
    heard = Heard()
    heard.along.begins(memoryview(b"RIFF"))
    heard.along.stored(10 * STEP)
    assert (heard.archives, heard.commits, heard.along.archive) == (0, 0, False)


def test_a_later_request_goes_on() -> None:
    """In the middle of an upload its beginning is not seen: whoever reads along says what it is."""
    known, unknown = Heard(STEP, archive=True), Heard(STEP)
    for heard in (known, unknown):
        heard.along.stored(2 * STEP)
    assert (known.commits, unknown.commits) == (1, 0)
    assert unknown.along.archive is None


def test_a_few_first_bytes_may_be_an_archives() -> None:
    """A first piece that is shorter than a signature is taken for one if it begins like one."""
    heard = Heard()
    heard.along.begins(memoryview(ARCHIVE[:2]))
    assert heard.along.archive is True
