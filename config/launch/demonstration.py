"""The demonstration in the browser: the same preparation, then people take over."""

from config.launch import conduct
from config.launch.installation import Installation
from config.launch.people import LogIns
from config.launch.processes import Supervisor
from config.launch.setting_up import set_up
from config.launch.simulation import OFFER_SECONDS
from config.launch.sites import wait_for_offers
from federation.protocol.study_file import StudyFile
from studies.models import Study


def prepare(
    installation: Installation, file: StudyFile, supervisor: Supervisor
) -> tuple[LogIns, Study]:
    """Create what is not there yet, start the sites; the study then waits for approvals."""
    logins, lead = set_up(installation, file, supervisor)
    study = Study.objects.filter(lead=lead).order_by("id").first()
    study = study or conduct.write_study(file, lead)
    wait_for_offers([e.slug for e in file.institutions], OFFER_SECONDS, supervisor.watch)
    return logins, study


def welcome(installation: Installation, logins: LogIns, study: Study, file: StudyFile) -> str:
    """The address, the log-ins and what to do next."""
    hospitals = ", ".join(entry.slug for entry in file.institutions)
    lead, admin, officer, operator = logins.names
    return f"""
  Cloister runs at {installation.url}

  log in as     {lead:<10} study lead: starts the study and watches the rounds
                {admin:<10} site admin of all four hospitals: approves for each
                {officer:<10} compliance officer: reads the ledger, downloads reports
                {operator:<10} operator: sees that everything is up
  password      {logins.password}   (all of them; {hospitals} are site admins of one each)

  The study "{study.name}" is {study.status}.
  {next_step(study.status, lead, admin, officer)}: {installation.url}/studies/{study.slug}/
  Ctrl-C stops everything that was started here.
"""


def next_step(status: str, lead: str, admin: str, officer: str) -> str:
    """What there is to do; a demonstration that continues may be past its approval."""
    if status in ("draft", "submitted"):
        return f"Approve it as {admin}, then start it as {lead}"
    return f"Watch it as {lead}, read its ledger and report as {officer}"
