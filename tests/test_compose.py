"""docker-compose.yml and what it runs: read by Docker Compose, its arguments by the programs themselves."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from llm_otel.cli.app import app
from llm_otel.demo.alerts import PORT as ALERTS_PORT
from tests.exporters.gateway import Gateway
from tests.exporters.programs import free_port, running
from tests.exporters.tools import ROOT, built, run

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
EXPORTERS = ROOT / "exporters"
PASSWORD = {"GRAFANA_PASSWORD": "chosen"}
OURS = "llm-otel-demo"
NON_ROOT = {
    "quay.io/prometheus/prometheus": "nobody",
    "quay.io/prometheus/alertmanager": "nobody",
    "ghcr.io/open-telemetry/opentelemetry-collector-releases/opentelemetry-collector-contrib": "10001",
    "grafana/tempo": "10001",
    "grafana/grafana": "472",
}
"""Images whose own user is not root, and that user (their Dockerfiles, read 2026-11)."""
WITHOUT_HEALTH_CHECK = {"collector"}
"""Its image has nothing in it to check it with."""


def compose(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Docker Compose on the file, with these variables; `config` needs no Docker."""
    environ = {name: value for name, value in os.environ.items() if name not in PASSWORD}
    command = [built("docker-compose"), "--file", str(ROOT / "docker-compose.yml"), *arguments]
    return subprocess.run(
        command, env=environ | variables, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT
    )


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    """The services, as Docker Compose understands them."""
    done = compose("config", "--format", "json", **PASSWORD)
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)["services"]


# --- The file ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variables", [{}, {"GRAFANA_PASSWORD": ""}], ids=["none", "empty"])
def test_there_is_no_default_password(variables):
    """Nothing starts until one is chosen; the message says how."""
    done = compose("config", "--quiet", **variables)

    assert 0 != done.returncode
    assert "GRAFANA_PASSWORD=... docker compose up" in done.stderr


def test_the_file_is_sound(services):
    """By the schema and the rules of Docker Compose: no unknown key, no service that is not there, no warning."""
    done = compose("config", "--quiet", **PASSWORD)

    assert (0, "") == (done.returncode, done.stderr)
    assert {"demo", "redis", "collector", "tempo", "prometheus", "alertmanager", "alerts", "grafana"} == services.keys()


def test_images_are_of_one_release(services):
    """What was tested is what runs, next year too."""
    images = [each["image"] for each in services.values()] + re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)

    assert [OURS, OURS] == [image for image in images if not re.search(r":v?\d+\.\d+\.\d+(-\w+)?$", image)]
    assert "never" == services["alerts"]["pull_policy"], "it is built here, and on no registry"


def test_releases_are_those_that_the_tests_run(services):
    """The binaries of `make tools`."""
    script = (ROOT / "scripts" / "get-prometheus").read_text(encoding="utf-8")
    manifest = yaml.safe_load((EXPORTERS / "collector" / "builder-config.yaml").read_text(encoding="utf-8"))
    tags = {name: each["image"].rpartition(":")[2].removeprefix("v") for name, each in services.items()}

    for name in ("prometheus", "alertmanager"):
        (release,) = re.findall(rf"build github.com/prometheus/{name} \S+ \S+ (\S+)", script)
        assert release == tags[name]
    assert manifest["dist"]["version"] == tags["collector"]


def test_ports_are_published_on_this_machine_alone(services):
    """There is no password on most of them."""
    published = [port for each in services.values() for port in each.get("ports", ())]

    assert {"127.0.0.1"} == {port["host_ip"] for port in published}
    assert len(published) == len({port["published"] for port in published})


def test_services_can_do_no_more_than_they_need(services):
    """They write to their volumes and nowhere else, have no capabilities, get none, and keep their logs short."""
    for name, each in services.items():
        assert each["read_only"] is True, name
        assert ["ALL"] == each["cap_drop"], name
        assert ["no-new-privileges:true"] == each["security_opt"], name
        assert "max-size" in each["logging"]["options"], name
        assert not {"privileged", "cap_add", "devices", "pid"} & each.keys(), name


def test_no_service_runs_as_root(services):
    """By its image, or by what stands here."""
    (user,) = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.MULTILINE)
    own = {**NON_ROOT, OURS: user}
    users = {name: each.get("user") or own.get(each["image"].partition(":")[0]) for name, each in services.items()}

    assert {} == {name: user for name, user in users.items() if user is None or user.partition(":")[0] in {"0", "root"}}


