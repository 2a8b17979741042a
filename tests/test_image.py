"""The image's recipe, as far as it can be checked where no image is built: its stages, its locked dependencies, its wheel."""

import configparser
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")
Instruction = tuple[str, str]


def instructions() -> list[Instruction]:
    """What the Dockerfile says: `("USER", "65532:65532")`."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in "\n".join(lines).replace("\\\n", " ").splitlines())]


def stages() -> list[list[Instruction]]:
    found: list[list[Instruction]] = []
    for instruction in instructions():
        if instruction[0] == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found


def the(word: str, stage: list[Instruction]) -> list[str]:
    return [rest for instruction, rest in stage if instruction == word]


def commands(stage: list[Instruction]) -> list[list[str]]:
    return [command.split() for line in the("RUN", stage) for command in line.split(" && ")]


def uv(*arguments: str) -> str:
    """Run uv without a network: what it needs, the checkout's own environment was made with."""
    return subprocess.run([UV, *arguments, "--offline"], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_every_stage_is_made_from_the_base_that_a_builder_may_choose() -> None:
    assert instructions()[0] == ("ARG", "BASE=python:3.13-slim")
    assert [the("FROM", stage)[0].split(" AS ")[0] for stage in stages()] == ["${BASE}", "${BASE}"]


def test_the_image_runs_as_a_user_that_is_not_root_and_is_known_by_number() -> None:
    user = the("USER", stages()[-1])[-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert f"runAsUser: {user.split(':')[0]}\n" in (ROOT / "manifests" / "deployment.yaml").read_text()


def test_nothing_is_installed_or_compiled_in_the_image_itself() -> None:
    assert the("RUN", stages()[-1]) == []
    assert the("COPY", stages()[-1]) == ["--from=build /opt/rampgate /opt/rampgate"]
    installs = [command for command in commands(stages()[0]) if "install" in command and "dist/*.whl" not in command]
    assert installs
    assert all("--only-binary" in command for command in installs), installs


def test_the_image_starts_the_command() -> None:
    assert the("ENTRYPOINT", stages()[-1]) == ['["rampgate"]']


def test_uv_is_the_one_that_makes_the_checkouts_environment() -> None:
    version = re.search(r"^UV_VERSION=(\S+)$", (ROOT / "tools" / "bootstrap.sh").read_text(), re.MULTILINE)
    assert version is not None
    assert f"uv=={version[1]}" in commands(stages()[0])[1]


def test_what_is_installed_is_locked_by_hash_and_holds_no_development_tool() -> None:
    [export] = [command for command in commands(stages()[0]) if command[:2] == ["uv", "export"]]
    [install] = [command for command in commands(stages()[0]) if "--requirement" in command]
    assert "--require-hashes" in install
    printed = uv(*(word for word in export[1:] if word not in ("--output-file", "requirements.txt")))
    pinned = re.findall(r"^(\S+)==\S+.*?((?:\\\n +--hash=sha256:\S+ ?)+)", printed, re.MULTILINE)
    names = {name for name, _ in pinned}
    assert len(pinned) == len(re.findall(r"^[^ #\n]", printed, re.MULTILINE)), "each line that names a package pins it by hash"
    assert {"kopf", "kubernetes", "mmh3", "pydantic"} <= names
    assert not {"pytest", "ruff", "mypy"} & names


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    directory = tmp_path_factory.mktemp("wheel")
    uv("build", "--wheel", "--out-dir", str(directory))
    with zipfile.ZipFile(next(directory.glob("*.whl"))) as found:
        yield found


def test_the_wheel_has_both_packages_whole(wheel: zipfile.ZipFile) -> None:
    for folder in (ROOT / "sdk", ROOT / "operator"):
        sources = {str(path.relative_to(folder)) for path in folder.rglob("*.py")}
        assert sources <= set(wheel.namelist())


def test_the_wheel_has_the_command(wheel: zipfile.ZipFile) -> None:
    [name] = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    points = configparser.ConfigParser()
    points.read_string(wheel.read(name).decode())
    assert dict(points["console_scripts"]) == {"rampgate": "rampgate_operator.__main__:main"}


def test_the_builder_is_given_what_it_copies_and_nothing_else_of_the_checkout() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert next(line for line in lines if not line.startswith("#")) == "*"
    given = {line[1:] for line in lines if line.startswith("!")}
    copied = {source for line in the("COPY", stages()[0]) for source in line.split()[:-1]}
    assert copied == given
    assert not any(fnmatch(name, pattern) for name in given for pattern in (".*", "tests", "tools"))
