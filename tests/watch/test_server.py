"""The server of the live page: who may ask it what."""

import json
import sys

import pytest

from elman.errors import InputError
from elman.training.record import Run
from elman.watch import watch

testclient = pytest.importorskip("fastapi.testclient", reason="the extra is not installed: pip install 'elman[serve]'")

from elman.watch.server import Guard, Hub, application  # noqa: E402

OWN = "http://127.0.0.1:8000"


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "run", label="</script><b>LSTM")
    run.start({})
    run.record("step", step=1, epoch=0, loss=1.0, grad_norm=1.0, lr=0.1)
    run.flush()
    return run


def client(*paths, host="127.0.0.1", peer="127.0.0.1", ends=lambda: False):
    app = application(Hub(paths), host=host, ends=ends)
    return testclient.TestClient(app, base_url=OWN, client=(peer, 50000))


def test_the_page_may_only_ask_its_own_server(run):
    answer = client(run.path).get("/")
    assert answer.status_code == 200 and "connect-src 'self'" in answer.text and "</script><b>LSTM" not in answer.text
    assert answer.headers["content-security-policy"] == "frame-ancestors 'none'"
    assert answer.headers["cache-control"] == "no-store" and answer.headers["x-content-type-options"] == "nosniff"
    record = json.loads(answer.text.split('id="elman-record">')[1].split("</script>")[0])
    assert record["live"]["stop"] is True and record["live"]["id"].count(".") == 2


def test_before_there_is_a_run_a_page_waits_for_it(tmp_path):
    path = tmp_path / "<b>late"
    answer = client(path).get("/")
    assert (
        "Waiting for a run" in answer.text and "&lt;b&gt;late" in answer.text and 'http-equiv="refresh"' in answer.text
    )
    Run(path).start({})
    assert "elman-record" in client(path).get("/").text


@pytest.mark.parametrize(
    "name", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[::1", "10.0.0.1"]
)
def test_another_name_for_this_computer_is_refused(run, name):
    for path in ("/", "/events", "/stop/0"):
        assert client(run.path).get(path, headers={"host": name}).status_code == 400


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost:9", "[::1]:80", "LOCALHOST"])
def test_its_own_names_are_not(run, name):
    assert client(run.path).get("/", headers={"host": name}).status_code == 200


def test_listening_everywhere_it_answers_to_plain_addresses():
    everywhere = Guard(None, "0.0.0.0")
    assert everywhere.is_own("192.168.1.5:8000") and everywhere.is_own("[fe80::1]:1") and everywhere.is_own("localhost")
    assert not everywhere.is_own("evil.example") and not everywhere.is_own("192.168.1.5.evil.example")
    assert Guard(None, "192.168.1.5").is_own("192.168.1.5:1") and not Guard(None, "192.168.1.5").is_own("192.168.1.6")


@pytest.mark.parametrize(
    "origin", [None, "http://evil.example", "null", "https://127.0.0.1:8000", "http://127.0.0.1:8001"]
)
def test_only_its_own_page_stops_a_run(run, origin):
    headers = {} if origin is None else {"origin": origin}
    assert client(run.path).post("/stop/0", headers=headers).status_code == 403
    assert not run.stop_path.exists()


def test_its_own_page_stops_a_run_that_trains(run):
    ask = client(run.path)
    ask.get("/")
    assert ask.post("/stop/1", headers={"origin": OWN}).status_code == 404
    assert ask.post("/stop/0", headers={"origin": OWN}).status_code == 204
    assert run.stop_path.exists()


def test_a_run_that_has_ended_is_not_stopped_and_none_from_afar(run):
    run.record("end", step=1, reason="all epochs", seconds=1.0)
    run.flush()
    ask = client(run.path)
    ask.get("/")
    assert ask.post("/stop/0", headers={"origin": OWN}).status_code == 409
    far = client(run.path, peer="192.168.1.9")
    assert '"stop":false' in far.get("/").text
    assert far.post("/stop/0", headers={"origin": OWN}).status_code == 403
    assert not run.stop_path.exists()


def test_the_stream_tells_what_is_new_and_goes_on_from_an_id(run):
    def told(**headers):
        turns = iter([False])  # it looks once
        ask = client(run.path, ends=lambda: next(turns, True))
        page = json.loads(ask.get("/").text.split('id="elman-record">')[1].split("</script>")[0])["live"]["page"]
        text = ask.get(f"/events?page={page}", headers=headers).text
        blocks = [dict(line.split(": ", 1) for line in b.splitlines() if ": " in line) for b in text.split("\n\n") if b]
        return [block for block in blocks if block.get("event") == "parts"]

    (first,) = told()
    (news,) = json.loads(first["data"])
    assert news["run"] == 0 and news["parts"]["loss"]["step"] == [1]
    assert told(**{"Last-Event-ID": first["id"]}) == []
    run.record("step", step=2, epoch=0, loss=0.5, grad_norm=1.0, lr=0.1)
    run.flush()
    (second,) = told(**{"Last-Event-ID": first["id"]})
    (news,) = json.loads(second["data"])
    assert news["parts"]["loss"]["step"] == [1, 2] and "layers" not in news["parts"]


def test_without_the_extra_the_error_says_what_to_install(run, monkeypatch):
    monkeypatch.delitem(sys.modules, "elman.watch.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(InputError, match=r"pip install 'elman\[serve\]'"):
        watch([run.path])


def test_an_address_that_can_not_be_had(run):
    with pytest.raises(InputError, match=r"can't listen at 203\.0\.113\.1, port 80"):
        watch([run.path], host="203.0.113.1", port=80)
    with pytest.raises(InputError, match="at least one run folder"):
        watch([])
