"""Carrying one study from its file to its end without a person, through the same services."""

import time
from collections.abc import Callable
from pathlib import Path

from django.core.files import File

from config.launch.people import LEAD, site_admin
from federation.protocol.study_file import StudyFile
from studies.models import Person, Study
from studies.services import participations, studies
from studies.services.errors import NotReady
from studies.states import ENDED, StudyStatus

STOPPED = (*ENDED, StudyStatus.PAUSED)  # without a person nobody resumes it; its reason is shown


def write_study(file: StudyFile, by: Person) -> Study:
    """Create and submit the study of `file`; its plan is sealed and its cohort invited."""
    if file.public_file is None:
        study = studies.create(protocol=file.protocol, by=by)
    else:
        with Path(file.public_file).open("rb") as public:
            evaluation = File(public, name=Path(file.public_file).name)
            study = studies.create(protocol=file.protocol, by=by, public_evaluation=evaluation)
    studies.submit(study, by=by)
    study.refresh_from_db()
    return study


def approve_everywhere(study: Study, file: StudyFile) -> None:
    """Let each institution's own site admin approve the protocol as it stands."""
    datasets = {entry.slug: entry.dataset for entry in file.institutions}
    for participation in study.participations.select_related("institution"):
        slug = participation.institution.slug
        participations.approve(
            participation,
            by=Person.objects.get(username=site_admin(slug)),
            dataset=datasets[slug],
            protocol_digest=study.protocol_digest,
        )


def start(study: Study) -> str:
    """Start the study in its lead's name; why it may not start, or ''."""
    try:
        studies.start(study, by=Person.objects.get(username=LEAD))
    except NotReady as refusal:
        return str(refusal)
    return ""


def follow(study: Study, tick: Callable[[], None]) -> None:
    """Return when the study has ended; `tick` runs between two looks at its row."""
    while True:
        study.refresh_from_db()
        if study.status in STOPPED:
            return
        tick()
        time.sleep(0.05)
