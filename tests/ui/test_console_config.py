"""console.json: paths beside it, mistakes named, no clear text on a network."""

import json
from pathlib import Path
from typing import Any

import pytest
from hefu_ui.config import load_config
from hefu_ui.errors import ConfigInvalid

NODE = {"url": "https://127.0.0.1:7443", "certificate": "bank.pem", "name_zh": "银行", "name_en": "Bank"}


def _write(folder: Path, **content: Any) -> Path:
    path = folder / "console.json"
    path.write_text(json.dumps({"nodes": {"bank": NODE}, **content}))
    return path


def test_certificates_stand_beside_the_file(tmp_path: Path) -> None:
    config = load_config(_write(tmp_path, port=9000))
    assert config.nodes["bank"].certificate == tmp_path / "bank.pem"
    assert (config.host, config.port, config.secure) == ("127.0.0.1", 9000, False)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"nodes": {}}, "nodes"),
        ({"port": 0}, "port"),
        ({"host": "192.0.2.7"}, "loopback"),
        ({"host": "console.example"}, "loopback"),
        ({"certificate": "c.pem"}, "belong together"),
        ({"surprise": 1}, "surprise"),
        ({"nodes": {"bank": {**NODE, "url": "http://127.0.0.1:7443"}}}, "url"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, content: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigInvalid, match=named):
        load_config(_write(tmp_path, **content))


def test_no_file_or_no_json(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="No such file"):
        load_config(tmp_path / "none.json")
    (tmp_path / "console.json").write_text("{")
    with pytest.raises(ConfigInvalid):
        load_config(tmp_path / "console.json")


def test_tls_allows_a_network_address(tmp_path: Path) -> None:
    config = load_config(_write(tmp_path, host="192.0.2.7", certificate="c.pem", private_key="k.pem"))
    assert config.secure
    assert config.private_key == tmp_path / "k.pem"
