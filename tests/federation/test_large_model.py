"""A model of 45 MB goes from the hub to its sites and comes back as their updates."""

from asgiref.sync import async_to_sync

from accounting.models import Entry
from federation.learning.initial import initial_tensors
from federation.models import Checkpoint
from federation.protocol.canonical import digest
from federation.protocol.tensors import pack, unpack
from federation.services import blobs
from studies.selectors.protocols import protocol_of
from tests.federation.conftest import advance, kinds

IMAGES = {
    "columns": [{"name": "xray", "kind": "array", "shape": [1, 28, 28]}],
    "target": {"column": "sick", "classes": [["0"], ["1"]]},
}


def streamed(response):
    """The whole of an answer that the hub sends in pieces."""
    assert response.streaming

    @async_to_sync
    async def whole():
        return b"".join([piece async for piece in response.streaming_content])

    return whole()


def test_a_round_of_resnet18_is_collected_and_averaged(start, sites):
    study = advance(
        start(
            data=IMAGES,
            model={"architecture": "resnet18"},
            rounds={"count": 1},
            evaluation={"every": 0},
        )
    )
    first = initial_tensors(protocol_of(study))
    for site in sites.values():
        task = site.take()
        data = streamed(site.send("GET", f"assignments/{task.assignment}/model"))
        assert digest(data) == task.model_digest
        assert len(data) > 44e6
        model = unpack(data, first)
        response = site.contribute(task, {name: array * 0.5 for name, array in model.items()})
        assert response.json() == {"accepted": True, "reason": ""}
    advance(study)
    assert study.status == "completed"
    second = unpack(blobs.read(Checkpoint.objects.get(number=1).digest), first)
    name = "5.first.weight"
    assert abs(second[name] - 1.5 * first[name]).max() < 1e-6
    assert kinds(study, "zurich")[-1] == "acknowledged"
    assert Entry.objects.filter(kind="released").count() == 3


def test_a_model_that_no_transport_carries_is_told_before_any_site_is_asked(start, settings):
    settings.SITE_API_MAX_BODY = 40 * 2**20
    study = advance(start(data=IMAGES, model={"architecture": "resnet18"}))
    assert study.status == "paused"
    assert "takes 43 MiB and at most 40 travel" in study.status_reason
    assert not study.rounds.exists()


def test_a_model_of_any_size_is_measured_before_it_is_made(start):
    wide = {**IMAGES, "columns": [{"name": "x", "kind": "array", "shape": [4, 1024, 1024]}]}
    network = {"architecture": "mlp", "parameters": {"hidden": [4096] * 8}}
    study = advance(start(data=wide, model=network))
    assert study.status == "paused"
    assert "takes 65,984 MiB and at most 512 travel" in study.status_reason
    assert not study.rounds.exists()


def test_one_byte_more_than_the_model_and_its_header_is_refused(start, sites):
    study = advance(start(data=IMAGES, model={"architecture": "resnet18"}))
    task = sites["zurich"].take()
    first = initial_tensors(protocol_of(study))
    size = len(pack(first))
    response = sites["zurich"].upload(task, bytes(size + 64 * 1024 + 1))
    assert response.status_code == 413
