"""Commands that record the broker's traffic and play archives of it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ingest.cli_common import duration_of, registry_of, run, settings_in_force
from ingest.errors import ArceauxError
from schemas.topics import Topics


def record(
    file: Annotated[Path, typer.Argument(help="The capture to write, such as city.jsonl.gz.")],
    *,
    topic: Annotated[list[str] | None, typer.Option(help="An MQTT filter; may be repeated.")] = None,
    duration: Annotated[str | None, typer.Option(help="How long, such as 10m; until Ctrl-C without it.")] = None,
    with_dwellings: Annotated[bool, typer.Option("--with-dwellings", help="Record what homes send, too.")] = False,
    append: Annotated[bool, typer.Option("--append", help="Go on with a capture that is there.")] = False,
    client_id: Annotated[str | None, typer.Option(help="MQTT client id; made up without it.")] = None,
) -> None:
    """Record the broker's traffic to a file. Ctrl-C ends it."""
    from simulators.captures.capture_file import WriteError
    from simulators.captures.record import RecordOptions, run_record
    from simulators.sending.connection import RefusedError

    settings = settings_in_force()
    registry = registry_of(settings)
    limit = None if duration is None else duration_of(duration, "--duration")
    options = RecordOptions(file, tuple(topic or ()), limit, with_dwellings, append, client_id)
    try:
        summary = run(run_record(settings.broker_url, registry, Topics(settings.topic_root), options))
    except (RefusedError, WriteError) as error:
        raise ArceauxError(str(error)) from None
    typer.echo(json.dumps(summary))


def replay(  # noqa: PLR0913 - what a user may say
    file: Annotated[Path, typer.Argument(help="An archive: a file, or a directory of them.")],
    *,
    reader: Annotated[str | None, typer.Option(help="What reads it; guessed from the file's name without it.")] = None,
    speed: Annotated[str, typer.Option(help="A factor of its own pace, or max.")] = "1",
    shift_to_now: Annotated[bool, typer.Option("--shift-to-now", help="Let its times end now.")] = False,
    loop: Annotated[str, typer.Option(help="How often it is played, or forever.")] = "1",
    start: Annotated[str | None, typer.Option(help="Only what is from this time of the archive on.")] = None,
    end: Annotated[str | None, typer.Option(help="Only what is before this time of the archive.")] = None,
    rewrite: Annotated[list[str] | None, typer.Option(help="FROM=TO for topics; may be repeated.")] = None,
    retained: Annotated[bool, typer.Option("--retained", help="Of a capture, what the broker had kept, too.")] = False,
    dwelling: Annotated[str | None, typer.Option(help="Whose home it measured.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="FIELD=HEADER of a CSV; repeated.")] = None,
    zone: Annotated[str | None, typer.Option(help="Of a CSV's times without an offset: Europe/Paris.")] = None,
    time_format: Annotated[str | None, typer.Option(help="Of a CSV's times: %d/%m/%Y %H:%M.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Between a CSV's cells; a comma without it.")] = None,
    true: Annotated[list[str] | None, typer.Option(help="What tells a bay that is taken; may be repeated.")] = None,
) -> None:
    """Play an archive or a capture to the broker, as its sensors did. Ctrl-C ends it."""
    from simulators.readers.records import ArchiveError
    from simulators.replaying.options import Written, check_options
    from simulators.replaying.replay import ReplayError, run_replay
    from simulators.sending.connection import RefusedError

    settings = settings_in_force()
    registry = registry_of(settings)
    written = Written(
        file,
        reader,
        speed,
        shift_to_now,
        loop,
        start,
        end,
        rewrite or (),
        retained,
        dwelling,
        column or (),
        zone,
        time_format,
        delimiter,
        true or (),
    )
    options = check_options(registry, written)
    try:
        done = run(run_replay(settings.broker_url, registry, Topics(settings.topic_root), options))
    except (ArchiveError, ReplayError, RefusedError) as error:
        raise ArceauxError(str(error)) from None
    typer.echo(json.dumps(done.summary()))
