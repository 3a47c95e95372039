"""The demonstration in the browser: the same preparation, then people take over."""

from config.launch import conduct
from config.launch.installation import Installation
from config.launch.people import LEAD, LogIns, create_people, create_site_admins
from config.launch.processes import Supervisor
from config.launch.simulation import OFFER_SECONDS
from config.launch.sites import enrol_sites, register_institutions, wait_for_offers, write_site_file
from federation.protocol import plans
from federation.protocol.study_file import StudyFile
from studies.models import Person, Study


def prepare(
    installation: Installation, file: StudyFile, supervisor: Supervisor
) -> tuple[LogIns, Study]:
    """Create what is not there yet, start the sites; the study then waits for approvals."""
    logins = create_people(installation.folder)
    lead = Person.objects.get(username=LEAD)
    create_site_admins(register_institutions(file.institutions, lead), logins.password)
    sealed = plans.seal(file.protocol)
    for entry in file.institutions:
        write_site_file(installation, entry, sealed)
    enrol_sites(installation, file.institutions, lead)
    for entry in file.institutions:
        installation.start_site(supervisor, entry.slug)
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
