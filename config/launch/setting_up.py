"""What a simulation and the demonstration begin with: people, institutions, sites that run."""

from config.launch.installation import Installation
from config.launch.people import LEAD, LogIns, create_people, create_site_admins
from config.launch.processes import Supervisor
from config.launch.sites import enrol_sites, register_institutions, write_site_file
from federation.protocol import plans
from federation.protocol.study_file import StudyFile
from studies.models import Person


def set_up(
    installation: Installation, file: StudyFile, supervisor: Supervisor
) -> tuple[LogIns, Person]:
    """Create what is not there yet and start the sites; the log-ins and the study's lead."""
    logins = create_people(installation.folder)
    lead = Person.objects.get(username=LEAD)
    create_site_admins(register_institutions(file.institutions, lead), logins.password)
    sealed = plans.seal(file.protocol)
    for entry in file.institutions:
        write_site_file(installation, entry, sealed)
    enrol_sites(installation, file.institutions, lead)
    for entry in file.institutions:
        installation.start_site(supervisor, entry.slug)
    return logins, lead
