"""One study from a file to its files, with every process real and nobody at the keyboard."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from accounting.dp import doubts as rules
from config.launch import conduct, outcome
from config.launch.installation import Installation
from config.launch.results import write_files
from config.launch.session import running_hub
from config.launch.setting_up import set_up
from config.launch.sites import wait_for_offers
from federation.protocol.document import Protocol
from federation.protocol.idle import idle
from federation.protocol.study_file import StudyFile

OFFER_SECONDS = 120.0


@dataclass(frozen=True)
class Request:
    """What to run and where to leave the summary and the files (None: nowhere)."""

    file: StudyFile
    installation: Installation
    summary: Path | None = None
    results: Path | None = None


def simulate(request: Request, say: Callable[[str], None]) -> bool:
    """Run the study, print its table, write what was asked; True when all of it is true."""
    began = time.monotonic()
    file, installation = request.file, request.installation
    for doubt in doubts(file.protocol):
        say(f"warning: {doubt}")
    with running_hub(installation, say) as supervisor:
        _, lead = set_up(installation, file, supervisor)
        study = conduct.write_study(file, lead)
        slugs = [entry.slug for entry in file.institutions]
        wait_for_offers(slugs, OFFER_SECONDS, supervisor.watch)
        conduct.approve_everywhere(study, file)
        say(f"{len(slugs)} sites enrolled, protocol {study.protocol_digest[:16]} approved")
        refusal = conduct.start(study)
        if not refusal:
            conduct.follow(study, supervisor.watch)
        end = outcome.measure(study, time.monotonic() - began, refusal)
        return _tell(request, end, say)


def doubts(protocol: Protocol) -> list[str]:
    """What a study may do but hardly means: a sentence each, with the key that it is about."""
    terms = rules.Terms(
        delta=protocol.privacy.target_delta,
        sample_rate=protocol.training.sample_rate,
        cohorts=tuple(member.cohort_size for member in protocol.cohort),
        epsilon=protocol.privacy.target_epsilon,
    )
    return [*(str(doubt) for doubt in rules.doubts(terms)), *idle(protocol)]


def _tell(request: Request, end: outcome.Outcome, say: Callable[[str], None]) -> bool:
    say(outcome.table(end))
    for line in outcome.silences(end):
        say(line)
    if end.reason:
        say(f"{end.study.status}: {end.reason}")
    verdict = "verified" if end.ledger_ok else f"WRONG: {end.ledger_problem}"
    say(f"study {end.study.status} in {end.seconds:.1f} s; ledger {verdict}")
    if request.summary:
        request.summary.parent.mkdir(parents=True, exist_ok=True)
        request.summary.write_text(json.dumps(outcome.summary(end), indent=2) + "\n")
        say(f"wrote {request.summary}")
    if request.results:
        for path in write_files(end, request.results):
            say(f"wrote {path}")
    return end.complete
