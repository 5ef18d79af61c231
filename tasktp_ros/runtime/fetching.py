# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Downloads that resume, are compared with what is known of the file, and leave nothing half under its name."""

import html.parser
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any

from tasktp_ros.errors import InputError, TaskTPError
from tasktp_ros.files import check_folder, readable, replacing
from tasktp_ros.runtime.importing.convert import Imported, Wishes, import_model, sha256_of
from tasktp_ros.runtime.public_models import PublicModel
from tasktp_ros.runtime.shipped import fetched_models

PART = 1 << 18
PATIENCE = 30.0
"""Seconds without a byte after which a server is given up."""
LONGEST_PAGE = 1 << 20
AGENT = "tasktp_ros"
BOOK = "sha256.json"

Progress = Callable[[int, int], None]
"""Told the bytes that are here and the bytes there will be, 0 where the server does not say."""


def fetch(model: PublicModel, progress: Progress) -> tuple[Path, Imported]:
    """Download a public model and write it as a model file in the folder of fetched models.

    A download that was broken off goes on where it stopped. The SHA-256 must be the published one, or that of the first fetch.

    Raises:
        InputError: no way there, an answer that is no such file, or another file than expected; says how to do it by hand.
        ModelError: the file cannot be imported.
    """
    folder = fetched_models()
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{model.name}.part"
    try:
        download(model.address, part, model.bytes, progress)
    except InputError as error:
        raise InputError(f"{error}; {by_hand(model, folder)}") from error
    try:
        digest = _checked_hash(model, part, folder)
        output = folder / f"{model.name}.safetensors"
        imported = import_model(part, output, Wishes(name=model.name, file=_file_name(model), public=model))
    except TaskTPError:
        _forget(part)  # it is not what it should be; after an interruption or a full disk it stays
        raise
    _forget(part)
    with replacing(folder / BOOK) as beside:
        beside.write_text(json.dumps(_remembered(folder) | {model.name: digest}, indent=1))
    return output, imported


def by_hand(model: PublicModel, folder: Path) -> str:
    """What to do where the network or the server does not let a program have the file."""
    return (
        f"by hand: open {model.address} in a browser (described at {model.page}), save the file and type "
        f"`tasktp import FILE --of {model.name} --output {folder / model.name}.safetensors`"
    )


def download(address: str, part: Path, expected: int, progress: Progress) -> None:
    """Bring a file, continuing what lies in `part`; also where a server first answers with Google Drive's page of confirmation.

    Args:
        expected: bytes the file must have; 0 = unknown.

    Raises:
        InputError: it cannot be had whole.
    """
    for _ in range(2):
        confirmed = _download_once(address, part, expected, progress)
        if confirmed is None:
            return
        address = confirmed
    raise InputError(f"{address} answers with one page of confirmation after the other")


def _download_once(address: str, part: Path, expected: int, progress: Progress) -> str | None:
    """None when the file is here; else the address that the page of confirmation leads to."""
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(address, headers={"User-Agent": AGENT})
    mark = part.with_suffix(".tag")
    tag = mark.read_text() if mark.is_file() else ""
    if have and (tag or expected):
        request.add_header("Range", f"bytes={have}-")
        if tag:
            request.add_header("If-Range", tag)
    try:
        with urllib.request.build_opener().open(request, timeout=PATIENCE) as answer:  # with the proxy of now
            if "text/html" in answer.headers.get("Content-Type", ""):
                return _confirmation(answer.read(LONGEST_PAGE), answer.geturl())
            resumed = answer.status == 206
            if resumed and not _starts_at(answer.headers, have):
                _forget(part)
                raise InputError(f"{address} goes on at another byte than asked for: what was here is thrown away")
            have = have if resumed else 0
            total = have + int(answer.headers.get("Content-Length") or 0) if answer.headers.get("Content-Length") else 0
            if expected and total and total != expected:
                raise InputError(f"{address} offers {total} bytes, expected {expected}: it is another file")
            mark.write_text(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "")
            with part.open("ab" if resumed else "wb") as file:
                _copy(answer, file, have, total or expected, progress)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # what is here is as long as the file, or longer
            if expected and have == expected:
                return None
            _forget(part)
            return address
        raise InputError(f"{address} cannot be fetched: the server says {error.code} {error.reason}") from error
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise InputError(f"{address} cannot be fetched: {reason or type(error).__name__}{_kept(part)}") from error
    size = part.stat().st_size
    wanted = total or expected
    if wanted and size != wanted:
        if size > wanted:
            _forget(part)
        raise InputError(f"{address} broke off after {size} of {wanted} bytes{_kept(part)}")
    mark.unlink(missing_ok=True)
    return None


def _copy(answer: Any, file: IO[bytes], have: int, total: int, progress: Progress) -> None:
    while data := answer.read(PART):
        file.write(data)
        have += len(data)
        progress(have, total)


def _starts_at(headers: HTTPMessage, have: int) -> bool:
    found = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
    return bool(found) and int(found[1]) == have  # type: ignore[index]


def _kept(part: Path) -> str:
    return "; what has come is kept: type the same again to go on" if part.is_file() and part.stat().st_size else ""


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    part.with_suffix(".tag").unlink(missing_ok=True)


class _Form(html.parser.HTMLParser):
    """The first form of a page: where it leads, and its hidden fields."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.action:
            self.action = given.get("action", "")
        elif tag == "input" and given.get("type") == "hidden" and given.get("name"):
            self.fields[given["name"]] = given.get("value", "")


def _confirmation(page: bytes, address: str) -> str:
    """Where a page of confirmation leads; InputError where a page is none."""
    form = _Form()
    form.feed(page.decode("utf-8", "replace"))
    target = urllib.parse.urljoin(address, form.action)
    if not form.action or "confirm" not in form.fields or not target.startswith(("http://", "https://")):
        raise InputError(f"{address} answers with a web page instead of the file")
    return f"{target}?{urllib.parse.urlencode(form.fields)}"


def _checked_hash(model: PublicModel, part: Path, folder: Path) -> str:
    """The file's SHA-256, which must be the published one or that of the first fetch.

    Raises:
        InputError: it is another file.
    """
    digest = sha256_of(part)
    wanted, whence = model.sha256, "published"
    if not wanted:
        wanted, whence = _remembered(folder).get(model.name, ""), f"remembered in {readable(folder / BOOK)}"
    if not digest.startswith(wanted):
        raise InputError(
            f"what {model.address} sent has SHA-256 {digest}, and {wanted} is {whence}: it was thrown away"
        )
    return digest


def _remembered(folder: Path) -> dict[str, str]:
    """SHA-256 by model, of what was fetched before."""
    book = folder / BOOK
    try:
        return dict(json.loads(book.read_text())) if book.is_file() else {}
    except ValueError as error:
        raise InputError(f"{readable(book)} cannot be read: remove it to have hashes remembered anew") from error


def _file_name(model: PublicModel) -> str:
    return os.path.basename(urllib.parse.urlsplit(model.address).path) or model.name
