"""A token is pasted into a shell, so it must never look like an option."""

from studies.services import enrolment, institutions


def test_no_token_begins_with_a_dash(monkeypatch, cast, hospitals):
    monkeypatch.setattr(enrolment.secrets, "token_urlsafe", lambda size: "-" * size)
    assert institutions.issue_token(hospitals.zurich, by=cast.zoe).startswith("enrol-")
