"""Streams of bars, as lines of JSON and as Arrow record batches: written while the answer is read, as the service asks."""

import http.client
import io
import json

import gevent
import pyarrow
import pyarrow.ipc

from .client import Answer, Client, Failed, Wrong, kind_of, same
from .expected import Series, milliseconds_of

LINES = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
# Bytes of a piece of a body, and rows of a record batch.
PIECE = 65_536
BATCH = 4096


def lines_of(series: Series):
    """The body of a stream of lines."""
    bars = zip(range(len(series)), series.equity, series.margin_call, strict=True)
    line = '{{"time":{},"equity":{},"margin_call":{}}}\n'
    return "".join(line.format(milliseconds_of(bar), equity, str(call).lower()) for bar, equity, call in bars).encode()


def batches_of(series: Series):
    """The body of a stream of record batches."""
    table = pyarrow.table(
        {
            "time": pyarrow.array(map(milliseconds_of, range(len(series))), pyarrow.int64()),
            "equity": pyarrow.array(series.equity, pyarrow.float64()),
            "margin_call": pyarrow.array(series.margin_call, pyarrow.bool_()),
        }
    )
    buffer = io.BytesIO()
    with pyarrow.ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table, max_chunksize=BATCH)
    return buffer.getvalue()


def check_lines(series: Series, rule, answer: Answer):
    rows, _, last = answer.body.removesuffix(b"\n").rpartition(b"\n")
    check_trailer(series, rule, json.loads(last).get("trailer") if last else None)
    series.check_once(rows, lambda: check_rows(series, rows.split(b"\n")))


def check_rows(series: Series, rows):
    if len(rows) != len(series):
        raise Wrong("rows of the stream")
    for bar, row in enumerate(rows):
        same(json.loads(row), series.event(bar), "a row of the stream")


def check_batches(series: Series, rule, answer: Answer):
    """Where batches are cut may differ from answer to answer."""
    rows, trailer = {"verdict": [], "out.down": [], "bar": []}, None
    try:
        stream = pyarrow.ipc.open_stream(answer.body)
        for batch, metadata in stream.iter_batches_with_custom_metadata():
            for name, values in rows.items():
                values.extend(batch.column(name).to_pylist())
            if metadata:
                trailer = json.loads(metadata[b"rulebox.trailer"])
    except pyarrow.ArrowInvalid as error:
        raise Wrong("the answer is not Arrow") from error
    check_trailer(series, rule, trailer)
    same(rows["bar"], list(range(len(series))), "rows of the stream")
    same(rows["verdict"], series.verdicts, "verdicts of the stream")
    same(rows["out.down"], series.down, "outs of the stream")


def check_trailer(series: Series, rule, trailer):
    if trailer is None:
        raise Wrong("the stream has no trailer")
    if trailer.get("error"):
        raise Failed(f"the stream ended with {trailer['error'].get('code')}")
    expected = {"rule": rule, "bars": len(series), "counts": series.counts}
    same(trailer, expected, "the trailer of the stream")
    for word, event in series.first.items():
        same(trailer["first"][word], event, "the first of the trailer")


def send(client: Client, path, kind, body):
    """Sends a stream piece by piece while its answer is read. The time is that of the whole answer."""
    connection, target = client.target.connection(), client.target
    try:
        connection.putrequest("POST", target.base + path)
        for name, value in {
            "authorization": f"Bearer {client.key}",
            "content-type": kind,
            "transfer-encoding": "chunked",
        }.items():
            connection.putheader(name, value)
        connection.endheaders()
        writer = gevent.spawn(write, connection, body)
        try:
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            # One that was answered before its end, as with 429, is not written to its end.
            writer.kill()
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"no answer: {kind_of(error)}") from error
    finally:
        connection.close()


def write(connection, body):
    try:
        for start in range(0, len(body), PIECE):
            piece = body[start : start + PIECE]
            connection.sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.sock.sendall(b"0\r\n\r\n")
    except (OSError, AttributeError):
        # The other side has gone: whoever reads its answer says so.
        return
