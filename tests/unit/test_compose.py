"""deploy/compose.yaml: what it mounts is there, what it needs is told, and nothing but this machine reaches it."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from poller.config import load

CHECKOUT: Final = Path(__file__).parents[2]
DEPLOY: Final = CHECKOUT / "deploy"
FILE: Final = DEPLOY / "compose.yaml"
TEXT: Final = FILE.read_text(encoding="utf-8")
COMPOSE: Final[dict[str, Any]] = yaml.safe_load(TEXT)
SERVICES: Final[dict[str, Any]] = COMPOSE["services"]
VARIABLES: Final = re.compile(r"\$\{(\w+)(:[-?][^}]*)?\}")
EXAMPLE: Final = dict(
    line.split("=", 1)
    for line in (DEPLOY / ".env.example").read_text(encoding="utf-8").splitlines()
    if re.match(r"[A-Z]", line)
)


def mounts() -> list[tuple[str, str, list[str]]]:
    """Return source, target and options of all volumes."""
    listed = (mount for service in SERVICES.values() for mount in service.get("volumes", ()))
    return [(source, target, options) for source, target, *options in (mount.split(":") for mount in listed)]


@pytest.fixture(name="deploy")
def _deploy(tmp_path: Path) -> Path:
    """A copy of what writes the passwords."""
    for name in ("make-env", ".env.example"):
        shutil.copy(DEPLOY / name, tmp_path / name)
    return tmp_path


def test_whatever_is_mounted_is_there() -> None:
    bound = {source: options for source, _, options in mounts() if source.startswith(".")}

    assert [source for source in bound if not (DEPLOY / source).exists()] == []
    assert all(options == ["ro"] for options in bound.values())
    assert {source for source, _, _ in mounts() if not source.startswith(".")} == set(COMPOSE["volumes"])


def test_every_variable_is_in_the_example_and_used() -> None:
    used = {name for name, _ in VARIABLES.findall(TEXT)}

    assert used == set(EXAMPLE)
    assert not re.search(r"\$\w", TEXT)


def test_no_password_has_a_default() -> None:
    for name, otherwise in VARIABLES.findall(TEXT):
        if name.endswith("PASSWORD"):
            assert otherwise == ":?run deploy/make-env first", name
            assert EXAMPLE[name] == "", name
        elif name.endswith("PORT"):
            assert otherwise == f":-{EXAMPLE[name]}", name


def test_every_image_is_pinned() -> None:
    foreign = {service["image"] for service in SERVICES.values() if "build" not in service}
    based = re.findall(r"^FROM (\S+)", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert all(re.fullmatch(r"[\w./-]+:v?\d+(\.\d+){2}(-pg\d+)?", image) for image in foreign), foreign
    assert set(based) == {"python:3.13-slim-trixie"}


def test_only_this_machine_reaches_a_port() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]

    assert len(ports) == 4
    assert all(re.fullmatch(r"127\.0\.0\.1:\$\{\w+_PORT:-\d+\}:\d+", port) for port in ports)


def test_every_service_has_its_limits_and_comes_back_unless_it_is_a_step() -> None:
    for name, service in SERVICES.items():
        assert service["mem_limit"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["logging"]["options"]["max-size"], name
        assert service["restart"] == ("no" if name in {"roles", "schema", "rights"} else "unless-stopped"), name
        waited = service.get("depends_on", {})
        assert all(SERVICES[other]["restart"] == "no" or "healthcheck" in SERVICES[other] for other in waited), name


def test_the_poller_may_write_to_its_spool_alone_and_has_the_time_to_end() -> None:
    poller = SERVICES["poller"]

    assert poller["read_only"] is True
    assert poller["cap_drop"] == ["ALL"]
    assert [mount for mount in poller["volumes"] if not mount.endswith(":ro")] == ["spool:/var/lib/poller"]
    assert poller["stop_grace_period"] == "30s"


def test_the_configuration_of_the_poller_is_valid_as_it_is() -> None:
    url = SERVICES["poller"]["environment"]["DATABASE_URL"]

    settings = load(DEPLOY / "poller.yaml", {"DATABASE_URL": VARIABLES.sub("0123456789abcdef", url)})

    assert settings.simulates
    assert settings.http.address == ("0.0.0.0", 8080)  # noqa: S104 - of the container


def test_grafana_is_told_all_that_its_provisioning_asks_for() -> None:
    provisioning = CHECKOUT / "grafana" / "provisioning" / "datasources"
    asked = {name for path in provisioning.glob("*.yaml") for name in re.findall(r"\$([A-Z]\w+)", path.read_text())}

    assert asked - SERVICES["grafana"]["environment"].keys() == set()


def test_prometheus_is_told_the_same_as_elsewhere_but_for_where_the_poller_is() -> None:
    elsewhere, here = (
        yaml.safe_load((DEPLOY / "prometheus" / name).read_text(encoding="utf-8"))
        for name in ("prometheus.yml", "compose.yml")
    )
    [job] = elsewhere["scrape_configs"]
    job["static_configs"] = [{"targets": ["poller:8080"]}]

    assert here == elsewhere


def test_everybody_gets_a_password_of_their_own(deploy: Path) -> None:
    subprocess.run(["sh", "make-env"], cwd=deploy, check=True, capture_output=True)
    written = (deploy / ".env").read_text(encoding="utf-8")
    passwords = re.findall(r"^[A-Z_]+_PASSWORD=([0-9a-f]{48})$", written, flags=re.MULTILINE)

    assert len(set(passwords)) == sum(name.endswith("PASSWORD") for name in EXAMPLE)
    assert re.sub(r"[0-9a-f]{48}", "", written) == (DEPLOY / ".env.example").read_text(encoding="utf-8")
    assert (deploy / ".env").stat().st_mode & 0o777 == 0o600


def test_passwords_that_are_in_use_are_not_replaced(deploy: Path) -> None:
    (deploy / ".env").write_text("OWNER_PASSWORD=kept\n", encoding="utf-8")

    refused = subprocess.run(["sh", "make-env"], cwd=deploy, check=False, capture_output=True, text=True)

    assert refused.returncode == 1
    assert "deploy/.env is there already" in refused.stderr
    assert (deploy / ".env").read_text(encoding="utf-8") == "OWNER_PASSWORD=kept\n"


def test_the_image_is_made_of_nothing_but_the_program() -> None:
    allowed = (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").split("*\n", 1)[1].splitlines()
    copied = re.findall(
        r"^COPY (?!--from)(.*) \S+$", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE
    )

    assert {line.removeprefix("!") for line in allowed if line.startswith("!")} == set(" ".join(copied).split())
    assert all((CHECKOUT / name).exists() for name in " ".join(copied).split())


def test_docker_understands_every_line(deploy: Path) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], check=False, capture_output=True).returncode:
        pytest.skip("no `docker compose` here")
    subprocess.run(["sh", "make-env"], cwd=deploy, check=True, capture_output=True)
    command = [docker, "compose", "--file", str(FILE), "--env-file", str(deploy / ".env"), "config", "--quiet"]

    judged = subprocess.run(command, check=False, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})

    assert (judged.returncode, judged.stderr) == (0, "")
