# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Downloads over a server that breaks off, lies and answers with pages: whole and known, or not at all and said how by hand."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from foreign import mmcv_file, random_state, small_sizes

from tasktp_ros.cli.main import main
from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import InputError, ModelError
from tasktp_ros.runtime import fetching, public_models
from tasktp_ros.runtime.importing.convert import sha256_of
from tasktp_ros.runtime.models import open_model
from tasktp_ros.runtime.public_models import PublicModel
from tasktp_ros.runtime.shipped import fetched_models, find_model

PAGE = """<html><form id="download-form" action="{address}" method="get">
<input type="hidden" name="id" value="1Cj"><input type="hidden" name="confirm" value="t"><input type="submit"></form></html>"""


@dataclass
class Server:
    """What the next answers are, and what was asked."""

    content: bytes
    address: str = ""
    break_after: int = 0
    claimed: int | None = None
    resumes: bool = True
    wrong_start: bool = False
    page: str = ""
    status: int = 200
    tag: str = '"v1"'
    asked: list = field(default_factory=list)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        small_sizes(patch)
        state = random_state(build_detector("deit_tiny", "dense", 80))
    return mmcv_file(tmp_path_factory.mktemp("weights") / "dense.pth", state, optimizer=False)


@pytest.fixture
def server(weights):
    state = Server(weights.read_bytes())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state.asked.append((self.path, self.headers.get("Range"), self.headers.get("Host")))
            if state.status != 200:
                return self.send_error(state.status)
            if state.page and "confirm=t" not in self.path:
                return self.answer(
                    state.page.format(address=f"{state.address}/real").encode(), "text/html; charset=utf-8"
                )
            start = 0
            if state.resumes and self.headers.get("Range") and self.headers.get("If-Range") == state.tag:
                start = int(self.headers["Range"][6:-1])
                if start >= len(state.content):
                    return self.send_error(416)
            self.answer(state.content[start:], "application/octet-stream", start)

        def answer(self, content, kind, start=0):
            self.send_response(206 if start else 200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content) if state.claimed is None else state.claimed))
            if state.tag:
                self.send_header("ETag", state.tag)
            if start:
                begin = 7 if state.wrong_start else start
                self.send_header("Content-Range", f"bytes {begin}-{len(state.content) - 1}/{len(state.content)}")
            self.end_headers()
            self.wfile.write(content[: state.break_after or None])
            self.close_connection = True

        def log_message(self, *_):
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.daemon_threads = True
    web.handle_error = lambda *_: None
    threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    state.address = f"http://127.0.0.1:{web.server_port}"
    yield state
    web.shutdown()
    web.server_close()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty cache, networks of a few channels and no proxy of the machine's."""
    small_sizes(monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path / "cache" / "tasktp_ros" / "models"


def listed(monkeypatch, server, **fields):
    """The server's file as the public model `svit-dense-tiny`."""
    known = {"licence": "Apache-2.0", "page": "https://somewhere", "published": {"box_AP": 45.8, "mask_AP": 40.9}}
    model = PublicModel("svit-dense-tiny", f"{server.address}/file.pth?id=1", "deit_tiny", **(known | fields))
    monkeypatch.setattr(public_models, "public_models", lambda: {model.name: model})
    return model


def left(home):
    return sorted(path.name for path in home.iterdir()) if home.is_dir() else []


def test_fetch_makes_a_model_that_is_found_by_its_name(server, monkeypatch, home, capsys, weights):
    model = listed(monkeypatch, server)
    with pytest.raises(
        ModelError, match="'svit-dense-tiny' is not on this machine yet: type `tasktp fetch svit-dense-tiny`"
    ):
        find_model("svit-dense-tiny")
    assert main(["models"]) == 0 and "svit-dense-tiny            fetchable" in capsys.readouterr().out
    assert main(["fetch", "svit-dense-tiny"]) == 0
    told = capsys.readouterr().out
    assert "box 45.8, mask 40.9 AP on COCO, licence Apache-2.0" in told and sha256_of(weights) in told
    assert left(home) == ["sha256.json", "svit-dense-tiny.safetensors"]
    _, card = open_model("svit-dense-tiny")
    assert card.source["address"] == model.address and card.source["file"] == "file.pth"
    assert card.source["published"] == {"box_AP": 45.8, "mask_AP": 40.9} and card.trained
    asked = len(server.asked)
    assert main(["fetch", "svit-dense-tiny", "--json"]) == 0 and len(server.asked) == asked
    capsys.readouterr()
    assert main(["models", "--json"]) == 0
    rows = {row["name"]: row["state"] for row in json.loads(capsys.readouterr().out)}
    assert rows["svit-dense-tiny"] == "fetched" and rows["rooms-nano"] == "here"


def test_a_download_that_breaks_off_goes_on_where_it_stopped(server, monkeypatch, home, capsys):
    listed(monkeypatch, server)
    server.break_after = 1000
    assert main(["fetch", "svit-dense-tiny"]) == 2
    told = capsys.readouterr().err
    assert (
        f"broke off after 1000 of {len(server.content)} bytes" in told
        and "type the same again" in told
        and "by hand" in told
    )
    assert not list(home.glob("*.safetensors"))
    server.break_after = 0
    assert main(["fetch", "svit-dense-tiny"]) == 0
    assert server.asked[-1][1] == "bytes=1000-"
    assert left(home) == ["sha256.json", "svit-dense-tiny.safetensors"]


def test_what_changed_in_between_is_fetched_from_its_start(server, monkeypatch, home):
    listed(monkeypatch, server)
    server.break_after = 1000
    assert main(["fetch", "svit-dense-tiny"]) == 2
    server.break_after, server.tag = 0, '"v2"'
    assert main(["fetch", "svit-dense-tiny"]) == 0  # the server answers If-Range with the whole file
    assert fetched_models() == home


def test_a_server_that_goes_on_at_another_byte(server, monkeypatch, home, capsys):
    listed(monkeypatch, server)
    server.break_after = 1000
    assert main(["fetch", "svit-dense-tiny"]) == 2
    server.break_after, server.wrong_start = 0, True
    assert main(["fetch", "svit-dense-tiny"]) == 2
    assert "goes on at another byte" in capsys.readouterr().err and left(home) == []


@pytest.mark.parametrize(
    ("answer", "fields", "sentence"),
    [
        ({"claimed": 10**8}, {}, "broke off after"),
        ({"claimed": 10**5}, {}, "is damaged"),
        ({}, {"bytes": 77}, "expected 77: it is another file"),
        ({}, {"sha256": "ab" * 32}, f"and {'ab' * 32} is published: it was thrown away"),
        ({"page": "<html>Quota exceeded</html>"}, {}, "answers with a web page instead of the file"),
        ({"status": 404}, {}, "the server says 404"),
        ({"status": 503}, {}, "the server says 503"),
    ],
)
def test_a_server_that_lies(server, monkeypatch, home, capsys, answer, fields, sentence):
    listed(monkeypatch, server, **fields)
    vars(server).update(answer)
    assert main(["fetch", "svit-dense-tiny"]) == 2
    told = capsys.readouterr().err
    assert sentence in told and told.count("\n") == 1
    assert not list(home.glob("*.safetensors")) and not (home / "sha256.json").exists()


def test_the_page_of_confirmation_of_google_drive(server, monkeypatch, home):
    listed(monkeypatch, server)
    server.page = PAGE
    assert main(["fetch", "svit-dense-tiny"]) == 0
    assert server.asked[-1][0] == "/real?id=1Cj&confirm=t"


def test_a_first_hash_is_remembered(server, monkeypatch, home, capsys):
    listed(monkeypatch, server)
    assert main(["fetch", "svit-dense-tiny"]) == 0
    server.content = server.content[:-1] + b"x"
    assert main(["fetch", "svit-dense-tiny", "--again"]) == 2
    assert "is remembered in" in capsys.readouterr().err
    assert left(home) == ["sha256.json", "svit-dense-tiny.safetensors"] and open_model("svit-dense-tiny")


def test_offline_says_how_to_do_it_by_hand(server, monkeypatch, capsys):
    model = listed(monkeypatch, server)
    monkeypatch.setattr(
        public_models,
        "public_models",
        lambda: {model.name: PublicModel(model.name, "http://127.0.0.1:9/file.pth", "deit_tiny", page="https://p")},
    )
    assert main(["fetch", "svit-dense-tiny"]) == 2
    told = capsys.readouterr().err
    assert (
        "cannot be fetched" in told and "open http://127.0.0.1:9/file.pth in a browser (described at https://p)" in told
    )
    assert "tasktp import FILE --of svit-dense-tiny --output" in told
    assert main(["fetch", "nothing"]) == 2
    assert "no public model is called 'nothing'; known are svit-dense-tiny" in capsys.readouterr().err


def test_behind_a_proxy(server, monkeypatch):
    model = listed(monkeypatch, server)
    monkeypatch.setattr(
        public_models,
        "public_models",
        lambda: {model.name: PublicModel(model.name, "http://models.invalid/file.pth", "deit_tiny")},
    )
    monkeypatch.setenv("http_proxy", server.address)
    assert main(["fetch", "svit-dense-tiny"]) == 0
    assert server.asked[-1][0] == "http://models.invalid/file.pth" and server.asked[-1][2] == "models.invalid"


def test_a_file_that_cannot_be_imported_is_no_model(server, monkeypatch, home, capsys):
    listed(monkeypatch, server)
    server.content = b"PK\x03\x04 no archive"
    assert main(["fetch", "svit-dense-tiny"]) == 2
    assert "is damaged" in capsys.readouterr().err and not list(home.glob("*.safetensors"))


def test_the_cache_folder_follows_the_rules(monkeypatch, tmp_path):
    assert fetched_models() == tmp_path / "cache" / "tasktp_ros" / "models"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert fetched_models() == tmp_path / ".cache" / "tasktp_ros" / "models"


def test_downloads_from_nowhere(tmp_path):
    with pytest.raises(InputError, match="cannot be fetched"):
        fetching.download("http://127.0.0.1:9/x", tmp_path / "x.part", 0, lambda *_: None)
    assert list(tmp_path.iterdir()) == []
