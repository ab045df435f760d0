"""The certificate for HTTPS: the operator's, or one of our own for this machine in its network.

Browsers open microphone and camera to pages of HTTPS and of the own machine only. A certificate of
our own is kept, so that a browser that was told to trust it meets it again; it is made anew when it
is about to expire or the machine has an address that is not in it.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from server.config import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    Name = x509.DNSName | x509.IPAddress

_VALID: Final = timedelta(days=397)  # browsers trust none for longer
_RENEWED: Final = timedelta(days=30)  # before it expires
_CLOCKS: Final = timedelta(days=1)  # by which another machine's clock may be behind


class Certificate(NamedTuple):
    """Where a certificate and its key are, as PEM."""

    file: Path
    key: Path

    @property
    def fingerprint(self) -> str:
        """SHA-256 of it, as browsers show it."""
        found = x509.load_pem_x509_certificate(self.file.read_bytes())
        return found.fingerprint(hashes.SHA256()).hex(":").upper()


def certificate_for(settings: Settings) -> Certificate | None:
    """Returns what to serve HTTPS with; None for HTTP.

    Raises:
        SettingsError: certificate or key are missing or cannot be used, or one of our own cannot
            be kept.
    """
    file, key = settings.tls_cert, settings.tls_key
    if settings.tls_self_signed:
        if file or key:
            raise SettingsError("--tls-self-signed makes certificate and key: give no other ones.")
        return own_certificate(settings.tls_dir, names_of_machine(settings.host))
    if file is None and key is None:
        return None
    if file is None or key is None:
        raise SettingsError("--tls-cert and --tls-key go together.")
    found = Certificate(file, key)
    _check(found)
    return found


def own_certificate(folder: Path, names: Iterable[Name]) -> Certificate:
    """Returns the certificate that is kept in a folder, made anew if it does not do.

    Raises:
        SettingsError: the folder cannot be written to.
    """
    found = Certificate(folder / "cert.pem", folder / "key.pem")
    wanted = list(names)
    if not _does(found, wanted):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make(found, wanted)
        except OSError as error:
            reason = error.strerror or "it failed"
            raise SettingsError(f"No certificate can be kept in '{folder}': {reason}.") from None
    return found


def names_of_machine(host: str) -> list[Name]:
    """Returns the names and addresses under which this machine may be met, `host` among them."""
    import ifaddr

    own = socket.gethostname()
    texts = ["localhost", own, f"{own}.local", "127.0.0.1", "::1", host]
    for adapter in ifaddr.get_adapters():
        texts += [each.ip if isinstance(each.ip, str) else each.ip[0] for each in adapter.ips]
    names = (_name(text.partition("%")[0]) for text in dict.fromkeys(texts))
    return [name for name in names if name is not None]


def _name(text: str) -> Name | None:
    """Returns a name as a certificate holds it; None for what cannot be met."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return x509.DNSName(text) if text.isascii() and text else None
    return None if address.is_unspecified else x509.IPAddress(address)


def _does(found: Certificate, wanted: list[Name]) -> bool:
    """Returns whether a certificate is there, names the machine and is valid for some time."""
    try:
        made = x509.load_pem_x509_certificate(found.file.read_bytes())
        _check(found)
        named = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, SettingsError, x509.ExtensionNotFound):
        return False
    is_fresh = made.not_valid_after_utc - _RENEWED > datetime.now(UTC)
    return is_fresh and set(wanted) <= set(named)


def _make(found: Certificate, names: list[Name]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Vivant, self-signed")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS)
        .not_valid_after(now - _CLOCKS + _VALID)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write(found.key, secret)
    _write(found.file, made.public_bytes(serialization.Encoding.PEM))


def _write(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 600
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(name).replace(path)


def _check(found: Certificate) -> None:
    """Accepts a certificate and its key.

    Raises:
        SettingsError: they cannot be read, or do not go together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(found.file, found.key, password=lambda: "")  # else it would ask
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise SettingsError(
            f"The certificate '{found.file}' and the key '{found.key}' cannot be used: {reason}."
        ) from None
