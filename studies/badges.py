"""How each status looks: one label, icon and tone per status, unknown ones shown plainly."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Badge:
    """`tone` is one of good, wait, bad, live, plain; `icon` a symbol of the sprite."""

    label: str
    icon: str
    tone: str


BADGES = {
    # studies
    "draft": Badge("Draft", "pencil", "plain"),
    "submitted": Badge("Awaiting approval", "hourglass", "wait"),
    "running": Badge("Running", "player-play", "live"),
    "paused": Badge("Paused", "player-pause", "wait"),
    "completed": Badge("Completed", "check", "good"),
    "withdrawn": Badge("Withdrawn", "ban", "plain"),
    "exhausted": Badge("Budget exhausted", "alert-triangle", "bad"),
    "failed": Badge("Failed", "x", "bad"),
    # participations
    "invited": Badge("Invited", "send", "wait"),
    "approved": Badge("Approved", "check", "good"),
    "declined": Badge("Declined", "x", "bad"),
    # institutions
    "online": Badge("Online", "plug-connected", "good"),
    "offline": Badge("Offline", "plug-connected-x", "wait"),
    "not enrolled": Badge("Not enrolled", "circle-dashed", "plain"),
    # rounds and assignments
    "open": Badge("Waiting for the site", "circle-dashed", "wait"),
    "taken": Badge("Computing", "circle-dot", "live"),
    "answered": Badge("Answered", "check", "good"),
    "refused": Badge("Refused", "ban", "bad"),
    "lost": Badge("No answer", "alert-triangle", "bad"),
    "stopped": Badge("Stopped", "ban", "plain"),
    "unused": Badge("Not used", "circle-dashed", "plain"),
    "rejected": Badge("Rejected", "x", "bad"),
    "agreed": Badge("Journals agree", "check", "good"),
    "differs": Badge("Journals differ", "alert-triangle", "bad"),
    "silent": Badge("Nothing told yet", "circle-dashed", "plain"),
    "closed": Badge("Closed", "check", "good"),
    # audits
    "waiting": Badge("Not yet bound", "circle-dashed", "plain"),
    "committed": Badge("Bound to its coins", "lock", "live"),
    "measured": Badge("Measured", "check", "good"),
    "refuted": Badge("Above the ledger's ε", "alert-triangle", "bad"),
    "missing": Badge("Not audited", "alert-triangle", "wait"),
    # alerts
    "notice": Badge("Notice", "info-circle", "wait"),
    "alarm": Badge("Alarm", "alert-triangle", "bad"),
}

# The closed list of reasons for which a site refuses (federation.protocol.messages.Reason).
REASONS = {
    "not_addressed": "the assignment was addressed to another site",
    "expired": "the assignment came too late",
    "replayed": "the assignment was a repetition",
    "unknown_protocol": "the site does not know this protocol",
    "not_approved": "the institution has not approved this protocol",
    "limit_epsilon": "the site's own limit of ε per study",
    "limit_lifetime": "the lifetime budget of the dataset",
    "limit_noise": "less noise than the site allows",
    "limit_rounds": "more rounds than the site allows",
    "limit_architecture": "an architecture that the site does not allow",
    "limit_cohort": "a smaller cohort than the site allows",
    "limit_audits": "an audit with canaries, which the site does not allow",
    "data_mismatch": "the data do not fit the contract",
    "model_mismatch": "the model is not the announced one",
    "journal_full": "the site's journal cannot be written",
    "clock": "the site's clock is off",
    "cancelled": "the hub had closed it, and the site stopped",
    "ledger_forked": "the hub's ledger does not continue what the site saw of it",
    "local_failure": "a failure at the site; its own log says more",
}


def badge(value: str) -> Badge:
    """The badge of a status; a status without one is shown by its own name."""
    return BADGES.get(value) or Badge(value.replace("_", " ").capitalize(), "info-circle", "plain")
