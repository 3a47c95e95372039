"""An installation keeps its port, and asks for no other's."""

import pytest

from config.launch.installation import open_installation
from config.launch.ports import PortTaken, free_port, listen


def test_the_port_is_chosen_once(tmp_path):
    first = open_installation(tmp_path)
    again = open_installation(tmp_path)
    assert again.port == first.port
    assert again.url == f"http://127.0.0.1:{first.port}"


def test_a_preferred_port_gives_way_and_a_kept_one_does_not(tmp_path):
    wanted = free_port()
    with listen(wanted):
        made = open_installation(tmp_path / "one", preferred=wanted)
        assert made.port != wanted
        with pytest.raises(PortTaken, match="is it running already"):
            open_installation(tmp_path / "two", port=wanted)
    with listen(made.port), pytest.raises(PortTaken, match="is it running already"):
        open_installation(tmp_path / "one")


def test_the_hub_and_its_sites_see_different_things(tmp_path, monkeypatch):
    monkeypatch.setenv("CLOISTER_DATABASE_URL", "sqlite:///elsewhere")
    monkeypatch.setenv("UNRELATED", "x")
    seen = open_installation(tmp_path).hub_environment()
    assert seen["CLOISTER_VAR"] == str(tmp_path / "hub")
    assert seen["CLOISTER_DATABASE_URL"] == "sqlite:///elsewhere"
    assert "UNRELATED" not in seen
    configuration = tmp_path / "valkey" / "valkey.conf"
    assert configuration.stat().st_mode & 0o777 == 0o600
