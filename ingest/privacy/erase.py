"""What `arceaux privacy erase` and `readmit` do, step by step."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ingest.database import Connection
from ingest.dead_letter_queries import clock, is_writer_at_work
from ingest.errors import ArceauxError
from ingest.privacy.erased import bring_up_to_date, note
from ingest.privacy.erased_file import NEVER_ERASED, ErasedFile, Standing
from ingest.privacy.erasure import Told, find, remove
from ingest.privacy.search import search
from processors.privacy import Privacy

_TAKEN_UP_WITHIN: Final = 10.0
"""The service looks at its registry four times a second."""
_LOOK_AGAIN: Final = 0.2
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure came to: rows removed and found, by table; `before` is when the home was erased already."""

    at: datetime
    before: datetime | None
    removed: Mapping[str, int]
    found: Mapping[str, int]


async def erase(connection: Connection, privacy: Privacy, dwelling: str, file: ErasedFile | None, told: Told) -> Erased:
    """Erase a home that does not consent, and look whether anything is left.

    Raises ArceauxError, with nothing done, where the service still takes it for one that does, or nobody knows it.
    """
    secret = privacy.pseudonym(dwelling)
    mark = privacy.mark(secret)
    await _consent_is_withdrawn(connection, secret)
    standing = (await bring_up_to_date(connection, file)).standings.get(mark, NEVER_ERASED)
    is_known = any(standing) or dwelling in privacy.pseudonyms or await find(connection, secret) is not None
    if not (is_known or await search(connection, secret, None, told)):
        raise ArceauxError("nothing is held of a dwelling of this id, nor does the registry list it: is it written so?")
    before = standing.erased_at if standing.is_erased else None
    at = before or await _moment_after(connection, standing)
    if before is None:
        await note(connection, file, {mark: Standing(erased_at=at)})
    home, removed = await remove(connection, secret, told)
    return Erased(at, before, removed, await search(connection, secret, home, told))


async def readmit(connection: Connection, privacy: Privacy, dwelling: str, file: ErasedFile | None) -> None:
    """Let a home in again that was erased. Raises ArceauxError where it was not, or where its erasure is not done."""
    secret = privacy.pseudonym(dwelling)
    mark = privacy.mark(secret)
    known = await bring_up_to_date(connection, file)
    if mark not in known.refused:
        raise ArceauxError("this dwelling is not erased: there is nothing to readmit")
    if await find(connection, secret) is not None:
        raise ArceauxError("the erasure of this dwelling is not finished: run `arceaux privacy erase` again first")
    at = await _moment_after(connection, known.standings[mark])
    await note(connection, file, {mark: Standing(readmitted_at=at)})


async def _moment_after(connection: Connection, standing: Standing) -> datetime:
    """Give the database's time; after every event that is known, whatever clock that was dated by."""
    now = await clock(connection)
    return now if standing.latest is None else max(now, standing.latest + _MICROSECOND)


async def _consent_is_withdrawn(connection: Connection, secret: str) -> None:
    """Wait until a service that is at work has taken the withdrawal up; where none is, the registry's word will do."""
    deadline = time.monotonic() + _TAKEN_UP_WITHIN
    while (home := await find(connection, secret)) is not None and home.consents:
        if not await is_writer_at_work(connection):
            return
        if time.monotonic() > deadline:
            raise ArceauxError(
                "the service has not taken up that this dwelling does not consent: let it read the same registry, "
                "and look for registry_refused in its log"
            )
        await asyncio.sleep(_LOOK_AGAIN)
