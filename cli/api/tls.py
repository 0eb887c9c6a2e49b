"""Certificates of the service."""

import ssl
from urllib.parse import urlsplit


def ssl_context(url: str) -> ssl.SSLContext:
    """Trust the public authorities and those of the machine, or of SSL_CERT_FILE."""
    if urlsplit(url).scheme != "https":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # not used; the others take 50 ms to load
    import httpx

    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def tls_problem(error: BaseException | None) -> str | None:
    """Return why a connection failed, if trying again cannot help."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted ({error.verify_message}); "
            "set SSL_CERT_FILE to a file with your authority's certificate"
        )
    if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return "does not speak TLS; is it http://?"
    return None
