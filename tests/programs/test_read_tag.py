"""read_tag.py: a real registry with a login, stand-ins for tokens and redirections, and servers that talk nonsense."""

import base64
import hashlib
import http.server
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ci.history.failures import classify_failure
from ci.programs.read_tag import (
    HUB,
    Registry,
    Reply,
    UnreadError,
    challenges,
    digest_of,
    is_loopback,
    origin,
    split,
)
from tests.stand_ins import servers

Run = Callable[..., subprocess.CompletedProcess[str]]
Answer = Callable[["Ask"], bytes]

USER, PASSWORD = servers.USER, servers.PASSWORD
LOGIN = {"REGISTRY_USER": USER, "REGISTRY_PASSWORD": PASSWORD}
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
INDEX = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
DIGEST = f"sha256:{hashlib.sha256(INDEX).hexdigest()}"
PATH = "/v2/team/image/manifests/tag"
GOOD = {"Docker-Content-Digest": DIGEST}


@dataclass(frozen=True)
class Ask:
    """What a server was asked, and by whom."""

    method: str
    path: str
    authorization: str


@dataclass
class Stand:
    """A server on loopback that answers with bytes, as they are; `asks` is what it heard."""

    port: int
    answer: Answer = lambda _: said(404)
    asks: list[Ask] = field(default_factory=list)

    @property
    def reference(self) -> str:
        return f"127.0.0.1:{self.port}/team/image:tag"

    def url(self, path: str = PATH) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


def said(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """Return an answer as it goes over the wire."""
    lines = [f"HTTP/1.1 {status} so", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


@contextmanager
def served(answer: Answer, secure: tuple[Path, Path] | None = None) -> Iterator[Stand]:
    """Serve on 127.0.0.1, with a certificate and its key over https."""
    known: list[Stand] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            ask = Ask(self.command, self.path, self.headers.get("Authorization", ""))
            known[0].asks.append(ask)
            reply = known[0].answer(ask)
            self.wfile.write(reply.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if ask.method == "HEAD" else reply)

        do_HEAD = do_GET  # noqa: N815 - the name that the base class calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # a client that goes away

    with Server(("127.0.0.1", 0), Handler) as server:
        if secure:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*secure)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        known.append(Stand(server.server_port, answer))
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield known[0]
        finally:
            server.shutdown()


def kind_of(problem: str) -> str:
    """Return the kind of failure that a record names for a problem."""
    return classify_failure("publish", "", message=problem).kind


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Stand]]:
    """Serve for the time of a test."""
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(served(answer))


Serve = Callable[[Answer], Stand]


@pytest.fixture
def read(run: Run) -> Callable[..., str]:
    """Ask with the login, and return the digest, or where `ok` is False the problem; neither has the password in it."""

    def ask(
        reference: str,
        *words: object,
        ok: bool = True,
        env: dict[str, str] | None = None,
        timeout: float = 20,
    ) -> str:
        done = run(
            "read_tag.py", reference, "--timeout", timeout, *words, ok=ok, env=LOGIN if env is None else env
        )
        for secret in (PASSWORD, BASIC.split()[1]):
            assert secret not in done.stdout + done.stderr
        given, empty = (done.stdout, done.stderr) if ok else (done.stderr, done.stdout)
        assert empty == ""
        line = given.removesuffix("\n")
        assert line.isprintable()
        return line if ok else line.removeprefix("read_tag.py: ")

    return ask


Read = Callable[..., str]


def wants(challenge: str, good: str) -> Answer:
    """Answer to whoever says the right thing, and challenge all others."""
    return lambda ask: (
        said(200, INDEX, GOOD)
        if ask.authorization == good
        else said(401, b"", {"WWW-Authenticate": challenge})
    )


