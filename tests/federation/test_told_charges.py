"""What a site's journal was told to have charged is never given back, nor asked for again."""

from accounting.models import Entry
from federation.protocol import messages
from federation.services import opening
from tests.federation.conftest import advance, kinds


def test_a_refusal_that_denies_a_told_charge_gives_nothing_back(study, zurich):
    task = zurich.take()
    zurich.charge(task)
    zurich.tell()
    zurich.site.refuse(task, messages.Reason.REPLAYED, accessed=False)
    assert kinds(study, "zurich") == ["reserved", "charged", "refused"]
    reason = Entry.objects.get(kind="refused").body
    assert "not given back, the site's journal charged it: site: replayed" in reason
    zurich.site.refuse(task, messages.Reason.REPLAYED, accessed=False)  # and once more
    assert Entry.objects.filter(kind="refused").count() == 1


def test_a_replay_says_where_it_was_charged(study, zurich):
    task = zurich.take()
    charge = zurich.charge(task)
    answer = zurich.site.refusal(task, messages.Reason.REPLAYED, accessed=True, charge=charge)
    assert zurich.site.answer(task, answer).status_code == 200
    assert kinds(study, "zurich") == ["reserved", "charged", "refused"]
    assert charge["digest"] in Entry.objects.get(kind="refused").body


def test_what_nobody_took_is_given_back_unless_a_journal_charged_it(study, keepers):
    """The hub was restored: it does not know that Zurich took what it opens again."""
    keepers["zurich"].elsewhere(study)
    keepers["zurich"].tell()
    advance(study, later=61)
    assert kinds(study, "zurich") == ["reserved", "charged", "refused"]
    assert kinds(study, "cleveland") == ["reserved", "aborted"]


def test_an_attempt_that_a_journal_knows_is_not_opened(study, keepers):
    zurich = keepers["zurich"]
    zurich.elsewhere(study, attempt=3)
    zurich.elsewhere(study, attempt=10**6)  # no hub ever came so far: it moves nothing
    zurich.elsewhere(study, round=2)
    zurich.tell()
    assert opening.next_number(study) == (1, 4)
