"""One connection to the service, kept alive. A request is sent once: what is lost is counted, and not tried again.

Clients of libraries send again by themselves what was lost on a connection that the other side had closed; a load test
would then count fewer losses than there were.
"""

import http.client
import json
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit


class Failed(Exception):
    """A request that did not go as it should; what it says is the kind that it is counted under."""


class Wrong(Failed):
    """An answer that says something else than it should. One is too many."""

    def __str__(self):
        return f"wrong: {self.args[0]}"


class Limited(Failed):
    """429: the service says when to come again."""

    def __init__(self, seconds):
        super().__init__("limited")
        self.seconds = seconds


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            raise Wrong("the answer is not JSON") from None

    def retry_after(self):
        """Seconds until the service wants to hear of it again."""
        for name, part in (("retry-after", lambda text: text), ("ratelimit", lambda text: text.rsplit("t=", 1)[1])):
            try:
                return max(0.0, float(part(self.headers[name])))
            except (TypeError, ValueError, IndexError, AttributeError):
                continue
        return 1.0


class Target:
    """Where the service is."""

    def __init__(self, url, ca_file=None, seconds=60):
        parts = urlsplit(url)
        self.is_tls, self.host, self.port, self.seconds = parts.scheme == "https", parts.hostname, parts.port, seconds
        self.base = parts.path.rstrip("/")
        self.tls = ssl.create_default_context(cafile=ca_file) if self.is_tls else None
        self.websocket = f"{'wss' if self.is_tls else 'ws'}://{parts.netloc}{self.base}"

    def connection(self):
        if self.is_tls:
            return http.client.HTTPSConnection(self.host, self.port, timeout=self.seconds, context=self.tls)
        return http.client.HTTPConnection(self.host, self.port, timeout=self.seconds)


class Client:
    """A connection of one user."""

    def __init__(self, target: Target, key):
        self.target, self.key, self.open = target, key, None

    def send(self, method, path, body=None, headers=None):
        """Sends a request, once, and reads the whole answer."""
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"} | (headers or {})
        connection = self.open or self.target.connection()
        self.open = connection
        try:
            connection.request(method, self.target.base + path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Failed(f"no answer: {kind_of(error)}") from error

    def close(self):
        if self.open:
            self.open.close()
        self.open = None


def kind_of(error):
    """An error by its type alone: texts of errors hold ports and would all be counted apart."""
    return type(error).__name__


def judged(answer: Answer, status, check):
    """Raises what is not right with an answer."""
    if answer.status == 429 and status != 429:
        raise Limited(answer.retry_after())
    if answer.status != status:
        try:
            code = json.loads(answer.body).get("code")
        except (ValueError, AttributeError):
            code = None
        kind = f"{answer.status} {code}" if code else f"{answer.status}"
        raise (Failed if answer.status >= 500 else Wrong)(f"{kind}, not {status}")
    try:
        check(answer)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise Wrong(f"the answer lacks something: {kind_of(error)}") from error


def same(said, expected, what):
    """Whether an answer says what it should. More than that it may say: version 1 of the API may get new fields."""
    if isinstance(expected, dict):
        said = {name: said.get(name) for name in expected} | ({"keep": said["keep"]} if "keep" in said else {})
    if said != expected:
        raise Wrong(what)
