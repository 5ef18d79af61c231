# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What the images are built from is there, and the workflow builds all of them. Docker itself is not started."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "docker").glob("*.Dockerfile"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_image_installs_the_versions_this_package_asks_for(file):
    text, project = file.read_text(), (ROOT / "pyproject.toml").read_text()
    for requirement in re.findall(r'"(torch[^"]*)"', text):
        assert f'"{requirement}"' in project
    for source in re.findall(r"^COPY (\S+)", text, re.MULTILINE):
        assert (ROOT / source).exists()


def test_the_workflow_builds_every_image_and_compose_names_them():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    built = {f"{entry['file']}.Dockerfile" for entry in jobs["images"]["strategy"]["matrix"]["include"]}
    assert built == {file.name for file in FILES}
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    for service in services.values():
        assert (ROOT / "docker" / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_nothing_that_git_ignores_goes_into_an_image():
    ignored = {line.strip("/") for line in (ROOT / ".dockerignore").read_text().splitlines()}
    assert {".venv", "build", "data", "runs", "demo"} <= ignored
