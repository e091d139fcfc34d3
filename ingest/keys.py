"""The key of the pseudonyms, read from its file."""

from typing import Final

from processors.privacy import Privacy
from schemas.faults import ConfigurationError
from schemas.registry import Registry
from schemas.settings import Settings
from schemas.topics import Topics

_LEAST_BYTES: Final = 32
_NAME: Final = "ARCEAUX_PSEUDONYM_KEY_FILE"


def privacy_of(settings: Settings, registry: Registry) -> Privacy:
    """Give the pseudonyms of a registry's homes.

    Raises ConfigurationError where there are homes and no key, or one that is too short to be a secret.
    """
    key = _load_key(settings, "the registry has dwellings" if registry.dwelling else "")
    return Privacy.of(registry, Topics(settings.topic_root), key)


def privacy_for(settings: Settings, registry: Registry) -> Privacy:
    """Give the same for a command that has to find homes, whether the registry lists any or not."""
    return Privacy.of(registry, Topics(settings.topic_root), _load_key(settings, "homes are found by it"))


def _load_key(settings: Settings, needed: str) -> bytes:
    """Read the key; none at all will do unless it is `needed`, for a reason."""
    path = settings.pseudonym_key_file
    if path is None:
        if needed:
            raise ConfigurationError(f"{_NAME}: needed, since {needed}; make a key: openssl rand -hex 32 > FILE")
        return b""
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(f"{_NAME}: {path} cannot be read ({error.strerror})") from None
    if len(key) < _LEAST_BYTES:
        raise ConfigurationError(
            f"{_NAME}: {path} holds {len(key)} bytes, at least {_LEAST_BYTES} are needed: openssl rand -hex 32 > FILE"
        )
    return key
