"""Which servers are believed to be what they say, and what to do about one that is not."""

from __future__ import annotations

import ssl

import httpx

from itune_core.api import ModelError


def trusted() -> ssl.SSLContext:
    """Certificates that servers are trusted by, which takes a while to read."""
    try:
        return httpx.create_ssl_context()
    except OSError as error:  # ssl.SSLError is one
        raise ModelError(
            "E-BACKEND-038",
            "the certificates to trust cannot be read",
            why=str(error),
            fix="let SSL_CERT_FILE name a file of certificates (PEM), or unset it",
        ) from None


def distrust(base_url: str, failed: httpx.TransportError) -> ModelError | None:
    """Why another connection would fail as this one did, if it would."""
    error: BaseException | None = failed if isinstance(failed, httpx.ConnectError) else None
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    if isinstance(error, ssl.SSLCertVerificationError):
        return ModelError(
            "E-BACKEND-038",
            f"the server at {base_url} does not prove that it is the one",
            why=f"its certificate is refused: {error.verify_message}",
            fix=_OTHER_NAME if error.verify_code in _OF_A_NAME else _OTHER_AUTHORITY,
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


_OF_A_NAME = (62, 63, 64)
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH, and those of e-mail and IP addresses."""

_OTHER_NAME = "write `base_url` with a name that the certificate holds"
_OTHER_AUTHORITY = (
    "if an authority of your own signed it, put that authority's certificate into a file with those of the others that "
    "you trust, and export SSL_CERT_FILE=that-file.pem; else ask who runs the server"
)
