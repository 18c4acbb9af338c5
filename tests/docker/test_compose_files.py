"""The compose files, without an engine: hardened, closed by default, and every variable known where it is used."""

import json
from typing import Any

import pytest
import yaml

from app.http.auth import check_exposure
from app.serve import SEND_S
from app.settings import Settings
from tests.docker.compose_files import COMPOSE_FILES, ROOT, SETTINGS, compose, default_of, examples, interpolated, text

BASE = compose("compose.yaml")
CPU = compose("docker/compose.cpu.yaml")
KEYS = compose("docker/compose.keys.yaml")
# Read by Compose itself, not by a file.
OF_COMPOSE = {"COMPOSE_FILE", "COMPOSE_PROFILES"}


@pytest.mark.parametrize("name", BASE["services"])
def test_every_service_is_hardened(name: str) -> None:
    service: dict[str, Any] = BASE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["user"].partition(":")[0]) > 0
    assert {"memory", "pids"} <= set(service["deploy"]["resources"]["limits"])
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc"} & set(service)


@pytest.mark.parametrize("name", BASE["services"])
def test_nothing_but_this_machine_reaches_a_port(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in BASE["services"][name]["ports"])


def test_an_open_gateway_requires_keys() -> None:
    gateway = KEYS["services"]["gateway"]
    assert gateway["ports"][0].startswith("${GATEWAY_ADDRESS:-127.0.0.1}:")
    assert gateway["environment"] == {
        "NAGAYOMI_ALLOW_UNAUTHENTICATED": "false",
        "NAGAYOMI_API_KEYS_FILE": "/run/secrets/keys",
    }
    assert gateway["secrets"] == ["keys"]
    assert KEYS["secrets"]["keys"]["file"].endswith("/keys.txt")


def test_the_gateway_starts_with_and_without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {name: value for name, value in BASE["services"]["gateway"]["environment"].items() if name in SETTINGS}
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    check_exposure(Settings())
    for name, value in KEYS["services"]["gateway"]["environment"].items():
        monkeypatch.setenv(name, value)
    assert Settings().needs_key
    check_exposure(Settings())


def test_one_gpu_unless_the_cpu_file_says_otherwise() -> None:
    assert BASE["services"]["gateway"]["deploy"]["resources"]["reservations"]["devices"] == [
        {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    ]
    assert CPU["services"]["gateway"]["deploy"]["resources"] == {"reservations": None}
    assert CPU["services"]["gateway"]["build"]["target"] == "cpu"


def test_every_variable_of_the_service_is_one_of_its_settings() -> None:
    named = {
        name
        for path in COMPOSE_FILES
        for service in compose(path)["services"].values()
        for name in service.get("environment", {})
        if name.startswith("NAGAYOMI_")
    }
    named |= {name for name in examples() if name.startswith("NAGAYOMI_")}
    assert named <= SETTINGS


def test_every_variable_is_explained_and_used() -> None:
    shown = {name for name in examples() if not name.startswith("NAGAYOMI_")}
    assert shown - OF_COMPOSE == interpolated()


def test_the_example_shows_the_defaults() -> None:
    shown = examples()
    assert {name: shown[name] for name in interpolated()} == {name: default_of(name) for name in interpolated()}
    for name, value in shown.items():
        if name.startswith("NAGAYOMI_") and name != "NAGAYOMI_PROVIDER":
            default = Settings.model_fields[name.removeprefix("NAGAYOMI_").lower()].default
            expected = ",".join(default) if isinstance(default, tuple) else default
            assert type(expected)(value) == expected, name


def test_stopping_leaves_time_to_drain() -> None:
    grace = float(default_of("GATEWAY_STOP_GRACE_PERIOD").removesuffix("s"))
    assert grace > Settings().drain_timeout_s + SEND_S


def test_mounted_files_exist() -> None:
    for service in BASE["services"].values():
        for volume in service.get("volumes", []):
            if isinstance(volume, str) and volume.startswith("./"):
                assert (ROOT / volume.partition(":")[0]).exists(), volume
    assert (ROOT / BASE["secrets"]["prometheus-key"]["file"]).is_file()


def test_prometheus_scrapes_the_gateway_with_the_key_it_is_given() -> None:
    (job,) = yaml.safe_load(text("docker/prometheus/prometheus.yml"))["scrape_configs"]
    port = BASE["services"]["gateway"]["environment"]["NAGAYOMI_PORT"]
    assert job["static_configs"] == [{"targets": [f"gateway:{port}"]}]
    (secret,) = BASE["services"]["prometheus"]["secrets"]
    assert job["authorization"] == {"credentials_file": f"/run/secrets/{secret}"}
    assert secret in KEYS["secrets"]


def test_prometheus_finds_the_alerts() -> None:
    (rules,) = yaml.safe_load(text("docker/prometheus/prometheus.yml"))["rule_files"]
    mounted = dict(volume.split(":")[:2] for volume in BASE["services"]["prometheus"]["volumes"])
    assert mounted["./docker/prometheus/alerts.yml"] == rules


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    (source,) = yaml.safe_load(text("docker/grafana/provisioning/datasources/prometheus.yml"))["datasources"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
    (provider,) = yaml.safe_load(text("docker/grafana/provisioning/dashboards/nagayomi.yml"))["providers"]
    mounted = dict(volume.split(":")[:2] for volume in BASE["services"]["grafana"]["volumes"])
    assert mounted["./docker/grafana/nagayomi.json"] == f"{provider['options']['path']}/nagayomi.json"
    assert json.loads(text("docker/grafana/nagayomi.json"))["uid"] == "nagayomi"
