"""Logging in tells nobody who exists; logging out takes a click."""

import pytest
from django.contrib.auth import get_user_model

PASSWORD = "a-quiet-garden-4"


@pytest.fixture
def ada(db):
    return get_user_model().objects.create_user("ada", password=PASSWORD)


def sign_in(client, name, password, **more):
    return client.post("/login/", {"username": name, "password": password, **more})


def test_the_right_password_leads_home(browse, ada):
    assert sign_in(browse(), "ada", PASSWORD).url == "/"


def test_it_leads_to_where_one_wanted_to_go_but_never_away(browse, ada):
    assert sign_in(browse(), "ada", PASSWORD, next="/institutions/").url == "/institutions/"
    assert sign_in(browse(), "ada", PASSWORD, next="https://evil.example/").url == "/"


def test_a_wrong_name_and_a_wrong_password_look_alike(browse, ada):
    client = browse()
    wrong, unknown = sign_in(client, "ada", "x"), sign_in(client, "nobody", "x")
    assert wrong.status_code == unknown.status_code == 200
    assert stripped(wrong) == stripped(unknown)


def stripped(answer) -> list[str]:
    return [line for line in answer.content.decode().splitlines() if "csrf" not in line]


def test_who_is_logged_in_goes_home(browse, ada):
    assert browse(ada).get("/login/").url == "/"


def test_logging_out_needs_a_post(browse, ada):
    client = browse(ada)
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/").url == "/login/"
    assert client.get("/").status_code == 302


def test_the_log_in_page_is_never_kept(browse, db):
    assert "no-store" in browse().get("/login/")["Cache-Control"]
