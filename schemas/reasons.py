"""Why a reading became a dead letter: a closed set, also the values of a metric label."""

from enum import StrEnum


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
