"""What is new in a run folder since somebody last asked.

A browser is told whole parts of the record (its losses, its layers, ...) when an event has come that bears on them,
never single events: what the page draws is made in one place, `elman.report.recording`. How far a browser has come is a
`Mark`: a number of bytes of events.jsonl, a checksum of these bytes, and a digest of the snapshots. It holds across a
restart of the server; where the file was rewound or begun anew meanwhile, the checksum does not fit, and everything is
told again.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from elman.errors import InputError
from elman.report.reading import read_run
from elman.report.recording import record_of
from elman.report.runs import Row, Run, number
from elman.report.snapshots import snapshots_of
from elman.report.training import words_of
from elman.training.record import Run as Folder

# Which events bear on which parts of the record; the other parts are told with any of them.
BEARING = {
    "loss": ("step", "fact"), "grad_norm": ("step", "fact"), "lr": ("step", "fact"), "clip": ("fact",),
    "clipped": ("step", "fact"), "steps": ("step", "fact"), "constant": ("fact",), "epochs": ("epoch",),
    "layers": ("probe",), "updates": ("probe",),
}  # fmt: skip
CHUNK = 1 << 20
EDGE = 64  # bytes before the end of what was read, by which a file that was begun anew is known
PACE = 30.0  # seconds over which the pace of training is taken


class Mark(NamedTuple):
    """How far somebody has come in one run, and in which reading of it the mark was last seen to fit."""

    offset: int
    checksum: int
    snapshots: int
    reading: int = -1

    def __str__(self) -> str:
        return f"{self.offset}.{self.checksum:x}.{self.snapshots:x}"

    @classmethod
    def parse(cls, text: str) -> Mark | None:
        """
        >>> Mark.parse("120.ab.7"), Mark.parse("nonsense")
        (Mark(offset=120, checksum=171, snapshots=7, reading=-1), None)
        """
        try:
            offset, checksum, snapshots = text.split(".")
            return cls(int(offset), int(checksum, 16), int(snapshots, 16))
        except ValueError:
            return None


@dataclass
class News:
    """What is new in a run: parts of its record by name, its words, and what became of its snapshots."""

    parts: dict[str, Any]
    words: dict[str, Any] | None
    snapshots: dict[str, Any] | None


class Tail:
    """One run folder, read as it grows."""

    def __init__(self, path: Path):
        self.path = path
        self.reading = 0
        self._forget()

    def _forget(self) -> None:
        self.reading += 1
        self.run: Run | None = None
        self.inode = self.offset = self.checksum = 0
        self.edge = b""
        self.events: list[Row] = []
        self.touched: dict[str, int] = {}  # by kind of event, the offset behind the latest
        self.pace: deque[tuple[float, int]] = deque()

    @property
    def events_path(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def exists(self) -> bool:
        return (self.path / "config.toml").is_file()

    @property
    def mark(self) -> Mark:
        return Mark(self.offset, self.checksum, self._digest(), self.reading)

    @property
    def updated(self) -> float | None:
        """When there was an event last, in seconds since 1970."""
        try:
            return self.events_path.stat().st_mtime
        except FileNotFoundError:
            return None

    def refresh(self) -> None:
        """Read what was appended; where the file was rewound, begun anew or removed, all of it."""
        try:
            with open(self.events_path, "rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                file.seek(max(0, self.offset - EDGE))
                if (self.inode and inode != self.inode) or file.read(min(EDGE, self.offset)) != self.edge:
                    self._forget()
                    file.seek(0)
                self.inode = inode
                self._read(file.read())
        except FileNotFoundError:
            if self.inode:
                self._forget()
        if not self.exists:
            self.run = None
        elif self.run is None or not self.offset:
            try:
                self.run = read_run(self.path)
            except InputError:  # it is being written
                self.run = None

    def _read(self, data: bytes) -> None:
        whole = data[: data.rfind(b"\n") + 1]
        at = self.offset
        for line in whole.splitlines(keepends=True):
            at += len(line)
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                self.events.append(event)
                self.touched[str(event.get("event"))] = at
        self.checksum = zlib.crc32(whole, self.checksum)
        self.offset = at
        self.edge = (self.edge + whole)[-EDGE:]
        steps = [e["step"] for e in self.events[-1:] if isinstance(e.get("step"), int)]
        if whole and steps:
            now = time.monotonic()
            self.pace.append((now, steps[0]))
            while now - self.pace[0][0] > PACE and len(self.pace) > 2:
                self.pace.popleft()

    def knows(self, mark: Mark) -> bool:
        """Whether the events up to `mark` are those that somebody saw there."""
        if mark.reading == self.reading:
            return True
        if not 0 <= mark.offset <= self.offset:
            return False
        checksum, left = 0, mark.offset
        try:
            with open(self.events_path, "rb") as file:
                while left and (data := file.read(min(CHUNK, left))):
                    checksum, left = zlib.crc32(data, checksum), left - len(data)
        except FileNotFoundError:
            return mark.offset == 0
        return not left and checksum == mark.checksum

    def news(self, since: Mark | None, name: str) -> News | None:
        """What is new after `since`, or everything where that is None or not known; None where nothing is."""
        now = self.mark
        if since and not self.knows(since):
            since = None
        if self.run is None or (since and since[:3] == now[:3]):
            return None
        run = replace(
            self.run,
            events=self.events,
            epochs=[e for e in self.events if e.get("event") == "epoch" and number(e.get("epoch")) is not None],
            end=next((e for e in reversed(self.events) if e.get("event") == "end"), None),
        )
        parts, words = {}, None
        if since is None or since.offset != now.offset:
            record = record_of(run, name)
            record["status"] |= self._lately(record["status"]["state"])
            for part, value in record.items():
                kinds = BEARING.get(part)
                latest = max((self.touched.get(kind, 0) for kind in kinds), default=0) if kinds else now.offset
                if part != "name" and (since is None or latest > since.offset):
                    parts[part] = value
            words = said(run, name)
        snapshots = None
        if since is None or since.snapshots != now.snapshots:
            kept = snapshots_of(self.path)
            snapshots = {"keep": [snapshot["step"] for snapshot in kept], "add": kept}
        return News(parts, words, snapshots)

    def _lately(self, state: str) -> dict[str, Any]:
        """The pace of the last half minute, where it was watched that long, and when there was an event."""
        found: dict[str, Any] = {"updated": self.updated}
        (began, first), (ended, last) = (self.pace[0], self.pace[-1]) if self.pace else ((0.0, 0), (0.0, 0))
        if state == "open" and ended - began > 2 and last > first:
            found["rate"] = (last - first) / (ended - began)
        return found

    def _digest(self) -> int:
        folder = Folder(self.path, silent=True)
        known = []
        for step in folder.snapshot_steps():
            try:
                known.append((step, folder.snapshot_path(step).stat().st_mtime_ns))
            except FileNotFoundError:  # thinned out meanwhile
                continue
        return zlib.crc32(repr(known).encode())

    def stands(self) -> tuple[bool, int]:
        """What the page was made for: whether the run is there, and which scores; a change asks for a new page.

        There as it was last read: a folder that appears between the reading and the page is not in the page.
        """
        there = self.run is not None
        try:
            return there, (self.path / "scores.json").stat().st_mtime_ns
        except FileNotFoundError:
            return there, 0


def said(run: Run, name: str) -> dict[str, Any]:
    """The words about a run, as viewer/src/said.js shows them."""
    words = words_of(run, name)
    return {
        "note": words.note,
        "findings": [
            {"illness": f.illness.capitalize(), "sentence": f.sentence, "cures": list(f.cures)} for f in words.findings
        ],
        "alerts": [{"step": a.step, "kind": a.kind, "words": a.words} for a in words.alerts],
    }
