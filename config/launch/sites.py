"""The sites of an installation: their own configuration, their enrolment, their offers."""

import subprocess
import time
from collections.abc import Callable, Iterable
from typing import Any

import tomli_w

from config.launch.installation import Installation, site_command, site_environment
from federation.protocol import machines, plans
from federation.protocol.document import Protocol
from federation.protocol.study_file import InstitutionEntry
from studies.models import Institution, Person
from studies.services import institutions

_OF_THE_DATASET = ("lifetime_epsilon", "lifetime_delta")
USUAL_EPSILON, USUAL_NOISE, USUAL_ROUNDS = 10.0, 0.3, 1000


class SiteFailed(Exception):
    """A site could not be set up; the message carries what its own command said."""


def register_institutions(entries: Iterable[InstitutionEntry], by: Person) -> list[Institution]:
    """Register each institution of the study file that the hub does not know yet."""
    known = {found.slug: found for found in Institution.objects.all()}
    return [
        known.get(entry.slug) or institutions.register(name=entry.name, slug=entry.slug, by=by)
        for entry in entries
    ]


def stated_limits(entry: InstitutionEntry, protocol: Protocol) -> dict[str, Any]:
    """The limits that the study file states for a site, the rest as wide as this study needs.

    Only a simulation or demonstration writes a site's file for it, so what is not stated there must
    not stop it; a real site's own file has its own, stricter defaults.
    """
    # A site holds its limit against the whole plan, of which the study's budget may cut the end.
    own = machines.own(protocol, entry.slug)
    planned = float(own.plan.epsilon) if own.plan else 0.0
    budget = max(USUAL_EPSILON, plans.epsilon_budget(protocol, entry.slug), planned)
    least_noise = min(own.plan.noise_multipliers) if own.plan else USUAL_NOISE
    wide = {
        "lifetime_epsilon": budget,
        "lifetime_delta": protocol.privacy.target_delta,
        "max_epsilon_per_study": budget,
        "min_noise_multiplier": min(USUAL_NOISE, least_noise),
        "max_rounds": max(USUAL_ROUNDS, protocol.rounds.count),
    }
    return wide | dict(entry.limits)


def write_site_file(
    installation: Installation, entry: InstitutionEntry, protocol: Protocol
) -> None:
    """Write the site's own file: the dataset it lends and its limits. `protocol` is sealed."""
    stated = stated_limits(entry, protocol)
    folder = installation.site_folder(entry.slug)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    dataset = {"name": entry.dataset, "file": str(entry.data)}
    dataset |= {key: stated.pop(key) for key in _OF_THE_DATASET}
    document = {"hub": {"url": installation.url}, "dataset": [dataset], "limits": stated}
    if entry.machine:
        document["machine"] = {"class": entry.machine}
    (folder / "site.toml").write_text(tomli_w.dumps(document))


def enrol_sites(
    installation: Installation, entries: Iterable[InstitutionEntry], by: Person
) -> None:
    """Run the site's own `enrol` command for each institution that has no key yet, side by side."""
    running = []
    for entry in entries:
        folder = installation.site_folder(entry.slug)
        if (folder / "hub.json").exists():
            continue
        institution = Institution.objects.get(slug=entry.slug)
        token = institutions.issue_token(institution, by=by)
        command = site_command("enrol", "--hub", installation.url, "--token", token)
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=site_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append((entry, process))
    for entry, process in running:
        output, _ = process.communicate(timeout=60)
        if process.returncode:
            raise SiteFailed(f"{entry.name} could not enrol: {output.strip()}")


def wait_for_offers(slugs: Iterable[str], seconds: float, tick: Callable[[], None]) -> None:
    """Return once every site has said what it lends; raises SiteFailed after `seconds`."""
    wanted, end = set(slugs), time.monotonic() + seconds
    while time.monotonic() < end:
        offered = Institution.objects.filter(slug__in=wanted).exclude(offer={})
        missing = wanted - set(offered.values_list("slug", flat=True))
        if not missing:
            return
        tick()
        time.sleep(0.05)
    raise SiteFailed(
        f"no word from {', '.join(sorted(missing))} after {seconds:.0f} s; read the site's log"
    )
