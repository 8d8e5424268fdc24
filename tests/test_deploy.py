"""What is deployed: as far as it can be checked without docker and without systemd running."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_serving_world import ROOT

DEPLOY = ROOT / "deploy"
DOCKER, SYSTEMD = shutil.which("docker"), shutil.which("systemd-analyze")


def compose() -> dict[str, Any]:
    """The compose file."""
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text()))


def test_the_image_runs_without_root_from_a_lock_with_hashes() -> None:
    """A user of its own, hashes required, no shell needed to start, and every copied path there."""
    text = (DEPLOY / "Dockerfile").read_text()
    lines = [line.split() for line in text.splitlines() if line]
    assert ["USER", "10001:10001"] in lines
    assert "--require-hashes" in text
    assert "libgomp1" in text
    copied = [word for line in lines if line[0] == "COPY" and not line[1].startswith("--")
              for word in line[1:-1]]  # fmt: skip
    assert copied
    assert all((ROOT / path).exists() for path in copied)
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {f"!{path}" for path in copied} <= set(ignore)


def test_every_container_is_reached_by_the_loopback_only_and_gains_no_privilege() -> None:
    """No port of the host but on 127.0.0.1; no password in the file."""
    for service in compose()["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        assert service["security_opt"] == ["no-new-privileges:true"]
    ours = compose()["services"]["goldpan"]
    assert ours["read_only"] is True
    assert ours["cap_drop"] == ["ALL"]
    text = (DEPLOY / "compose.yaml").read_text()
    assert set(re.findall(r"PASSWORD\S*", text)) == {"PASSWORD:", "PASSWORD:?put"}


@pytest.mark.skipif(not DOCKER, reason="there is no docker")
def test_compose_takes_its_file() -> None:
    """Where docker has compose, it finds nothing wrong."""
    there = subprocess.run([str(DOCKER), "compose", "version"], capture_output=True, check=False)
    if there.returncode:
        pytest.skip("this docker has no compose")
    subprocess.run(
        [str(DOCKER), "compose", "--file", str(DEPLOY / "compose.yaml"), "config", "--quiet"],
        env={"POSTGRES_PASSWORD": "x", "PATH": "/usr/bin:/usr/local/bin"}, check=True,
    )  # fmt: skip


@pytest.mark.skipif(not SYSTEMD, reason="there is no systemd")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """With a Python and a folder that are there, systemd finds nothing wrong."""
    text = (DEPLOY / "goldpan.service").read_text()
    unit = tmp_path / "goldpan.service"
    unit.write_text(text.replace("/opt/goldpan/.venv/bin/python", sys.executable))
    done = subprocess.run(
        [str(SYSTEMD), "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Unknown" not in done.stderr
