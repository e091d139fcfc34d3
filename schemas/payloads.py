"""Payloads in, as TypedDicts: pydantic validates one in about a microsecond, half the time of a model.

Strict: a number in quotes is no number, 1 is not true. NaN and infinity are refused. Unknown fields are ignored.
"""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1

_RFC3339 = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-5][0-9])?$"
"""Its offset may be missing: that is judged later, with a reason of its own."""

Time = Annotated[str, Field(pattern=_RFC3339)] | int | float | None
Int32 = Annotated[int, Field(ge=INT32_MIN, le=INT32_MAX)]
Counter32 = Annotated[int, Field(ge=0, le=2**32 - 1)]
Natural32 = Annotated[int, Field(ge=0, le=INT32_MAX)]
Status = Literal["open", "full", "closed"]


def _fold_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


_STRICT = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


@with_config(_STRICT)
class SpotPayload(TypedDict):
    """The state of one bay: `occupied`, with `battery` in volts, `temperature` in degrees Celsius."""

    occupied: bool
    time: NotRequired[Time]
    battery: NotRequired[float | None]
    temperature: NotRequired[float | None]
    seq: NotRequired[Natural32 | None]


@with_config(_STRICT)
class CountPayload(TypedDict):
    """What a car park's counter tells: free places, perhaps the total and a status."""

    free: Int32
    time: NotRequired[Time]
    total: NotRequired[Natural32 | None]
    status: NotRequired[Annotated[Status, BeforeValidator(_fold_case)] | None]


@with_config(_STRICT)
class ChirpStackUplink(TypedDict):
    """An uplink as ChirpStack v4 tells it, of what is used here. A field that is 0, false or empty is left out."""

    time: NotRequired[Time]
    devAddr: NotRequired[str | None]
    fCnt: NotRequired[Counter32 | None]
    data: NotRequired[str | None]
    object: NotRequired[dict[str, Any] | None]


@with_config(_STRICT)
class TtsUplink(TypedDict):
    """What The Things Stack v3 wraps around an uplink: the time at its application server, and whether it is real."""

    received_at: NotRequired[Time]
    simulated: NotRequired[bool | None]
    uplink_message: dict[str, Any]


@with_config(_STRICT)
class TtsMessage(TypedDict):
    """An uplink as The Things Stack v3 tells it. A field that is 0, false or empty is left out."""

    received_at: NotRequired[Time]
    session_key_id: NotRequired[str | None]
    f_cnt: NotRequired[Counter32 | None]
    frm_payload: NotRequired[str | None]
    decoded_payload: NotRequired[dict[str, Any] | None]


SPOT = TypeAdapter(SpotPayload)
COUNT = TypeAdapter(CountPayload)
CHIRPSTACK = TypeAdapter(ChirpStackUplink)
TTS = TypeAdapter(TtsUplink)
TTS_MESSAGE = TypeAdapter(TtsMessage)
