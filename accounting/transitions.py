"""What may follow what in the life of one mechanism at one site, as a table.

A key (study, institution, round, attempt, phase) starts with nothing; each row of the ledger
moves it along. Everything but `aborted` counts as spent (ACCOUNTING section 4).
"""

from accounting.models import EntryKind

_K = EntryKind
ALLOWED: dict[str, tuple[str, ...]] = {
    "": (_K.RESERVED,),
    _K.RESERVED: (_K.CHARGED, _K.LOST, _K.REFUSED, _K.ABORTED),
    # charged → aborted only with the site's signed word that it read nothing: `evidence`
    _K.CHARGED: (_K.RELEASED, _K.LOST, _K.REFUSED, _K.ABORTED),
    _K.RELEASED: (_K.ACKNOWLEDGED, _K.REFUSED),
    _K.ACKNOWLEDGED: (),
    _K.LOST: (),
    _K.REFUSED: (),
    _K.ABORTED: (),
}
KEYED = frozenset(kind for kinds in ALLOWED.values() for kind in kinds)


class IllegalTransition(Exception):
    """The ledger refuses a row that cannot follow what it already says about this key."""


def check(state: str, kind: str, what: str, evidence: str = "") -> None:
    """Raise IllegalTransition unless `kind` may follow `state` ('' where there is no row yet).

    `evidence` is the SHA-256 of the site's signed message that says so; giving a charge back
    needs it.
    """
    if (state, kind) == (_K.CHARGED, _K.ABORTED) and len(evidence) != 64:
        raise IllegalTransition(
            f"{what} is charged: only the site's own signed word that it read nothing gives it "
            "back, and its SHA-256 is missing"
        )
    if kind in ALLOWED.get(state, ()):
        return
    possible = ", ".join(ALLOWED.get(state, ())) or "nothing: this is final"
    raise IllegalTransition(
        f"{what} is {state or 'not in the ledger'} and cannot become {kind}; possible: {possible}"
    )
