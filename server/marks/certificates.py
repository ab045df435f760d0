"""The certificate that credentials are signed with: the operator's, or one made on this machine.

C2PA (2.1, 14.5.1) wants a certificate that somebody else issued and that is for signing; so the
one made here has a root of its own. Nobody trusts that root: it says that a film is whole and that
this machine's server made it, not whose that is.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from streaming_model.errors import VivantError

LOCAL_NAME: Final = "Vivant, local development certificate"
LOCAL_FILE: Final = "local-signer.pem"  # certificates and key in one, so that they always fit
_VALID: Final = timedelta(days=3650)
_CURVES: Final = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_LEAST_RSA: Final = 2048  # bits


class CertificateError(VivantError):
    """A certificate or a key cannot be used."""

    code = "bad_certificate"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What credentials are signed with.

    Attributes:
        algorithm: of the signature, by its name in C2PA.
        chain: certificates, the signer's own first, as PEM.
        key: the private key, as PEM; never printed.
        signer: the signer's name.
    """

    algorithm: str
    chain: str
    key: bytes
    signer: str

    def __repr__(self) -> str:
        return f"Certificate({self.signer!r}, {self.algorithm})"


def read_certificate(chain: Path, key: Path) -> Certificate:
    """Reads an operator's certificates and key, both PEM.

    Raises:
        CertificateError: one cannot be read, has expired, or they do not belong together.
    """
    data = _read(chain)
    try:
        certificates = x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise CertificateError(f"'{chain}' holds no certificate as PEM.") from error
    own = certificates[0]
    private = _read_key(key)
    if _public_bytes(private.public_key()) != _public_bytes(own.public_key()):
        raise CertificateError(f"The key '{key}' is not that of the certificate '{chain}'.")
    if own.not_valid_after_utc < datetime.now(tz=UTC):
        raise CertificateError(f"The certificate '{chain}' ended on {own.not_valid_after_utc:%F}.")
    pem = "".join(_pem(certificate) for certificate in certificates)
    return Certificate(_algorithm(private, key), pem, _key_pem(private), _name(own))


def local_certificate(folder: Path) -> Certificate:
    """Returns the certificate made on this machine, making it the first time.

    Raises:
        CertificateError: it cannot be written or read.
    """
    path = folder / LOCAL_FILE
    if not path.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(path, b"".join(_make()))
        except OSError as error:
            raise CertificateError(
                f"No certificate can be made in '{folder}': {error.strerror}."
            ) from error
    return read_certificate(path, path)


def _make() -> tuple[bytes, bytes]:
    """Returns a certificate with its root, and its key, as PEM."""
    root_key, own_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{LOCAL_NAME}: root")])
    own = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, LOCAL_NAME),
            x509.NameAttribute(NameOID.COMMON_NAME, LOCAL_NAME),
        ]
    )
    now = datetime.now(tz=UTC) - timedelta(minutes=1)

    def builder(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(root)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + _VALID)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()),
                critical=False,
            )
        )

    issuer = (
        builder(root, root_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_issuer=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    signer = (
        builder(own, own_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_issuer=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        )
        .sign(root_key, hashes.SHA256())
    )
    # The root's key is not kept: nothing else is ever signed with it.
    return (_pem(signer) + _pem(issuer)).encode(), _key_pem(own_key)


def _usage(*, is_issuer: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_issuer,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_issuer,
        crl_sign=is_issuer,
        encipher_only=False,
        decipher_only=False,
    )


_Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def _read_key(path: Path) -> _Key:
    try:
        key = serialization.load_pem_private_key(_read(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"'{path}' holds no private key as PEM without password.") from error
    if not isinstance(key, _Key):
        raise CertificateError(f"The key in '{path}' is neither EC, Ed25519 nor RSA.")
    return key


def _algorithm(key: _Key, path: Path) -> str:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < _LEAST_RSA:
            raise CertificateError(f"The RSA key '{path}' has {key.key_size} bits, under 2048.")
        return "ps256"
    if key.curve.name not in _CURVES:
        raise CertificateError(f"The key '{path}' is on curve {key.curve.name}, which C2PA lacks.")
    return _CURVES[key.curve.name]


def _name(certificate: x509.Certificate) -> str:
    for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        if found := certificate.subject.get_attributes_for_oid(kind):
            return str(found[0].value)
    return certificate.subject.rfc4514_string()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(f"'{path}' cannot be read: {error.strerror}.") from error


def _write(path: Path, data: bytes) -> None:
    """Writes a file that nobody else may read, all of it or nothing."""
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")  # mode 600
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    Path(part).replace(path)


def _public_bytes(key: object) -> bytes:
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(encoding, form)  # type: ignore[attr-defined, no-any-return]


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: _Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
