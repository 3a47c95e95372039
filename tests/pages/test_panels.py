"""Panels show what is true now, and to each person only the part that is theirs."""

import json
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from federation.models import Checkpoint, Round
from studies.models import Study
from studies.services import studies
from tests.pages.markup import Page
from tests.pages.scenes import answered, asked, opened


@pytest.fixture
def panel(played, browse):
    def fetch(who, name):
        return browse(who).get(reverse(f"panel-{name}", args=(played.slug,))).content.decode()

    return fetch


def test_rounds_show_each_site_with_its_progress(panel, cast):
    html = panel(cast.ada, "rounds")
    assert "1 of 2 closed" in html
    assert "1 of at least 2 contributions" in html
    assert "step 1 of 2" in html
    assert 'value="50"' in html
    assert "Round 2: open" in html


@pytest.mark.parametrize("name", ["rounds", "participations", "progress", "events"])
def test_a_site_admin_sees_only_the_own_house(panel, cast, name):
    assert "Budapest" not in panel(cast.carla, name)


def test_an_officer_sees_all(panel, cast):
    html = panel(cast.olga, "rounds")
    assert "Cleveland" in html
    assert "Budapest" in html


def test_progress_names_whom_the_round_waits_for(panel, cast):
    assert "Round 2 of 2, waiting for Budapest (step 1 of 2)." in panel(cast.ada, "progress")


def test_a_refusal_is_told_in_words(panel, played, hospitals, cast):
    third = opened(played, 3, "failed")
    asked(third, hospitals.budapest, "refused", reason="limit_epsilon")
    html = panel(cast.ada, "rounds")
    assert "own limit of ε per study" in html


def test_utility_has_a_table_beside_its_chart(panel, cast):
    html = panel(cast.ada, "utility")
    assert '<td class="num">0.750</td><td class="num">0.800</td>' in html
    assert '"y": [0.5, 0.75]' in html
    assert "on public rows at the hub" in html


def test_of_several_classes_the_recall_of_each_is_shown(panel, played, cast):
    document = json.loads(played.document)
    document["data"]["target"] |= {"classes": [["0"], ["1"], ["2"]], "names": ["well", "a<b", "c"]}
    Study.objects.filter(pk=played.pk).update(document=json.dumps(document))
    for row in Checkpoint.objects.filter(study=played):
        public = {"rows": 9, "accuracy": 0.5, "recalls": [0.75, 0.25, None]}
        Checkpoint.objects.filter(pk=row.pk).update(metrics={"public": public})
    html = panel(cast.ada, "utility")
    assert "Recall of a&lt;b" in html
    cells = "".join(f'<td class="num">{text}</td>' for text in ("0.500", "0.750", "0.250", "–"))
    assert cells in html
    assert "Sensitivity" not in html


def test_utility_before_anything_is_measured(panel, played, cast):
    Checkpoint.objects.all().delete()
    assert "so no utility will be shown" in panel(cast.ada, "utility")


def test_rounds_before_the_first(panel, played, cast):
    Round.objects.all().delete()
    assert "The first round is about to open" in panel(cast.ada, "rounds")


def test_participations_tell_who_is_online(panel, hospitals, cast):
    assert panel(cast.ada, "participations").count("Offline") == 2
    hospitals.cleveland.last_seen = timezone.now() - timedelta(seconds=5)
    hospitals.cleveland.save()
    assert panel(cast.ada, "participations").count("Offline") == 1


def test_a_failed_round_may_be_closed_below_its_quorum(played, cast, browse):
    Round.objects.filter(number=2).update(status="failed", reason="too few")
    Round.objects.filter(number=2).get().assignments.filter(status="taken").delete()
    studies.hold(played, reason="too few")
    address = reverse("round-close", args=(played.slug,))
    assert browse(cast.ada).get(address).status_code == 404  # one contribution would show itself


def test_the_page_listens_to_its_own_study(played, cast, browse):
    html = browse(cast.ada).get(reverse("study", args=(played.slug,))).content.decode()
    assert f'data-news="/ws/news/study/{played.slug}/"' in html
    newest = played.events.order_by("-id").first()
    assert f'data-after="{newest.pk}"' in html


def test_a_page_without_news_opens_no_socket(cast, browse):
    assert "data-news" not in browse(cast.ada).get("/institutions/").content.decode()


def test_a_lead_closes_a_failed_round_with_a_reason(played, hospitals, cast, browse):
    failed = Round.objects.get(number=2)
    failed.assignments.filter(institution=hospitals.budapest).delete()
    answered(failed, hospitals.budapest)
    Round.objects.filter(pk=failed.pk).update(status="failed", reason="too few", quorum=3)
    studies.hold(played, reason="too few")
    ada, address = browse(cast.ada), reverse("round-close", args=(played.slug,))
    page = Page(ada.get(address).content.decode())
    assert page.page_faults() == []
    assert "This field is required" in ada.post(address, {"reason": ""}).content.decode()
    ada.post(address, {"reason": "the third hospital is flooded"})
    played.refresh_from_db()
    assert played.status == "running"
    told = ada.get(reverse("panel-events", args=(played.slug,))).content.decode()
    assert "the third hospital is flooded" in told
