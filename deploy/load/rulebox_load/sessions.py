"""Live runs, bar by bar: over POST, and over a WebSocket."""

import json

import websocket
from locust import task

from . import expected
from .client import Answer, Failed, Wrong, kind_of, same
from .users import RuleboxUser


class Session(RuleboxUser):
    """A live run. Some answers are asked for twice, as by one who lost the first: they must be the same, byte for byte."""

    scenario = "session"
    # Bars of a run, until another begins.
    BARS = 200

    def on_start(self):
        self.id = None

    @task
    def step(self):
        if self.id is None:
            self.begin()
        elif self.seq >= self.BARS and not self.message:
            self.end()
        else:
            self.bars()

    def begin(self):
        body = json.dumps({"rules": [self.world.trailing]})

        def check(answer):
            said = answer.json()
            same((said["next_seq"], said["rules"][0]["rule"]), (0, self.world.trailing), "a new session")

        answer = self.request("POST", "/v1/sessions", body, status=201, name=f"{self.scenario}: begin", check=check)
        if answer:
            self.id, self.seq, self.message = answer.json()["id"], 0, None
            self.walk, self.rule = expected.Walk(self.chance), expected.Trailing()

    def bars(self):
        """The next bars; or those again that were not answered, which must count once."""
        self.message = self.message or self.next_message()
        text, said, bars = self.message
        answer = self.tell(self.scenario, text, said, bars)
        if answer is None:
            if isinstance(self.error, Wrong):
                # Nothing follows from a run that is not right: it is left to expire, and another begins.
                self.id = None
            return
        self.seq, self.message = self.seq + bars, None
        if self.chance.random() < 0.1:
            whole = answer.body

            def check(again):
                same(again.body, whole, "an answer that was asked for again")

            self.tell(f"{self.scenario}: again", text, said, 0, check)

    def next_message(self):
        bars = self.chance.choice([1, 1, 1, 1, 5])
        account = [self.walk.bar() for _ in range(bars)]
        said = [self.rule.bar(*bar) for bar in account]
        columns = {"equity": [equity for equity, _ in account], "margin_call": [call for _, call in account]}
        if bars == 1:
            inputs = {name: values[0] for name, values in columns.items()}
            return json.dumps({"seq": self.seq, "inputs": inputs}), said, bars
        return json.dumps({"seq": self.seq, "columns": columns}), said, bars

    def check_bars(self, answer, said):
        body, first = answer.json(), self.seq
        same((body["seq"], body["next_seq"]), (first, first + len(said)), "the place in a session")
        same(len(body["bars"]), len(said), "bars of a session")
        for n, (bar, right) in enumerate(zip(body["bars"], said, strict=True)):
            # `out` and `reasons` are of a rule.
            overall = {name: right[name] for name in ("verdict", "action", "keep") if name in right}
            same(bar, overall | {"seq": first + n}, "a bar of a session")
            same(bar["rules"][0], right | {"rule": self.world.trailing}, "a rule's bar of a session")

    def tell(self, name, text, said, bars, check=None):
        return self.request(
            "POST",
            f"/v1/sessions/{self.id}/bars",
            text,
            name=name,
            bars=bars,
            check=check or (lambda answer: self.check_bars(answer, said)),
        )

    def end(self):
        if self.request("DELETE", f"/v1/sessions/{self.id}", status=204, name=f"{self.scenario}: end"):
            self.id = None

    def on_stop(self):
        if self.id is not None:
            # Not of the test any more: what it says is not counted. What was cut off may still be on the old connection.
            self.client.close()
            try:
                self.client.send("DELETE", f"/v1/sessions/{self.id}")
            except Failed:
                self.world.left_behind(f"session {self.id}")
        super().on_stop()


class Socket(Session):
    """The same over a WebSocket: connected anew, it goes on from the last bar that was answered."""

    scenario = "socket"

    def on_start(self):
        super().on_start()
        self.socket = None

    def tell(self, name, text, said, bars, check=None):
        return self.measured(
            name, bars, lambda: self.exchange(text), 200, check or (lambda answer: self.check_bars(answer, said))
        )

    def exchange(self, text):
        try:
            if self.socket is None:
                self.socket = websocket.create_connection(
                    f"{self.world.target.websocket}/v1/sessions/{self.id}/stream",
                    timeout=self.world.target.seconds,
                    header=[f"authorization: Bearer {self.client.key}"],
                    subprotocols=["rulebox.session.v1"],
                    sslopt={"context": self.world.target.tls} if self.world.target.tls else None,
                )
            self.socket.send(text)
            body = self.socket.recv()
        except websocket.WebSocketBadStatusException as error:
            self.close_socket()
            return Answer(error.status_code, error.resp_headers or {}, error.resp_body or b"")
        except (OSError, websocket.WebSocketException) as error:
            self.close_socket()
            raise Failed(f"no answer: {kind_of(error)}") from error
        if not body:
            self.close_socket()
            raise Failed("no answer: the WebSocket was closed")
        said = Answer(200, {}, body.encode())
        try:
            # A problem comes as a message too.
            said.status = int(json.loads(body).get("status", 200))
        except (ValueError, AttributeError):
            raise Wrong("the message is not JSON") from None
        return said

    def close_socket(self):
        if self.socket is not None:
            self.socket.close(timeout=1)
        self.socket = None

    def end(self):
        self.close_socket()
        super().end()

    def on_stop(self):
        self.close_socket()
        super().on_stop()
