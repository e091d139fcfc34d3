"""A recording: traffic of the broker, written to a capture until it is told to stop."""

import secrets
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from schemas.faults import ConfigurationError
from schemas.registry import Registry
from schemas.settings import BrokerAddress
from schemas.topics import Topics
from simulators.captures.capture_file import CaptureFile, create, reopen
from simulators.captures.homes import Owners, Whose
from simulators.captures.lines import Recording
from simulators.captures.recorder import Recorder
from simulators.progress import Standing, shown
from simulators.stopping import stop_on_signals
from simulators.topic_filters import check_filter

log = structlog.get_logger("simulators.record")


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """What a user wrote: no `topics` are those of the sensors, no `client_id` is one that is made up."""

    file: Path
    topics: tuple[str, ...] = ()
    duration: timedelta | None = None
    with_dwellings: bool = False
    append: bool = False
    client_id: str | None = None


def open_capture(options: RecordOptions, topics: Topics) -> tuple[CaptureFile, Recording]:
    """Make the capture, or open it again; what is recorded then is what its header says.

    Raises ConfigurationError, also where an option says other than the header.
    """
    if not options.append:
        recording = _recording(options, topics)
        return create(options.file, recording), recording
    file, old, torn = reopen(options.file)
    if torn:
        log.warning("capture_torn", bytes=torn)
    if not _goes_on_with(old, options):
        file.close()
        raise ConfigurationError(
            f"--append: {options.file} has {', '.join(old.topics)}{' with dwellings' if old.with_dwellings else ''} as "
            f"{old.client_id}; leave out --topic, --with-dwellings and --client-id, or name another file"
        )
    return file, old


def _goes_on_with(old: Recording, options: RecordOptions) -> bool:
    """Tell whether what is asked for, as far as it is, is what was recorded before."""
    return (
        options.topics in ((), old.topics)
        and options.with_dwellings in (False, old.with_dwellings)
        and options.client_id in (None, old.client_id)
    )


async def run_record(broker_url: str, registry: Registry, topics: Topics, options: RecordOptions) -> dict[str, Any]:
    """Record until SIGINT, SIGTERM or for so long; give the summary.

    Raises ConfigurationError before anything is connected to, RefusedError where the broker does not let us, WriteError
    where the disk does not.
    """
    file, recording = open_capture(options, topics)
    duration = None if options.duration is None else options.duration.total_seconds()
    recorder = Recorder(BrokerAddress(broker_url), recording, file, Owners(registry, topics), duration)
    try:
        with stop_on_signals() as stop, shown(lambda: _standing(recorder)):
            await recorder.run(stop)
    finally:
        file.close()
    if not recorder.has_ended_session:
        log.warning("session_left", client_id=recording.client_id, remedy="go on with --append, or let it expire")
    return _summary(recorder, file)


def _recording(options: RecordOptions, topics: Topics) -> Recording:
    for text in options.topics:
        try:
            check_filter(text)
        except ValueError as error:
            raise ConfigurationError(f"--topic {text}: {error}") from None
        if text.startswith(f"{topics.root}/dwellings/") and not options.with_dwellings:
            # Nothing of it would be written, but for a home's id, in the header.
            raise ConfigurationError(f"--topic {text}: homes are left out unless --with-dwellings is given")
    homes = f"{topics.root}/dwellings/#"
    default = tuple(text for text in topics.data_filters if options.with_dwellings or text != homes)
    client_id = options.client_id or f"arceaux-record-{secrets.token_hex(4)}"
    return Recording(client_id=client_id, topics=options.topics or default, with_dwellings=options.with_dwellings)


def _seconds(recorder: Recorder) -> float:
    return 0.0 if recorder.started is None else time.monotonic() - recorder.started


def _standing(recorder: Recorder) -> Standing:
    return Standing(recorder.tally.messages, None, _seconds(recorder))


def _summary(recorder: Recorder, file: CaptureFile) -> dict[str, Any]:
    tally = recorder.tally
    return {
        "messages": tally.messages,
        "bytes": tally.bytes,
        "compressed_bytes": file.compressed,
        "topics": len(tally.topics),
        "retained": tally.retained,
        "dwellings_left_out": tally.left_out[Whose.HOME],
        "unknown_devices_left_out": tally.left_out[Whose.UNKNOWN_DEVICE],
        "seconds": round(_seconds(recorder), 3),
        "session_ended": recorder.has_ended_session,
    }
