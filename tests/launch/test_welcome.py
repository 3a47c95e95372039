"""What the demonstration says there is to do fits where its study stands."""

import pytest

from config.launch.demonstration import next_step


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("submitted", "Approve it as ada, then start it as lena"),
        ("running", "Watch it as lena"),
        ("completed", "report as olaf"),
    ],
)
def test_nobody_is_asked_to_approve_what_ran(status, says):
    told = next_step(status, "lena", "ada", "olaf")
    assert says in told
    assert ("Approve" in told) == (status == "submitted")
