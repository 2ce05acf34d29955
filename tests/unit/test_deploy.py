"""What deploy/ says fits what there is: services, settings, files."""
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from services.cli import app
from services.runtime.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
    return found


def test_every_service_of_the_composition_is_a_command_with_settings_that_exist(services: dict[str, Any]) -> None:
    ours = {name: service for name, service in services.items() if service["image"] == "testamur"}
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]

    assert ours.keys() == {"ingest", "api", "projector"}
    for name, service in ours.items():
        assert service["command"] == [name]
        assert name in commands
        assert {setting.removeprefix("TESTAMUR_").lower() for setting in service["environment"]} <= set(Settings.model_fields)


def test_the_gateway_is_told_where_the_services_of_the_composition_are(services: dict[str, Any]) -> None:
    configuration = (DEPLOY / "nginx.conf").read_text("utf-8")

    assert "./nginx.conf:/etc/nginx/nginx.conf:ro" in services["gateway"]["volumes"]
    assert all(f"server {name}:{Settings.model_fields['port'].default} " in configuration for name in ("ingest", "api"))


def test_everything_that_the_image_is_made_of_is_there_and_let_through() -> None:
    copied = [word for line in (DEPLOY / "Dockerfile").read_text("utf-8").splitlines() if line.startswith("COPY ") and "--from" not in line
              for word in line.split()[1:-1]]
    let_through = (DEPLOY.parent / ".dockerignore").read_text("utf-8").splitlines()

    assert copied
    assert all((DEPLOY.parent / path).exists() and f"!{path}" in let_through for path in copied)