# -- a real registry -----------------------------------------------------------------------------------------


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Run a real registry that has one tag; gives the repository."""
    with servers.private_registry(tmp_path) as port:
        url = f"http://127.0.0.1:{port}{PATH}"
        kind = "application/vnd.oci.image.index.v1+json"
        headers = {"Authorization": BASIC, "Content-Type": kind}
        request = urllib.request.Request(url, INDEX, headers, method="PUT")
        with urllib.request.urlopen(request) as done:  # noqa: S310 - http, on loopback
            assert done.headers["Docker-Content-Digest"] == DIGEST
        yield f"127.0.0.1:{port}/team/image"


def test_a_real_registry_is_asked_with_the_login(registry: str, read: Read, tmp_path: Path) -> None:
    assert read(f"{registry}:tag") == DIGEST
    assert read(f"{registry}:tag", "--out", tmp_path / "digest.txt") == ""
    assert (tmp_path / "digest.txt").read_text() == DIGEST


def test_a_real_registry_has_no_such_tag_and_wants_the_right_login(registry: str, read: Read) -> None:
    missing = read(f"{registry}:other", ok=False)
    wrong = read(f"{registry}:tag", ok=False, env={**LOGIN, "REGISTRY_PASSWORD": "wrong"})
    nobody = read(f"{registry}:tag", ok=False, env={})
    assert missing == "the registry has no such tag: manifest unknown"
    assert wrong == "HTTP error 401"
    assert nobody == "HTTP error 401: the registry wants a user and a password"
    assert {kind_of(text) for text in (missing, wrong, nobody)} == {"registry"}


# -- logins --------------------------------------------------------------------------------------------------


def test_a_token_is_fetched_where_the_registry_says(serve: Serve, read: Read) -> None:
    tokens = serve(lambda _: said(200, b'{"token": "t0"}'))
    fields = f'realm="{tokens.url("/token?x=1")}",service="a b",scope="repository:team/image:pull"'
    stand = serve(wants(f"Bearer {fields}", "Bearer t0"))
    assert read(stand.reference) == DIGEST
    assert [(ask.method, ask.path) for ask in stand.asks] == [("HEAD", PATH)] * 2
    (ask,) = tokens.asks
    assert ask.authorization == BASIC
    asked = parse_qs(urlsplit(ask.path).query)
    assert asked == {"x": ["1"], "service": ["a b"], "scope": ["repository:team/image:pull"]}


def test_whoever_has_no_login_gets_a_token_too_and_asks_for_the_repository(serve: Serve, read: Read) -> None:
    tokens = serve(lambda _: said(200, b'{"access_token": "t1"}'))
    stand = serve(wants(f'Basic realm="x", Bearer realm="{tokens.url("/token")}"', "Bearer t1"))
    assert read(stand.reference, env={}) == DIGEST
    (ask,) = tokens.asks
    assert ask.authorization == ""
    assert parse_qs(urlsplit(ask.path).query) == {"scope": ["repository:team/image:pull"]}


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (said(403), "HTTP error 403 instead of a token"),
        (said(200, b"{}"), "the registry's server of tokens gives none"),
        (said(200, b"\xff"), "the registry's server of tokens gives none"),
        (said(200, b"[" * 100_000), "the registry's server of tokens gives none"),
        (said(200, b'{"token": "a\\r\\nb"}'), "the registry's answer is no HTTP"),
        (said(200, b'{"token": "wrong"}'), "HTTP error 401"),
    ],
)
def test_a_token_that_is_none_is_said(serve: Serve, read: Read, answer: bytes, problem: str) -> None:
    tokens = serve(lambda _: answer)
    stand = serve(wants(f'Bearer realm="{tokens.url("/token")}"', "Bearer t0"))
    assert read(stand.reference, ok=False) == problem


@pytest.mark.parametrize("challenge", ["", "Negotiate", 'Digest realm="x",nonce="y"', 'Bearer service="x"'])
def test_a_login_in_a_way_that_is_not_known_is_said(serve: Serve, read: Read, challenge: str) -> None:
    stand = serve(wants(challenge, "nothing"))
    assert read(stand.reference, ok=False) in (
        "HTTP error 401: the registry wants a user and a password",
        "the registry leads to an address without https",
    )
    assert {ask.authorization for ask in stand.asks} == {""}


def test_the_login_is_said_to_nobody_who_does_not_ask(serve: Serve, read: Read) -> None:
    stand = serve(lambda _: said(200, INDEX, GOOD))
    assert read(stand.reference) == DIGEST
    assert stand.asks == [Ask("HEAD", PATH, "")]


# -- answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", [said(405), said(404), said(500), said(200, INDEX)])
def test_a_registry_that_does_not_say_it_at_once_is_asked_for_the_whole(
    serve: Serve, read: Read, head: bytes
) -> None:
    stand = serve(lambda ask: head if ask.method == "HEAD" else said(200, INDEX))
    assert read(stand.reference) == DIGEST
    assert [ask.method for ask in stand.asks] == ["HEAD", "GET"]


@pytest.mark.parametrize(("status", "kind"), [(503, "network"), (429, "network"), (403, "registry")])
def test_a_status_is_told_so_that_its_kind_is_known(serve: Serve, read: Read, status: int, kind: str) -> None:
    problem = read(serve(lambda _: said(status)).reference, ok=False)
    assert problem == f"HTTP error {status}"
    assert kind_of(problem) == kind


def test_a_registry_that_is_not_there_is_a_fault_of_the_network(read: Read) -> None:
    assert kind_of(read(f"127.0.0.1:{servers.free_port()}/team/image:tag", ok=False)) == "network"


NONSENSE = {
    "escapes": said(200, INDEX, {"Docker-Content-Digest": "\x1b[31msha256:" + "0" * 64}),
    "folded": said(200, INDEX, {"Docker-Content-Digest": f"{DIGEST}\r\n {DIGEST}"}),
    "short": said(200, INDEX, {"Docker-Content-Digest": "sha256:0123"}),
    "no HTTP": b"\x1b]0;title\x07 hello\r\n\r\n",
    "nothing": b"",
    "no length": said(200, b"").replace(b"Length: 0", b"Length: -x"),
    "many headers": said(200, INDEX, {f"X-{number}": "x" for number in range(200)}),
    "cut off": said(200, INDEX)[:-10],
    "too large": b"HTTP/1.1 200 so\r\n\r\n" + b"x" * (9 << 20),
    "status": b"HTTP/1.1 200000 \x1b[31m\r\n\r\n",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_told_in_one_clean_line(serve: Serve, read: Read, name: str) -> None:
    problem = read(serve(lambda _: NONSENSE[name]).reference, ok=False)
    assert problem
    assert "Traceback" not in problem
    assert len(problem) <= 300


@pytest.mark.parametrize("dripping", [True, False])
def test_a_slow_server_costs_no_more_than_the_limit(read: Read, dripping: bool) -> None:
    done = threading.Event()
    with ExitStack() as stack:
        stack.callback(done.set)

        class Drip(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.wfile.write(b"HTTP/1.1 200 ok\r\n")
                while not done.wait(0.2):
                    self.wfile.write(b"X-More: x\r\n" if dripping else b"")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
                pass

        server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Drip))
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        stack.callback(server.shutdown)
        stack.callback(done.set)
        started = time.monotonic()
        problem = read(f"127.0.0.1:{server.server_port}/team/image:tag", ok=False, timeout=1)
        assert problem == "request timed out after 1 seconds"
        assert time.monotonic() - started < 8
    assert kind_of(problem) == "network"


# -- redirections --------------------------------------------------------------------------------------------


def test_a_redirection_is_followed_and_only_its_own_server_hears_the_login(serve: Serve, read: Read) -> None:
    other = serve(lambda _: said(200, INDEX, GOOD))
    stand = serve(
        lambda ask: (
            said(401, b"", {"WWW-Authenticate": 'Basic realm="x"'})
            if ask.authorization != BASIC
            else said(307, b"", {"Location": "/moved" if ask.path == PATH else other.url("/there")})
        )
    )
    assert read(stand.reference) == DIGEST
    assert [(ask.path, ask.authorization) for ask in stand.asks] == [
        (PATH, ""),
        (PATH, BASIC),
        ("/moved", BASIC),
    ]
    assert other.asks == [Ask("HEAD", "/there", "")]


def test_where_a_redirection_leads_nobody_gets_the_login_by_asking_for_it(serve: Serve, read: Read) -> None:
    other = serve(lambda _: said(401, b"", {"WWW-Authenticate": 'Basic realm="x"'}))
    stand = serve(lambda _: said(302, b"", {"Location": other.url("/there")}))
    assert read(stand.reference, ok=False) == "HTTP error 401"
    assert {ask.authorization for ask in (*other.asks, *stand.asks)} == {""}


@pytest.mark.parametrize("realm", [True, False])
def test_nothing_is_said_over_http_to_another_machine(serve: Serve, read: Read, realm: bool) -> None:
    far = "http://192.0.2.1/there"  # an address that nobody has
    header = {"WWW-Authenticate": f'Bearer realm="{far}"'} if realm else {"Location": far}
    stand = serve(lambda _: said(401 if realm else 301, b"", header))
    assert read(stand.reference, ok=False) == "the registry leads to an address without https"


@pytest.mark.parametrize("location", ["", PATH, "http://[bad", "file:///etc/passwd", "http:///", "\x1b[31m"])
def test_a_redirection_to_nowhere_ends(serve: Serve, read: Read, location: str) -> None:
    stand = serve(lambda _: said(302, b"", {"Location": location}))
    assert read(stand.reference, ok=False)
    assert len(stand.asks) <= 10


# -- where registries are ------------------------------------------------------------------------------------


def test_a_registry_is_reached_where_the_caller_says(serve: Serve, read: Read) -> None:
    own = f"127.0.0.1:{servers.free_port()}"  # where nobody listens
    stand = serve(wants(f'Bearer realm="http://{own}/token"', "Bearer t0"))
    login = stand.answer
    stand.answer = lambda ask: said(200, b'{"token": "t0"}') if ask.path.startswith("/token?") else login(ask)
    assert read(f"{own}/team/image:tag", "--at", stand.url("")) == DIGEST
    assert [ask.path.partition("?")[0] for ask in stand.asks] == [PATH, "/token", PATH]


def test_http_is_for_this_machine_and_for_the_place_that_the_caller_names() -> None:
    for host in ("127.0.0.1:5000", "127.9.9.9", "localhost", "localhost:80", "[::1]:5000"):
        assert is_loopback(host)
        assert Registry(host).base == f"http://{host}"
    for host in (
        "registry.example",
        "localhost.example",
        "128.0.0.1",
        "[::2]",
        "127.0.0.1.example",
        "[",
        "localhost:x.y",
    ):
        assert not is_loopback(host) or host == "localhost:x.y"
    assert Registry("registry.example:5000").base == "https://registry.example:5000"
    bound = Registry("127.0.0.1:5000", at="http://registry:5000")
    assert bound.place("http://127.0.0.1:5000/token?x=1") == "http://registry:5000/token?x=1"
    assert bound.place("http://127.0.0.1:50001/token") == "http://127.0.0.1:50001/token"
    bound.check("http://registry:5000/v2/")
    for url in (
        "http://registry:5001/",
        "http://other:5000/",
        "ftp://registry:5000/",
        "http://registry.example/",
    ):
        with pytest.raises(UnreadError, match="without https"):
            bound.check(url)
    with pytest.raises(UnreadError, match="without https"):
        Registry("registry.example").check("http://registry.example/")


def test_docker_hub_goes_by_another_name_and_its_own_images_by_one_word() -> None:
    assert Registry("docker.io").base == f"https://{HUB}"
    assert split("docker.io/debian:bookworm-slim") == ("docker.io", "library/debian", "bookworm-slim")
    assert split("docker.io/me/image:a.b_c-1") == ("docker.io", "me/image", "a.b_c-1")
    assert split("[::1]:5000/image:tag") == ("[::1]:5000", "image", "tag")


@pytest.mark.parametrize(
    "reference", ["", "image", "host/image", "host/../x y:tag", "host/image:tag\n", "a/b:c?d"]
)
def test_what_is_no_reference_is_refused(read: Read, reference: str) -> None:
    assert read(reference, ok=False) == "that is no reference; accepted: HOST/NAME:TAG"


def test_certificates_are_checked(read: Read, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    words = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", *words, *names], check=True, capture_output=True)
    with served(lambda _: said(200, INDEX, GOOD), (certificate, key)) as stand:
        at = ("--at", f"https://127.0.0.1:{stand.port}")
        assert "certificate verify failed" in read(stand.reference, *at, ok=False)
        assert stand.asks == []
        assert read(stand.reference, *at, env={**LOGIN, "SSL_CERT_FILE": str(certificate)}) == DIGEST


# -- secrets -------------------------------------------------------------------------------------------------

ECHOES = {
    "reason": f"HTTP/1.1 500 {PASSWORD}\r\n\r\n".encode(),
    "line": f"{PASSWORD}\r\n\r\n".encode(),
    "digest": said(200, b"", {"Docker-Content-Digest": PASSWORD}),
    "location": said(302, b"", {"Location": f"http://{PASSWORD}.example/"}),
    "port": said(302, b"", {"Location": f"http://127.0.0.1:{PASSWORD}/"}),
    "scheme": said(302, b"", {"Location": f"{PASSWORD}://127.0.0.1/"}),
    "host": said(302, b"", {"Location": f"http://[{PASSWORD}/"}),
    "length": said(200, b"").replace(b"Length: 0", f"Length: {PASSWORD}".encode()),
    "realm": said(401, b"", {"WWW-Authenticate": f'Bearer realm="{PASSWORD}"'}),
    "chunk": f"HTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\n{PASSWORD}\r\n".encode(),
}


@pytest.mark.parametrize("name", ECHOES)
def test_a_server_that_repeats_the_password_makes_nobody_print_it(
    serve: Serve, read: Read, name: str
) -> None:
    challenge = said(401, b"", {"WWW-Authenticate": 'Basic realm="x"'})
    stand = serve(lambda ask: ECHOES[name] if ask.authorization == BASIC else challenge)
    read(stand.reference, ok=False)  # looks for it in all that is printed
    assert BASIC in {ask.authorization for ask in stand.asks}


# -- parts ---------------------------------------------------------------------------------------------------


def test_challenges_are_read_one_after_the_other() -> None:
    text = (
        'Basic realm="a, b", Bearer realm="https://x/t?y=1" , service=plain,scope="r:n:pull,push", Negotiate'
    )
    assert list(challenges(text)) == [
        ("Basic", {"realm": "a, b"}),
        ("Bearer", {"realm": "https://x/t?y=1", "service": "plain", "scope": "r:n:pull,push"}),
    ]
    started = time.monotonic()
    for text in ("a" * 100_000, "a=" * 50_000, 'a b="' * 20_000, " a b=c" * 20_000):
        list(challenges(text))
    assert time.monotonic() - started < 5


def test_a_digest_is_taken_from_the_header_or_made_of_the_whole() -> None:
    headers = Message()
    with pytest.raises(UnreadError, match="empty"):
        digest_of(Reply("", 200, headers, b""), "GET")
    assert digest_of(Reply("", 200, headers, INDEX), "GET") == DIGEST
    assert digest_of(Reply("", 200, headers, b""), "HEAD") == ""
    headers["Docker-Content-Digest"] = f" {'sha512:' + '0' * 128} "
    assert digest_of(Reply("", 200, headers, INDEX), "GET") == "sha512:" + "0" * 128


@pytest.mark.parametrize("url", ["http://[::1", "http://[x]/v2/"])
def test_an_address_that_is_none_leads_nowhere(url: str) -> None:
    with pytest.raises(UnreadError, match="leads to no address"):
        origin(url)
