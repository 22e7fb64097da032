"""The Dockerfile: pinned, locked, not root. It is parsed, not built: no engine is needed."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
PINNED = re.compile(r"[a-z0-9./-]+:\d+\.\d+\.\d+(-[a-z0-9-]+)?(@sha256:[0-9a-f]{64})?")
SECRET_WORDS = re.compile(r"password|secret|token|private|fernet|jwt|conn\b|_key", re.IGNORECASE)


def instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", "", DOCKERFILE)
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(" ", 1)) for line in lines]


def test_the_image_is_built_from_pinned_official_images_and_does_not_run_as_root():
    bases = [text.split()[0] for word, text in instructions() if word == "FROM"]
    assert all(PINNED.fullmatch(base) and base.startswith("python:3.11.") for base in bases)
    assert len(set(bases)) == 1, "the venv of the first stage runs on the second one's Python"
    last_from = max(i for i, (word, _) in enumerate(instructions()) if word == "FROM")
    final = instructions()[last_from:]
    users = [text for word, text in final if word == "USER"]
    assert users == ["50000:50000"]
    (entrypoint,) = (text for word, text in final if word == "ENTRYPOINT")
    assert entrypoint.startswith("[")


def test_the_dockerfile_keeps_to_good_manners():
    words = [word for word, _ in instructions()]
    assert "ADD" not in words
    assert "MAINTAINER" not in words
    for word, text in instructions():
        assert "latest" not in text
        assert "sudo" not in text
        if word == "RUN":
            assert "curl" not in text
            if "pip install" in text and "uv pip" not in text:
                assert re.search(r"\w==\d", text)
                assert "--no-cache-dir" in text
        if word in {"ENV", "ARG"}:
            assert not SECRET_WORDS.search(text)


def test_the_dockerfile_installs_the_locked_versions_with_the_uv_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (uv,) = (d for d in project["dependency-groups"]["dev"] if d.startswith("uv=="))
    assert uv in DOCKERFILE
    assert "uv sync --frozen --no-dev" in DOCKERFILE
    for extra in re.findall(r"--extra (\S+)", DOCKERFILE):
        assert extra in project["project"].get("optional-dependencies", {}), extra


def test_what_the_dockerfile_copies_exists_and_reaches_the_engine():
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines()
               if line.startswith("!")]  # fmt: skip
    for word, text in instructions():
        if word == "COPY" and not text.startswith("--from"):
            for source in text.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert source in allowed


def test_the_folders_of_volumes_belong_to_the_images_user():
    (made,) = (text for word, text in instructions() if word == "RUN" and "install -d" in text)
    for volume in COMPOSE["x-airflow"]["volumes"]:
        source, target, *_ = volume.split(":")
        if not source.startswith("."):
            assert target in made
    assert "-o airflow -g airflow" in made