def test_services_are_asked_whether_they_are_well(services):
    """Wherever the image has something to ask with."""
    assert WITHOUT_HEALTH_CHECK == {name for name, each in services.items() if "healthcheck" not in each}


def test_what_is_mounted_is_there_and_cannot_be_changed(services):
    """Docker makes an empty directory of a file that is missing."""
    binds = [each for service in services.values() for each in service.get("volumes", ()) if each["type"] == "bind"]

    assert [] == [each["source"] for each in binds if not Path(each["source"]).exists() or not each["read_only"]]
    assert 5 <= len(binds)


# --- What they say to each other --------------------------------------------------------------------------


def read(*path: str) -> Any:
    """Read one of the configurations."""
    return yaml.safe_load(ROOT.joinpath(*path).read_text(encoding="utf-8"))


def port_of(address: str) -> int:
    """Return the port at the end of an address."""
    return int(address.rpartition(":")[2])


@pytest.fixture(scope="module")
def listening(services) -> dict[str, set[int]]:
    """The ports that each service listens on: by its own configuration; what has none there, by its documentation."""
    by_default = {"prometheus": {9090}, "alertmanager": {9093, ALERTS_PORT}, "grafana": {3000}, "redis": {6379}}
    tempo = read("exporters", "tempo", "tempo.yaml")
    collector = read("exporters", "collector", "config.yaml")
    telemetry = collector["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]
    protocols = collector["receivers"]["otlp"]["protocols"]
    demo = parsed("demo", services["demo"]["command"][1:])
    return by_default | {
        "demo": {demo["port"]},
        "tempo": {
            tempo["server"]["http_listen_port"],
            port_of(tempo["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]),
        },
        "collector": {
            *(port_of(each["endpoint"]) for each in protocols.values()),
            port_of(collector["extensions"]["health_check"]["endpoint"]),
            telemetry["port"],
        },
    }


def addresses() -> Iterator[tuple[str, str]]:
    """Yield who calls, and what: `service:port`."""
    config = read("exporters", "prometheus", "prometheus.yml")
    alerting = config["alerting"]["alertmanagers"][0]["static_configs"]
    for group in [*alerting, *(group for job in config["scrape_configs"] for group in job["static_configs"])]:
        yield from (("prometheus", target) for target in group["targets"])
    for source in read("grafana", "provisioning", "datasources", "llm-otel.yml")["datasources"]:
        yield "grafana", re.fullmatch(r"http://([\w.:-]+)", source["url"])[1]
    for receiver in read("exporters", "alertmanager", "alertmanager.yml")["receivers"]:
        yield from (("alertmanager", each["url"].split("/")[2]) for each in receiver["webhook_configs"])
    collector = (EXPORTERS / "collector" / "config.yaml").read_text(encoding="utf-8")
    yield from (("collector", found) for found in re.findall(r"_ENDPOINT:-(?:http://)?([\w-]+:\d+)", collector))
    for name, each in read("docker-compose.yml")["services"].items():
        said = json.dumps([each.get("command"), each.get("environment"), each.get("healthcheck")])
        # What is said to people is no address that a container calls.
        called = re.sub(r'"--grafana-url", "[^"]+"', "", said)
        yield from ((name, found) for found in re.findall(r"\w+://([\w-]+:\d+)", called))


def test_every_address_is_of_a_service_that_listens_there(services, listening):
    """In the configurations of all of them, and in what is checked."""
    asked = set(addresses())
    wrong = [
        (who, address)
        for who, address in asked
        if port_of(address) not in listening.get(who if address.startswith("localhost:") else address.split(":")[0], ())
    ]

    assert [] == wrong
    assert len(asked) >= 15
    assert "service:alertmanager" == services["alerts"]["network_mode"], "where Alertmanager takes it for localhost"


def test_what_is_published_is_listened_on(services, listening):
    """The port within is one of the service's own."""
    published = {(name, port["target"]) for name, each in services.items() for port in each.get("ports", ())}

    assert [] == [(name, port) for name, port in published if port not in listening[name]]


def test_grafana_finds_its_dashboards(services):
    """Where the provider looks, and the one it opens with."""
    grafana = services["grafana"]
    provider = read("grafana", "provisioning", "dashboards", "llm-otel.yml")["providers"][0]["options"]["path"]

    assert list(outside(provider, grafana).glob("llm-otel-*.json"))
    assert outside(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"], grafana).is_file()
    assert outside("/etc/grafana/provisioning/datasources/llm-otel.yml", grafana).is_file()


# --- What they are told -----------------------------------------------------------------------------------


def parsed(command: str, arguments: list[str]) -> dict[str, Any]:
    """Parse the arguments of one of our own commands, without running it."""
    commands = typer.main.get_command(app)
    found = commands.get_command(commands.make_context("llm-otel", [command]), command)
    return found.make_context(command, list(arguments)).params


def test_the_demo_takes_its_arguments(services):
    """What the image runs by itself, too."""
    (by_itself,) = re.findall(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)

    for command, *arguments in (services["demo"]["command"], json.loads(by_itself)):
        taken = parsed(command, arguments)
        assert (True, "0.0.0.0") == (taken["serve"], taken["host"])
    taken = parsed("demo", services["demo"]["command"][1:])
    assert taken["otlp"] is True
    (port,) = services["grafana"]["ports"]
    assert f"http://localhost:{port['published']}" == taken["grafana_url"]


def test_the_image_has_what_it_is_made_of():
    """Each file is there, and let through to Docker."""
    let_through = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sources = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]

    assert [] == [source for source in sources if not (ROOT / source).exists()]
    kept = {line[1:].removesuffix("/**").removesuffix("/*.txt") for line in let_through if line.startswith("!")}
    assert [] == [source for source in sources if not any(source.startswith(each) for each in kept)]


def test_python_services_are_modules_of_ours_and_checked_by_python(services):
    """What is written in the file is code."""
    python, option, module = services["alerts"]["entrypoint"]

    assert ("python", "-m") == (python, option)
    assert importlib.util.find_spec(module)
    for name in ("demo", "alerts"):
        compile(services[name]["healthcheck"]["test"][-1], name, "exec")


def outside(path: str, service: Mapping[str, Any], volumes: Path | None = None) -> Path:
    """Return where a path within a service lies on this machine; what is in a volume, in a directory."""
    mounted = sorted(service["volumes"], key=lambda each: -len(each["target"]))
    found = next(each for each in mounted if f"{path}/".startswith(f"{each['target']}/"))
    if found["type"] == "volume":
        assert volumes is not None, path
        return volumes / path.strip("/")
    return Path(found["source"] + path.removeprefix(found["target"]))


def told(service: Mapping[str, Any], volumes: Path) -> list[str]:
    """Return a service's arguments, with its paths as they are on this machine."""
    return [
        re.sub(r"(?<==)/[\w./-]+", lambda found: str(outside(found[0], service, volumes)), argument)
        for argument in service["command"]
    ]


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_it_runs_by_its_arguments_and_is_well(tmp_path, services, name):
    """By exactly these, but for the port; what checks it says so."""
    service = services[name]
    port = free_port()
    command = (built(name), *told(service, tmp_path), f"--web.listen-address=127.0.0.1:{port}")
    _, program, *arguments = service["healthcheck"]["test"]
    with running(command, tmp_path / f"{name}.yml", f"http://127.0.0.1:{port}/-/ready"):
        own = [re.sub(r"//localhost:\d+", f"//127.0.0.1:{port}", argument) for argument in arguments]
        done = run(built(program), *own)

    assert 0 == done.returncode, done.stdout
    log = (tmp_path / f"{name}.log").read_text(encoding="utf-8")
    assert [] == re.findall(r".*level=WARN.*(?i:deprecated|unknown|invalid).*", log)


def test_the_collector_runs_by_its_arguments(tmp_path, services):
    """With its own environment, and other ports."""
    service, place = services["collector"], Gateway()
    over = tmp_path / "collector.json"
    over.write_text(place.places(), encoding="utf-8")
    command = (built("otelcol"), *told(service, tmp_path), f"--config={over}")

    with running(command, over, place.health, {**os.environ, **service["environment"]}):
        assert 0 == place.decided()

    assert "deprecated" not in over.with_suffix(".log").read_text(encoding="utf-8").lower()
