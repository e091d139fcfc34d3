"""Erases again what was erased and is there all the same: a backup was restored, or an erasure was interrupted."""

from typing import Final

import structlog

from ingest.database import Connection
from ingest.privacy.erased import bring_up_to_date, readmit_again
from ingest.privacy.erased_file import ErasedFile
from ingest.privacy.erasure import remove
from ingest.sql import load_queries
from processors.privacy import Privacy

_SQL: Final = load_queries("erasure.sql")

log = structlog.get_logger()


async def reapply(connection: Connection, file: ErasedFile | None, privacy: Privacy) -> None:
    """Bring table and file up to date, and erase every home that either says was erased since it was written.

    One that was readmitted after that is erased, too, and only then readmitted: what is there is of before.
    """
    known = await bring_up_to_date(connection, file)
    pseudonyms = await (await connection.execute(_SQL["pseudonyms"])).fetchall() if known.refused else []
    if pseudonyms and not privacy.key:
        log.warning("erasures_unchecked", remedy="set ARCEAUX_PSEUDONYM_KEY_FILE, without which no home is recognised")
        return
    again = [secret for (secret,) in pseudonyms if privacy.mark(secret) in known.refused]
    for secret in again:
        await remove(connection, secret, lambda _: None)
    if again:
        log.warning("erased_again", dwellings=len(again))
    await readmit_again(connection, known)
