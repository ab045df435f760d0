"""Makes a server's access out of its settings, or says in one sentence why it must not start."""

from __future__ import annotations

from server.access.access import Access
from server.access.hosts import is_local_name
from server.access.keys import KeyFile, KeyRing
from server.access.principal import ANYBODY, LOCAL
from server.access.quotas import Quotas
from server.access.tokens import Tokens
from server.clock import Clock
from server.config import Settings, SettingsError
from server.origins import Origins


def is_for_this_machine(settings: Settings) -> bool:
    """Returns whether the server is for its own machine alone, so that nobody has to log in."""
    return is_local_name(settings.host) and not (settings.require_key or settings.insecure)


def require_access(settings: Settings) -> None:
    """Accepts settings with which strangers cannot use the server, before anything is loaded.

    Raises:
        SettingsError: others could reach it, and there is neither a key nor the operator's word.
    """
    if settings.insecure and settings.require_key:
        raise SettingsError("Of --insecure and --require-key only one can be meant.")
    if settings.insecure or is_for_this_machine(settings) or _keys(settings):
        return
    raise SettingsError(
        f"Whoever reaches {settings.host} could use this server: make a key with "
        "`vivant keys add NAME`, or start it with --insecure."
    )


def make_access(settings: Settings, origins: Origins, clock: Clock) -> Access:
    """Returns who may use the server.

    Raises:
        SettingsError: others could reach it, and there is neither a key nor the operator's word.
        QuotaFileError: the quotas cannot be read.
    """
    require_access(settings)
    keys = _keys(settings)
    is_local = is_for_this_machine(settings)
    is_open = is_local or settings.insecure
    usual = LOCAL if is_local else ANYBODY
    return Access(
        usual=usual if is_open else None,
        keys=keys,
        tokens=Tokens(settings.token_secret, is_active=None if is_open else keys.is_active),
        origins=origins,
        token_time=settings.token_time,
        rate=0.0 if is_local else settings.rate_limit,
        clock=clock,
        quotas=Quotas(settings.quotas),
    )


def _keys(settings: Settings) -> KeyRing:
    return KeyRing(KeyFile(settings.keys_file), fixed=settings.api_key)
