"""Fake sites in this process: real keys, real signatures, real requests, no training."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounting.dp.events import PrivacyEvent
from accounting.services.hub_key import hub_key
from federation.learning import control
from federation.protocol import messages
from federation.protocol.canonical import digest
from federation.protocol.http_signatures import sign_request
from federation.protocol.keys import SigningKey
from federation.protocol.tensors import Tensors, pack, unpack
from studies.models import Institution

API = "/site-api/v1/"


@dataclass(frozen=True)
class Site:
    """One institution's worker: signs requests and answers as the real one would."""

    institution: Institution
    key: SigningKey

    @property
    def slug(self) -> str:
        return self.institution.slug

    def signed(self, method: str, path: str, body: bytes = b"", **changes: Any) -> dict[str, str]:
        """The headers of one request; `changes` go to the signer (another key, another time)."""
        how: dict[str, Any] = {"key": self.key, "key_id": self.slug} | changes
        return sign_request(method=method, url=API + path, headers={}, body=body, **how)

    def send(self, method: str, path: str, body: bytes = b"", **changes: Any) -> HttpResponse:
        headers = self.signed(method, path, body, **changes)
        return post(method, path, body, headers)

    def take(self) -> messages.Assignment | None:
        response = self.send("GET", "assignments?wait=0")
        if response.status_code == 204:
            return None
        assert response.status_code == 200, response.content
        return messages.open_envelope(response.content, hub_key().public, messages.Assignment)

    def model(self, task: messages.Assignment) -> Tensors:
        response = self.send("GET", f"assignments/{task.assignment}/model")
        data = response.content
        assert digest(data) == response["X-Digest"] == task.model_digest
        return unpack(data)

    def upload(self, task: messages.Assignment, data: bytes) -> HttpResponse:
        return self.send("PUT", f"assignments/{task.assignment}/tensors", data)

    def answer(self, task: messages.Assignment, envelope: bytes) -> HttpResponse:
        return self.send("PUT", f"assignments/{task.assignment}/contribution", envelope)

    def contribution(
        self, task: messages.Assignment, data: bytes, **changes: Any
    ) -> messages.Contribution:
        message = messages.Contribution(
            assignment=task.assignment,
            site=self.slug,
            study=task.study,
            round=task.round,
            attempt=task.attempt,
            phase=task.phase,
            protocol_digest=task.protocol_digest,
            model_digest=task.model_digest,
            tensors_digest=digest(data),
            events=tuple(
                PrivacyEvent.from_json(task.parameters[key]).to_json()
                for key in task.parameters
                if key == "event"
            ),
            journal={"sequence": 1, "digest": "ab" * 32},
            answered_at=messages.timestamp(timezone.now()),
        )
        return replace(message, **changes)

    def contribute(
        self, task: messages.Assignment, tensors: Mapping[str, np.ndarray] | None = None
    ) -> HttpResponse:
        """Upload and answer; the default is a small update, or a histogram."""
        data = pack(tensors if tensors is not None else self.computed(task))
        assert self.upload(task, data).status_code == 204
        return self.answer(task, messages.sign(self.contribution(task, data), self.key))

    def computed(self, task: messages.Assignment) -> Tensors:
        if task.phase == "evaluate":
            return {"histogram": np.array([[30, 2], [10, 9], [3, 25]], np.float32)}
        model, _ = control.parted(self.model(task))
        return {name: np.full_like(a, 0.25) for name, a in model.items()}

    def refuse(
        self, task: messages.Assignment, reason: messages.Reason, *, accessed: bool
    ) -> HttpResponse:
        return self.answer(task, self.refusal(task, reason, accessed=accessed))

    def refusal(self, task: messages.Assignment, reason: messages.Reason, **changes: Any) -> bytes:
        refusal = messages.Refusal(
            assignment=task.assignment,
            site=self.slug,
            study=task.study,
            round=task.round,
            attempt=task.attempt,
            phase=task.phase,
            reason=reason,
            answered_at=messages.timestamp(timezone.now()),
            **changes,
        )
        return messages.sign(refusal, self.key)

    def work(self) -> None:
        """Take what is there and contribute."""
        task = self.take()
        assert task is not None
        response = self.contribute(task)
        assert response.json() == {"accepted": True, "reason": ""}


def post(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> HttpResponse:
    """One request to the site API, exactly as given."""
    return Client().generic(
        method, API + path, body, content_type="application/octet-stream", headers=dict(headers)
    )


def error_of(response: HttpResponse) -> str:
    """The one sentence of a refusal."""
    document = json.loads(response.content)
    assert list(document) == ["error"]
    return document["error"]
