"""Whose certificates a service's address may have."""

import ssl
from urllib.parse import urlsplit

import httpx


def trust(url: str) -> ssl.SSLContext:
    """Of the machine's authorities (or SSL_CERT_FILE's) and the public ones. Without TLS: none."""
    if urlsplit(url).scheme != "https":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def why_distrusted(error: BaseException | None) -> str | None:
    """A clause, where a connection failed for what trying again cannot mend."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted ({error.verify_message}); "
            "SSL_CERT_FILE may name a file with your authority's"
        )
    if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return "does not speak TLS there; is it http://?"
    return None
