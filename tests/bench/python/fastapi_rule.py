"""The rule `check_custom_rule` behind FastAPI: one process, uvloop and httptools, no key, no limits, no logs."""

import socket

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field

# As tolerant as comparisons of the language are, of numbers up to 1.
NEAR = 1e-12


class Inputs(BaseModel):
    equity: float = Field(ge=0, le=1e15)
    drawdown: float = Field(ge=0, le=1)


class Bar(BaseModel):
    inputs: Inputs


class Answer(BaseModel):
    verdict: str
    action: str | None
    reasons: list[str]
    out: dict[str, float]
    rule: str
    version: int


def check_custom_rule(drawdown, limit=0.10, warn_at=0.08):
    if drawdown >= limit - NEAR:
        return "breach", "liquidate", [f"drawdown {drawdown:.2%}, limit {limit:.2%}"]
    if drawdown >= warn_at - NEAR:
        return "warn", None, [f"drawdown {drawdown:.2%} near {limit:.2%}"]
    return "ok", None, []


app = FastAPI()


# A coroutine is called in the event loop; a plain function would cross to a thread.
@app.post("/v1/rules/{name}/evaluate")
async def evaluate(name: str, bar: Bar) -> Answer:
    verdict, action, reasons = check_custom_rule(bar.inputs.drawdown)
    return Answer(verdict=verdict, action=action, reasons=reasons, out={}, rule=name, version=1)


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"API http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    print("serving", flush=True)
    config = uvicorn.Config(app, loop="uvloop", http="httptools", log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])
