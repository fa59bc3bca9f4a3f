"""The page over HTTP, and what is new in its runs as server-sent events. It needs the extra `serve`."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import threading
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, PlainTextResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from elman.files import finite
from elman.report.page import page_of
from elman.report.runs import names_of
from elman.watch.door import is_any
from elman.watch.tail import Mark, Tail

LOOKED_EVERY = 0.5  # seconds, and LEISURE times as long as a look took: the training needs the processor
LEISURE, LATEST = 20, 3.0  # but no later than that
RETRY = 1000  # milliseconds after which a browser tries again
LOOPBACK = {"127.0.0.1", "localhost", "::1"}

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Hub:
    """The runs that are watched, read at most once for all browsers that ask."""

    def __init__(self, paths: Sequence[Path]):
        self.tails = [Tail(path) for path in paths]
        self.lock = threading.Lock()
        self.due = 0.0

    def _refresh(self) -> None:
        now = time.monotonic()
        if now < self.due:
            return
        for tail in self.tails:
            tail.refresh()
        self.due = time.monotonic() + min(LATEST, max(LOOKED_EVERY / 2, LEISURE * (time.monotonic() - now)))

    @property
    def there(self) -> list[Tail]:
        """The runs that exist; the page numbers these."""
        return [tail for tail in self.tails if tail.run is not None]

    def version(self) -> str:
        """Of the page: another one where a run has come or gone, or has got its scores."""
        return f"{zlib.crc32(repr([tail.stands() for tail in self.tails]).encode()):x}"

    def page(self, stoppable: bool) -> str | None:
        """The page of the runs that exist, which goes on from the marks in it; None where none does yet."""
        with self.lock:
            self._refresh()
            if not self.there:
                return None
            live = {
                "id": ids([tail.mark for tail in self.there]),
                "page": self.version(),
                "stop": stoppable,
                "updated": [tail.updated for tail in self.there],
            }
            return page_of([tail.path for tail in self.there], live=live)

    def news(self, since: list[Mark | None]) -> tuple[list[dict[str, Any]], list[Mark | None]]:
        """What is new in each run since these marks, and the marks of now."""
        with self.lock:
            self._refresh()
            if len(since) != len(self.there):  # a run has come or gone, and with it the page
                return [], since
            found, marks = [], list(since)
            names = names_of([tail.run for tail in self.there if tail.run])
            for k, (tail, name) in enumerate(zip(self.there, names, strict=True)):
                news = tail.news(since[k], name)
                if news:
                    marks[k] = tail.mark
                    found.append({"run": k, "parts": news.parts, "words": news.words, "snapshots": news.snapshots})
            return found, marks


def ids(marks: Sequence[Mark | None]) -> str:
    return ",".join(str(mark or Mark(0, 0, 0)) for mark in marks)


def application(hub: Hub, *, host: str, ends: Callable[[], bool] = lambda: False) -> FastAPI:
    """The server's application. `ends` tells the streams when the server is about to stop."""
    app = FastAPI(title="elman watch", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, host=host)

    @app.get("/", response_class=HTMLResponse)
    def page(request: Request) -> HTMLResponse:
        return HTMLResponse(hub.page(is_local(request)) or waiting(hub))

    @app.get("/events", response_class=EventSourceResponse)
    async def events(
        request: Request, after: str = "", page: str = "", last_event_id: Annotated[str | None, Header()] = None
    ) -> AsyncIterator[ServerSentEvent]:
        marks = [Mark.parse(word) for word in (last_event_id or after).split(",")]
        yield ServerSentEvent(comment="elman", retry=RETRY)
        while not ends() and not await request.is_disconnected():
            found, marks = await run_in_threadpool(hub.news, marks)
            if hub.version() != page:
                page = hub.version()
                yield ServerSentEvent(event="reload", raw_data="now")
            if found:
                text = json.dumps(finite(found), allow_nan=False, separators=(",", ":"))
                yield ServerSentEvent(event="parts", raw_data=text, id=ids(marks))
            until = time.monotonic() + LOOKED_EVERY
            while time.monotonic() < until and not ends():
                await asyncio.sleep(0.1)

    @app.post("/stop/{number}")
    def stop(number: int, request: Request) -> Response:
        if not is_local(request):
            return PlainTextResponse("only from the computer that the server runs on", 403)
        there = hub.there
        if not 0 <= number < len(there):
            return PlainTextResponse("there is no such run", 404)
        if any(event.get("event") in ("end", "error") for event in there[number].events[-3:]):
            return PlainTextResponse("it has ended", 409)
        (there[number].path / "stop").touch()
        return Response(status_code=204)

    return app


def is_local(request: Request) -> bool:
    return request.client is not None and request.client.host in LOOPBACK


class Guard:
    """Lets through only who asks for this server by its own name, and changes only from its own page.

    Else a page anywhere could make a browser here read the runs, under a name of its own that it points to this
    computer (DNS rebinding), or stop them with a form.
    """

    def __init__(self, app: Any, host: str):
        self.app, self.host = app, host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        said, origin = headers.get("host", ""), headers.get("origin")
        if not self.is_own(said):
            await PlainTextResponse("this server has another name", 400)(scope, receive, send)
            return
        foreign = origin is not None and origin != f"http://{said}"
        if foreign or (scope["method"] not in ("GET", "HEAD") and origin is None):
            await PlainTextResponse("only the server's own page may ask this", 403)(scope, receive, send)
            return

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    (b"content-security-policy", b"frame-ancestors 'none'"),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                    *([] if is_stream(message) else [(b"cache-control", b"no-store")]),
                ]
            await send(message)

        await self.app(scope, receive, guarded)

    def is_own(self, said: str) -> bool:
        """Whether a Host header names this server: as it was told to listen, or, if anywhere, by any plain address."""
        try:
            name = urlsplit(f"//{said}").hostname or ""
        except ValueError:
            return False
        if name in LOOPBACK or name == self.host:
            return True
        if not is_any(self.host):
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name == socket.gethostname().lower()
        return True


def is_stream(message: MutableMapping[str, Any]) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in message["headers"])


def waiting(hub: Hub) -> str:
    """A page that asks again until there is a run."""
    names = ", ".join(escape(str(tail.path)) for tail in hub.tails)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="color-scheme" content="light dark"><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><title>Waiting for a run</title>
<style>body {{ margin: 20vh auto; max-width: 36em; padding: 0 20px; font: 17px/1.55 system-ui, sans-serif }}</style>
</head><body><h1>Waiting for a run</h1><p>There is no run yet in {names}. This page shows it as soon as it begins.</p>
</body></html>"""


def serve(paths: Sequence[Path], listening: socket.socket, *, host: str, on_start: Callable[[], None]) -> None:
    """Serve until a signal ends it, which is how it is meant to end."""

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_start()

    app = application(Hub(paths), host=host, ends=lambda: server.should_exit)
    server = Server(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=2))
    with suppress(KeyboardInterrupt):  # uvicorn hands the signal on once it has shut down
        server.run(sockets=[listening])
