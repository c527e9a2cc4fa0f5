"""Which servers are believed to be what they say, and what to do about one that is not."""

from __future__ import annotations

import os
import ssl

import httpx

from itune_core.api import ModelError


def trusted() -> ssl.SSLContext:
    """Certificates that servers are trusted by, which takes a while to read.

    Raises:
        ModelError: ``E-BACKEND-038`` those that ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` names are not there.
    """
    folders = os.environ.get("SSL_CERT_DIR")
    if folders and not os.environ.get("SSL_CERT_FILE") and not any(map(os.path.isdir, folders.split(os.pathsep))):
        raise ModelError(  # OpenSSL would do without
            "E-BACKEND-038",
            "the certificates to trust cannot be read",
            why=f"there is no folder {folders}",
            fix="let SSL_CERT_DIR name a folder of certificates as `openssl rehash` leaves them, or unset it",
        )
    try:
        return httpx.create_ssl_context()
    except OSError as error:  # ssl.SSLError is one
        raise ModelError(
            "E-BACKEND-038",
            "the certificates to trust cannot be read",
            why=str(error),
            fix="let SSL_CERT_FILE name a file of certificates (PEM), or unset it",
        ) from None


def nobody() -> ssl.SSLContext:
    """No certificates, where there is no TLS: takes no time, and whatever is shown is refused."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def distrust(base_url: str, failed: Exception) -> ModelError | None:
    """Why another connection would fail as this one did, if it would."""
    error: BaseException | None = failed
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    if isinstance(error, ssl.SSLError) and any(alert in str(error) for alert in _OF_OURS):
        return ModelError(
            "E-BACKEND-038",
            f"the server at {base_url} asks for a certificate of ours",
            why=error.reason or str(error),
            fix="no certificate is ever sent: ask who runs the server for an address that takes an `api_key`",
        )
    if not isinstance(failed, httpx.ConnectError):  # it went well at first
        return None
    if isinstance(error, ssl.SSLCertVerificationError):
        return ModelError(
            "E-BACKEND-038",
            f"the server at {base_url} does not prove that it is the one",
            why=f"its certificate is refused: {error.verify_message}",
            fix=_FIXES.get(error.verify_code, _OTHER_AUTHORITY),
        )
    if isinstance(error, ssl.SSLError) and not _may_pass(error):
        return ModelError(
            "E-BACKEND-038",
            f"the server at {base_url} cannot be spoken to by TLS",
            why=error.reason or str(error),
            fix="where it speaks plain HTTP, begin `base_url` with http://; else ask who runs it",
        )
    return None


def _may_pass(error: ssl.SSLError) -> bool:
    """Whether the server hung up, or says that something is wrong with itself."""
    return isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) or "INTERNAL_ERROR" in (error.reason or "")


_OF_OURS = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE")
"""In the names of alerts of a server that asks for a certificate. By TLS 1.3 they come with the first thing that is
read, after the handshake."""

_OTHER_NAME = "write `base_url` with a name that the certificate holds"
_OTHER_TIME = "it is out of date, or this machine's clock is: check the clock, else ask who runs the server"
_OTHER_AUTHORITY = (
    "if an authority of your own signed it, put that authority's certificate into a file with those of the others that "
    "you trust, and export SSL_CERT_FILE=that-file.pem; else ask who runs the server"
)
_FIXES = {9: _OTHER_TIME, 10: _OTHER_TIME, 62: _OTHER_NAME, 63: _OTHER_NAME, 64: _OTHER_NAME}
"""By OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and _CERT_HAS_EXPIRED; _HOSTNAME_MISMATCH and those of e-mail and IP
addresses."""
