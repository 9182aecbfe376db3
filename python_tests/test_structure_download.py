"""What comes through a network, from a server on this machine."""

import http.client
import socket
import threading
import urllib.request
from dataclasses import replace
from email.utils import formatdate

import pytest
from web import IMPATIENT, Answer, redirect, serving

from resblock.structure.download import DownloadError, NotFoundError, Patience, _Redirects, _seconds, download

LIMIT = 1 << 20
TEXT = b"what was asked for\n" * 1000


@pytest.fixture
def web(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with serving() as web:
        yield web


def get(web, patience=IMPATIENT, limit=LIMIT):
    return download(f"{web.address}/x", limit, patience)


def refused(web, message, patience=IMPATIENT, limit=LIMIT):
    with pytest.raises(DownloadError, match=message) as caught:
        get(web, patience, limit)
    assert "\n" not in str(caught.value)
    return caught


def test_what_is_there_comes_at_once(web):
    web["/x"] = Answer(TEXT)
    assert get(web) == TEXT
    assert web.requests == ["/x"]


def test_of_unknown_length(web):
    web["/x"] = Answer(TEXT, declared=None)
    assert get(web) == TEXT


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_there_is_asked_for_once(web, status):
    web["/x"] = Answer(b"<html>no</html>", status=status)
    with pytest.raises(NotFoundError, match=f"127.0.0.1:[0-9]+ answers {status}"):
        get(web)
    assert len(web.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_is_final(web, status):
    web["/x"] = Answer(status=status)
    assert not isinstance(refused(web, f"answers {status} [A-Z]").value, NotFoundError)
    assert len(web.requests) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(web, status):
    web["/x"] = [Answer(status=status), Answer(status=status), Answer(TEXT)]
    assert get(web) == TEXT
    assert len(web.requests) == 3


def test_a_server_that_stays_busy_is_left(web):
    web["/x"] = Answer(status=503)
    refused(web, "answers 503 Service Unavailable in each of 3 attempts")
    assert len(web.requests) == 3


def test_pauses_grow(web):
    web["/x"] = [Answer(status=503), Answer(status=503), Answer(TEXT)]
    get(web, replace(IMPATIENT, pause=0.1))
    first, second = (after - before for before, after in zip(web.seconds, web.seconds[1:], strict=False))
    assert first >= 0.1
    assert second >= 0.2


def test_a_server_says_how_long_to_wait(web):
    web["/x"] = [Answer(status=429, headers={"Retry-After": "1"}), Answer(TEXT)]
    assert get(web) == TEXT
    assert web.seconds[1] - web.seconds[0] >= 1.0


def test_nobody_waits_an_hour(web):
    web["/x"] = Answer(status=429, headers={"Retry-After": "3600"})
    refused(web, "answers 429 Too Many Requests; another attempt would take longer than 5 s")
    assert len(web.requests) == 1


def test_seconds_to_wait():
    assert _seconds(None) == 0
    assert _seconds("17") == 17
    assert 50 < _seconds(formatdate(usegmt=True, timeval=None).replace("GMT", "-0001")) < 62
    assert _seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert _seconds("soon") == _seconds("-5") == _seconds("") == 0


def test_cut_short_then_whole(web):
    web["/x"] = [Answer(TEXT[:500], declared=len(TEXT)), Answer(TEXT)]
    assert get(web) == TEXT


def test_always_cut_short(web):
    web["/x"] = Answer(TEXT[:500], declared=len(TEXT))
    refused(web, f"stopped after 500 of {len(TEXT)} bytes in each of 3 attempts")


def test_cut_short_between_chunks(web):
    chunked = {"Transfer-Encoding": "chunked"}
    web["/x"] = [
        Answer(b"3\r\nabc\r\n", headers=chunked, declared=None),
        Answer(b"6\r\nabc", headers=chunked, declared=None),
        Answer(b"3\r\nabc\r\n0\r\n\r\n", headers=chunked, declared=None),
    ]
    assert get(web) == b"abc"
    assert len(web.requests) == 3


def test_a_silent_server_is_left(web):
    web["/x"] = Answer(TEXT, delay=1.0)
    refused(web, "did not answer within 0.3 s in each of 2 attempts", replace(IMPATIENT, attempts=2))
    web["/x"] = [Answer(TEXT, delay=1.0), Answer(TEXT)]
    assert get(web) == TEXT


def test_a_server_that_drips_is_left(web):
    web["/x"] = Answer(TEXT, drip=0.02)
    refused(web, "too slow: [0-9]+ bytes", replace(IMPATIENT, whole=0.5))
    assert len(web.requests) == 1


def test_too_much_is_refused_before_it_is_read(web):
    web["/x"] = Answer(b"x" * 100, declared=10 << 30)
    refused(web, "has 10240 MiB to send, and 1 MiB are allowed")
    assert len(web.requests) == 1


def test_too_much_is_refused_while_it_is_read(web):
    web["/x"] = Answer(b"x" * (LIMIT + 1), declared=None)
    refused(web, "sends more than the 1 MiB that are allowed")
    web["/x"] = Answer(b"x" * LIMIT, declared=None)
    assert len(get(web)) == LIMIT


def test_redirects_are_followed(web):
    web["/x"] = redirect("/y", 301)
    web["/y"] = redirect(f"{web.address}/z", 307)
    web["/z"] = Answer(TEXT)
    assert get(web) == TEXT


def test_redirects_that_never_end(web):
    web["/x"] = redirect("/y")
    web["/y"] = redirect("/x")
    refused(web, "redirects in a circle")
    assert web.requests == ["/x", "/y", "/x", "/y", "/x"]


def test_without_asking_it_takes_ten_minutes_at_most():
    assert Patience() == Patience(stall=15.0, whole=600.0, attempts=4, pause=1.0)


def test_five_redirects_are_enough(web):
    for step in range(5):
        web[f"/{step}"] = redirect(f"/{step + 1}")
    web["/5"] = Answer(TEXT)
    web["/x"] = redirect("/1")
    assert get(web) == TEXT
    web["/x"] = redirect("/0")
    refused(web, "redirects in a circle")


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:text/plain,x", "javascript:1"])
def test_redirects_lead_to_the_web_only(web, target):
    web["/x"] = redirect(target)
    refused(web, "redirects (from http to ftp|in a circle, or to what is no web address)")


@pytest.mark.parametrize(
    ("start", "target", "allowed"),
    [("https", "https", True), ("http", "https", True), ("http", "http", True), ("https", "http", False)],
)
def test_encryption_is_not_lost(start, target, allowed):
    def follow():
        request = urllib.request.Request(f"{start}://a.example/x")
        return _Redirects().redirect_request(request, None, 302, "", http.client.HTTPMessage(), f"{target}://b.example")

    if allowed:
        assert follow().full_url == f"{target}://b.example"
    else:
        with pytest.raises(DownloadError, match=r"a\.example redirects from https to http"):
            follow()


def test_nobody_listens():
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    with pytest.raises(DownloadError, match=f"no connection to 127.0.0.1:{port}: Connection refused"):
        download(f"http://127.0.0.1:{port}/x", LIMIT, IMPATIENT)


def test_a_name_that_does_not_exist(monkeypatch):
    def nothing(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    with pytest.raises(DownloadError, match=r"no connection to nowhere\.invalid: Name or service not known$"):
        download("http://nowhere.invalid/x", LIMIT, IMPATIENT)


@pytest.mark.parametrize(
    ("greeting", "message"),
    [
        (b"", "broke the connection in each of 2 attempts"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "does not answer as a web server does"),
        (b"\0" * 100, "does not answer as a web server does"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500, "does not answer as a web server does"),
    ],
)
def test_what_is_no_web_server(greeting, message, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")

    def answer(server):
        for _ in range(2):
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(greeting)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(DownloadError, match=f"^{address} {message}$"):
            download(f"http://{address}/x", LIMIT, replace(IMPATIENT, attempts=2))


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:text/plain,x", "x", "http://[", ""])
def test_only_web_addresses(url):
    with pytest.raises(DownloadError, match=" is no web address"):
        download(url, LIMIT, IMPATIENT)
