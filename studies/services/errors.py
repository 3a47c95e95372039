"""Why a service said no: each message tells what is wrong and what to do about it."""


class Refused(Exception):
    """A service refused; nothing changed. `str()` is a sentence for the person who asked."""


class InvalidName(Refused):
    """A name or slug cannot be used, or is taken."""


class EnrolmentRefused(Refused):
    """The token or the key of an enrolment is not acceptable."""


class OfferRefused(Refused):
    """What a site says it lends is not well formed."""


class ProtocolRefused(Refused):
    """The protocol cannot be submitted as it stands."""


class PublicRowsRefused(ProtocolRefused):
    """The file of public rows cannot be read, or does not fit the data contract."""


class ChangedMeanwhile(Refused):
    """Somebody else changed the study between reading and writing; look again."""


class NotReady(Refused):
    """The study may not run yet; the message names whom it waits for."""


class StaleApproval(Refused):
    """The decision was made about a protocol that is not the study's current one."""


class NotOffered(Refused):
    """The institution does not lend the chosen dataset, or not to a study like this."""


class RoleRefused(Refused):
    """The role cannot be given like this."""
