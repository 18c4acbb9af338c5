"""The compose project that the tests start, through the docker command."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.docker.compose_files import ROOT

IMAGE = "nagayomi:cpu"


def docker(*arguments: str | Path, environment: dict[str, str] | None = None) -> str:
    """Run a docker command in the repository; returns its output."""
    done = subprocess.run(
        ["docker", *arguments],
        cwd=ROOT, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"docker {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Project:
    """One compose project of its own, on free ports of this machine."""

    name: str
    files: Sequence[str | Path]
    environment: dict[str, str] = field(default_factory=dict)

    def compose(self, *arguments: str) -> str:
        """`docker compose` on the project. A .env of this checkout chooses neither files nor profiles nor ports."""
        files = [part for file in self.files for part in ("-f", file)]
        environment = {"GATEWAY_PORT": "0", "COMPOSE_PROFILES": "", **self.environment}
        return docker("compose", "-p", self.name, *files, *arguments, environment=environment)

    def up(self) -> None:
        """Start it; healthy when this returns."""
        self.compose("up", "--detach", "--no-build", "--wait")

    def down(self) -> None:
        self.compose("down", "--volumes", "--timeout", "60")

    def client(self) -> httpx.Client:
        """Of the gateway, at the port it is published on."""
        address = self.compose("port", "gateway", "8080").strip()
        return httpx.Client(base_url=f"http://{address}", timeout=120, trust_env=False)

    def python(self, program: str, *arguments: str) -> str:
        """Run a program inside the gateway's container; returns its output."""
        return self.compose("exec", "-T", "gateway", "python", "-c", program, *arguments)

    def inspect(self) -> dict[str, Any]:
        """Docker's description of the gateway's container, running or not."""
        container = self.compose("ps", "--all", "--quiet", "gateway").strip()
        (found,) = json.loads(docker("inspect", container))
        state: dict[str, Any] = found
        return state


def image_bytes(image: str) -> dict[str, int]:
    """Size of an image, and how much of it is not the base image: the layers from its first label on."""
    total = int(docker("image", "inspect", "--format", "{{.Size}}", image))
    added = 0
    history = docker("history", "--no-trunc", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", image)
    for line in history.splitlines():
        size, _, command = line.partition(" ")
        added += int(size)
        if "org.opencontainers.image.title=" in command and command.startswith("LABEL"):
            return {"bytes": total, "bytes_on_base": added}
    raise AssertionError(f"{image} has no title: it is not of this Dockerfile")
