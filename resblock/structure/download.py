"""What a URL holds, the whole of it or an error, within limits of size and time. The one place that uses a network."""

from __future__ import annotations

import email.utils
import http.client
import re
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import IO, Final
from urllib.parse import SplitResult, urlsplit

from resblock import __version__

_CHUNK: Final = 1 << 16
_MISSING: Final = (404, 410)
_BUSY: Final = (408, 429, *range(500, 600))


class DownloadError(Exception):
    """Nothing came, or not the whole; the message says why and names the host."""


class NotFoundError(DownloadError):
    """The server has no such thing."""


class _PassingError(DownloadError):
    """Another attempt may fare better, not before this many seconds."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


@dataclass(frozen=True)
class Patience:
    """How long a download may take."""

    stall: float = 15.0
    """Seconds to connect, and without a byte."""
    whole: float = 600.0
    """Seconds for all attempts together."""
    attempts: int = 4
    pause: float = 1.0
    """Seconds before the second attempt, doubled before each further one."""


def download(url: str, limit: int, patience: Patience) -> bytes:
    """Content of a web address; begun anew where it is cut short, and where the server is busy.

    Parameters
    ----------
    url
        http or https; redirects are followed, but never from https to http.
    limit
        Bytes that it may have.
    patience

    Raises
    ------
    NotFoundError
        The server says so.
    DownloadError
        Whatever else can happen.
    """
    deadline = time.monotonic() + patience.whole
    attempt = 0
    while True:
        attempt += 1
        try:
            return _attempt(url, limit, patience.stall, deadline)
        except _PassingError as error:
            pause = max(error.after, patience.pause * 2 ** (attempt - 1))
            if attempt >= patience.attempts:
                raise DownloadError(f"{error} in each of {attempt} attempts") from None
            if time.monotonic() + pause > deadline:
                raise DownloadError(f"{error}; another attempt would take longer than {patience.whole:g} s") from None
            time.sleep(pause)


def web_address(url: str) -> SplitResult:
    """Parts of a web address.

    Raises
    ------
    DownloadError
        It is none.
    """
    try:
        parts = urlsplit(url)
        # The port is looked at when it is asked for.
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and re.fullmatch("[!-~]+", url):
            return parts
    except ValueError:
        pass
    raise DownloadError(f"{url[:80]!r} is no web address")


def _attempt(url: str, limit: int, stall: float, deadline: float) -> bytes:
    host = web_address(url).netloc
    opener = urllib.request.build_opener(_Redirects)
    request = urllib.request.Request(url, headers={"User-Agent": f"resblock/{__version__}"})
    try:
        with opener.open(request, timeout=stall) as response:
            return _body(response, host, limit, deadline)
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(host, error) from None
    except http.client.IncompleteRead:
        raise _PassingError(f"{host} stopped in the middle") from None
    except OSError as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(cause, TimeoutError):
            raise _PassingError(f"{host} did not answer within {stall:g} s") from None
        if isinstance(cause, ConnectionResetError | ConnectionAbortedError | BrokenPipeError | ssl.SSLEOFError):
            raise _PassingError(f"{host} broke the connection") from None
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise DownloadError(f"the certificate of {host} is not trusted: {cause.verify_message}") from None
        reason = " ".join(str(getattr(cause, "strerror", None) or cause).split())
        raise DownloadError(f"no connection to {host}: {reason}") from None
    except (http.client.HTTPException, ValueError):
        raise DownloadError(f"{host} does not answer as a web server does") from None


def _body(response: http.client.HTTPResponse, host: str, limit: int, deadline: float) -> bytes:
    declared = response.length
    if declared is not None and declared > limit:
        raise DownloadError(f"{host} has {declared >> 20} MiB to send, and {limit >> 20} MiB are allowed")
    content = bytearray()
    # One system call at a time: read would wait for a whole chunk from a server that drips.
    while chunk := response.read1(_CHUNK):
        content += chunk
        if len(content) > limit:
            raise DownloadError(f"{host} sends more than the {limit >> 20} MiB that are allowed")
        if time.monotonic() > deadline:
            raise DownloadError(f"{host} is too slow: {len(content)} bytes in all the time that it had")
    if declared is not None and len(content) < declared:
        raise _PassingError(f"{host} stopped after {len(content)} of {declared} bytes")
    return bytes(content)


def _refusal(host: str, error: urllib.error.HTTPError) -> DownloadError:
    answer = f"{host} answers {error.code} {http.client.responses.get(error.code, '')}".rstrip()
    if error.code in _MISSING:
        return NotFoundError(answer)
    if error.code in _BUSY:
        return _PassingError(answer, _seconds(error.headers.get("Retry-After")))
    if error.code < 400:
        return DownloadError(f"{host} redirects in a circle, or to what is no web address")
    return DownloadError(answer)


def _seconds(retry_after: str | None) -> float:
    """Seconds to wait of a header that holds a number of them or a date."""
    if retry_after is None:
        return 0.0
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        date = email.utils.parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    return max((date - datetime.now(timezone.utc)).total_seconds(), 0.0) if date.tzinfo else 0.0


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects between web addresses that lose no encryption, a few of them."""

    max_repeats, max_redirections = 2, 5

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in ("http", "https") or (req.type == "https" and scheme == "http"):
            raise DownloadError(f"{req.host} redirects from {req.type} to {scheme or 'nowhere'}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
