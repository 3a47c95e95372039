"""Making a protocol ready to be kept: its sealed plan and its public evaluation file."""

import hashlib

from django.core.files.base import File

from federation.learning import architectures, strategies
from federation.protocol import plans
from federation.protocol.document import Protocol
from studies.models import Study
from studies.selectors.protocols import protocol_of
from studies.services import public_rows
from studies.services.errors import ProtocolRefused


def sealed(protocol: Protocol) -> Protocol:
    """The protocol with its plan of noise; raises ProtocolRefused with the key that is wrong."""
    try:
        architectures.check(protocol)
        strategies.check(protocol)
        return plans.seal(protocol)
    except ValueError as error:  # of model or strategy, or a target that no noise reaches
        raise ProtocolRefused(str(error)) from error


def with_evaluation(protocol: Protocol, file: File | None) -> Protocol:
    """The protocol naming `file` by its SHA-256.

    Raises ProtocolRefused when it names another, PublicRowsRefused when its rows do not fit.
    """
    if file is None:
        return protocol
    public_rows.must_fit(file, protocol)
    found = _digest(file)
    if protocol.evaluation.public_digest not in (None, found):
        raise ProtocolRefused(
            "evaluation.public_digest: the attached file is another one; attach the file that the "
            "protocol names, or remove public_digest"
        )
    evaluation = protocol.evaluation.model_copy(update={"public_digest": found})
    return protocol.model_copy(update={"evaluation": evaluation})


def keep_evaluation(study: Study, protocol: Protocol, file: File | None) -> None:
    """Put the file beside the study, or forget the old one when the protocol names it no more."""
    named = protocol.evaluation.public_digest
    if file is not None:
        study.public_evaluation.save(f"{named}{public_rows.ending(file)}", file, save=False)
    elif study.document and named != protocol_of(study).evaluation.public_digest:
        study.public_evaluation = ""


def must_still_fit(study: Study, protocol: Protocol) -> None:
    """Raise PublicRowsRefused where the file that is kept does not fit a changed data contract."""
    kept, before = study.public_evaluation, protocol_of(study)
    same = protocol.evaluation.public_digest == before.evaluation.public_digest
    if kept and same and protocol.data != before.data:
        with kept.open("rb") as file:
            public_rows.must_fit(file, protocol)


def must_have_evaluation(study: Study) -> None:
    """Raise ProtocolRefused when the protocol names a public file that nobody attached."""
    if protocol_of(study).evaluation.public_digest and not study.public_evaluation:
        raise ProtocolRefused(
            "evaluation.public_digest: no file is attached; attach it or remove the key"
        )


def _digest(file: File) -> str:
    total = hashlib.sha256()
    for chunk in file.chunks():
        total.update(chunk)
    file.seek(0)
    return total.hexdigest()
