"""An installation's own secrets: made once, whole, and readable by nobody else."""

from concurrent.futures import ThreadPoolExecutor

from config.secrets import own_secret


def test_a_secret_is_made_once_and_private(tmp_path):
    path = tmp_path / "folder" / "secret"
    secret = own_secret(path)
    assert len(secret) >= 48
    assert own_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["secret"]


def test_many_at_once_agree_on_one(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda _: own_secret(tmp_path / "secret"), range(64)))
    assert len(found) == 1
    assert len(found.pop()) >= 48
