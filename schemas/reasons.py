"""Why a reading became a dead letter: a closed set, also the values of a metric label."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple


class Reason(StrEnum):
    """The reasons; see docs/delivery.md."""

    UNROUTABLE_TOPIC = "unroutable_topic"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    MALFORMED_PAYLOAD = "malformed_payload"
    SCHEMA_VIOLATION = "schema_violation"
    UNKNOWN_ASSET = "unknown_asset"
    TIME_MISSING_OFFSET = "time_missing_offset"
    TIME_TOO_LATE = "time_too_late"
    TIME_IN_FUTURE = "time_in_future"
    VALUE_OUT_OF_RANGE = "value_out_of_range"
    SENSOR_LIMIT_REACHED = "sensor_limit_reached"
    IDENTITY_MISMATCH = "identity_mismatch"
    DATABASE_REJECTED = "database_rejected"


class Explanation(NamedTuple):
    """What a reason means, and what to do; for people."""

    cause: str
    remedy: str


EXPLANATIONS: Final[Mapping[Reason, Explanation]] = {
    Reason.UNROUTABLE_TOPIC: Explanation(
        "the topic is none of those that docs/formats.md lists", "correct the device's topic"
    ),
    Reason.UNKNOWN_ASSET: Explanation(
        "the registry lists no such car park, bay or home", "add it to the registry, then replay"
    ),
    Reason.PAYLOAD_TOO_LARGE: Explanation(
        "more bytes than ARCEAUX_MAX_PAYLOAD_BYTES", "send less, or raise the setting"
    ),
    Reason.MALFORMED_PAYLOAD: Explanation(
        "neither JSON nor, of a home, CBOR; NaN and Infinity are not JSON either", "correct the device's encoder"
    ),
    Reason.SCHEMA_VIOLATION: Explanation(
        "another shape than the format's: see the detail", "correct the device or its gateway"
    ),
    Reason.VALUE_OUT_OF_RANGE: Explanation(
        "a number does not fit its field, lies beyond the bounds of its sensor, or is impossible after the one before",
        "correct the device; or widen the bounds in the registry, then replay; a true jump: replay",
    ),
    Reason.TIME_MISSING_OFFSET: Explanation(
        "a time without an offset, and no timezone in the registry", "send an offset; or set timezone, then replay"
    ),
    Reason.TIME_TOO_LATE: Explanation(
        "the time lies more than ARCEAUX_MAX_LATENESS before the arrival",
        "set the device's clock; or raise the setting, then replay",
    ),
    Reason.TIME_IN_FUTURE: Explanation(
        "the time lies more than ARCEAUX_MAX_FUTURE after the arrival", "set the device's clock"
    ),
    Reason.SENSOR_LIMIT_REACHED: Explanation(
        "the home has max_sensors sensors already",
        "raise max_sensors, then replay; or stop whatever invents names",
    ),
    Reason.IDENTITY_MISMATCH: Explanation(
        "the name of a sensor holds the id of a home", "correct the gateway: what a home sends must name no home"
    ),
    Reason.DATABASE_REJECTED: Explanation(
        "the database refused the row: see the detail", "mend the database, then replay"
    ),
}
