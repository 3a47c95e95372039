"""The JSON Schema (draft 2020-12) that every report keeps to, preview or issued.

`manage.py generate` writes it to docs/report.schema.json, and the hub serves it. Every key is
listed and none besides is allowed, so a report cannot say something that nobody described.
"""

from typing import Any

Node = dict[str, Any]
TEXT: Node = {"type": "string"}
WHOLE: Node = {"type": "integer", "minimum": 0}
BOOL: Node = {"type": "boolean"}
NONE: Node = {"type": "null"}
DECIMAL: Node = {"type": "string", "pattern": r"^-?\d+(\.\d+)?([eE][-+]?\d+)?$"}
SHA256: Node = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
HASHES: Node = {"type": "array", "items": SHA256}
MOMENT: Node = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
TEXTS: Node = {"type": "array", "items": TEXT}


def schema() -> Node:
    """The whole schema."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:cloister:privacy-report:3",
        "title": "Cloister privacy report",
        "description": (
            "What was spent of people's privacy, on what, and how anybody can check it. Numbers "
            "that matter are decimal strings; 'shown' ones are rounded up (spent) or down (left)."
        ),
        **_object(_sections()),
        "$defs": {"figure": _figure(), "event": _event(), "checkpoint": _checkpoint()},
    }


def _sections() -> dict[str, Node]:
    return {
        "report": _report(),
        "statement": _list(
            _texts("trust_model sentence reading") | {"figure": _or(_ref("figure"), NONE)}, least=1
        ),
        "parameters": _parameters(),
        "accounting": _object(_texts(_ACCOUNTING)),
        "mechanisms": _list(_mechanism()),
        "releases": _releases(),
        "trust_model": _trust(),
        "incidents": _list(_texts(_INCIDENT)),
        "audit": _object(
            {
                "method": TEXT,
                "meaning": TEXT,
                "runs": _list(_audit_run()),
                "together": _list(_audit_together()),
            }
        ),
        "utility": {"type": "object"},
        "integrity": _integrity(),
        "limits": {**TEXTS, "minItems": 1},
        "events": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": _ref("event")},
        },
    }


_ACCOUNTING = (
    "accountant version discretisation second_opinion parameters gate across_rounds "
    "across_studies across_sites tuning"
)
_INCIDENT = "at source study institution round what reason approved_by"


def _audit_run() -> dict[str, Node]:
    place = _object({"entry": WHOLE, "at": MOMENT})
    texts = _texts("study institution method confidence lower delta epsilon result")
    counts = dict.fromkeys(("canaries", "guesses", "correct"), WHOLE)
    coins = {"committed": place, "commitment": SHA256, "revealed": _or(place, NONE)}
    return texts | counts | coins


def _audit_together() -> dict[str, Node]:
    texts = _texts("study method confidence lower delta epsilon result")
    counts = dict.fromkeys(("canaries", "guesses", "correct"), WHOLE)
    place = _object({"entry": WHOLE, "at": MOMENT})
    return texts | counts | {"institutions": TEXTS, "revealed": place}


def _report() -> Node:
    superseded = _object({"number": WHOLE, "sha256": SHA256, "at": MOMENT})
    issued = _object({"at": MOMENT, "by": TEXT, "number": {"type": "integer", "minimum": 1}})
    study = _object(_texts("slug name status"))
    return _object(
        {
            "id": TEXT,
            "schema": {"const": "cloister-privacy-report/3"},
            "software": _object(_texts("name python dp_accounting") | {"build": SHA256}),
            "title": TEXT,
            "scope": _object(_texts("kind words study institution lineage from to unit")),
            "study": _or(study, NONE),
            "protocol_digest": _or(SHA256, {"const": ""}),
            "period": _object(_texts("from to")),
            "issued": _or(issued, TEXT),
            "supersedes": _or(superseded, TEXT),
            "signers": TEXT,
        }
    )


def _parameters() -> Node:
    attestation = _texts("name text") | {"at": MOMENT, "entry": WHOLE, "institutions": TEXTS}
    both = ("if_no_person_is_at_two", "if_a_person_may_be_at_all")
    across = {
        "unit": TEXT,
        "delta": DECIMAL,
        "parts": {**TEXTS, "minItems": 1},
        **dict.fromkeys(both, _ref("figure")),
        "claimed": {"enum": list(both)},
        "odometer": TEXT,
        "attested_by": _or(_list(attestation), TEXT),
    }
    lifetime = _texts("institution lineage budget delta site_cap spent accountant remaining")
    lifetime |= _texts("unit odometer")
    budget = _texts("at institution lineage what epsilon delta reason proposed_by approved_by")
    study = _texts("slug name status unit target_epsilon delta")
    return _object(
        _texts("unit neighbouring delta delta_rule target_epsilon")
        | {
            "max_rows_per_unit": {"type": "integer", "minimum": 1},
            "institutions": _list(_part()),
            "across_institutions": _list(across),
            "studies": _list(
                study | {"protocol_digest": SHA256, "max_rows_per_unit": {"type": "integer"}}
            ),
            "lifetime": _or(_list(lifetime), TEXT),
            "budget_history": _list(budget | {"entry": WHOLE}),
        }
    )


def _part() -> dict[str, Node]:
    certified = {"low": DECIMAL, "high": DECIMAL}
    certified |= _texts("shown accountant version discretisation")
    points = {"type": "array", "items": {"type": "array", "items": DECIMAL, "minItems": 2}}
    texts = "institution name lineage unit committed budget remaining reading odometer"
    return _texts(texts) | {
        "claimed": _ref("figure"),
        "spent": _ref("figure"),
        "before": _or(_ref("figure"), NONE),
        "in_all": _ref("figure"),
        "second_opinion": _or(_ref("figure"), NONE),
        "certified": _or(_object(certified), TEXT),
        "other_deltas": {**_list(_texts("delta shown")), "minItems": 6, "maxItems": 6},
        "attacker_percent_sure": DECIMAL,
        "by_study": _list(_texts("study shown delta accountant unit odometer")),
        "returned": _list(
            {"entry": WHOLE, "at": MOMENT, "study": TEXT, "steps": WHOLE}
            | {"order": DECIMAL, "rdp": DECIMAL}
        ),
        "curve": _object({"over": {"enum": ["round", "event"]}, "points": points}),
    }


def _mechanism() -> dict[str, Node]:
    place = dict.fromkeys(("entry", "round", "attempt"), WHOLE) | {"at": MOMENT}
    told = _texts("study institution lineage phase state accountant")
    after = {"epsilon_after": DECIMAL, "shown_after": DECIMAL, "delta": DECIMAL}
    whole_row = {"rows_per_unit": {"type": "integer", "minimum": 1}}
    return place | told | after | {"counted": BOOL, "sealed": BOOL} | _event_keys() | whole_row


def _event_keys() -> dict[str, Node]:
    return _texts("mechanism sampler noise_grade unit neighbouring") | {
        "noise_multiplier": DECIMAL,
        "sample_rate": DECIMAL,
        "steps": {"type": "integer", "minimum": 1},
        "max_grad_norm": _or(DECIMAL, NONE),
        "batch_denominator": _or(DECIMAL, NONE),
    }


def _event() -> Node:
    more = {"rows_per_unit": {"type": "integer", "minimum": 1}}
    return _object(_event_keys(), optional=more)


def _figure() -> Node:
    numbers = {"epsilon": DECIMAL, "shown": TEXT, "low": _or(DECIMAL, NONE), "delta": DECIMAL}
    return _object(numbers | _texts("accountant version discretisation unit scope"))


def _releases() -> Node:
    release = _texts("study institution phase became_part_of outcome") | {
        "entry": WHOLE,
        "at": MOMENT,
        "round": WHOLE,
        "sha256": SHA256,
        "epsilon_after": DECIMAL,
    }
    return _object({"released": _list(release), "unprotected": TEXTS, "not_private": TEXT})


def _trust() -> Node:
    told = _texts("how_it_ran secure_aggregation")
    return _object(told | {"assumptions": TEXTS, "not_used": TEXTS})


def _integrity() -> Node:
    head = {"entry": WHOLE, "sha256": TEXT, "root": TEXT}
    verified = {"at": MOMENT, "by": TEXT, "entries": WHOLE, "sha256": TEXT}
    statement = {"journal_entries": WHOLE, "journal_head": SHA256, "ledger_entries": WHOLE}
    statement |= {"ledger_root": SHA256, "received_at": MOMENT}
    verdict: Node = {"enum": ["agreed", "differs", "silent"]}
    witness = {"institution": TEXT, "verdict": verdict, "differences": WHOLE}
    witness |= {"statement": _or(_object(statement), NONE)}
    seen = {"charged_entries": WHOLE, "with_the_sites_own_journal_entry": WHOLE}
    seen |= {"institutions": _list(witness)}
    inclusion = _object({"entry": WHOLE, "size": WHOLE, "proof": HASHES})
    consistency = _object({"from": WHOLE, "to": WHOLE, "proof": HASHES})
    return _object(
        {
            "entries_in_scope": WHOLE,
            "ledger_head": _object(head),
            "chain": TEXT,
            "tree": TEXT,
            "checkpoint": _or(_ref("checkpoint"), TEXT),
            "inclusion": _or(inclusion, NONE),
            "consistency": _or(consistency, NONE),
            "witnesses": _object(seen),
            "last_verified": _or(_object(verified), TEXT),
            "verify_with": {**TEXTS, "minItems": 1},
        }
    )


def _checkpoint() -> Node:
    return _object(
        {"origin": TEXT, "size": WHOLE, "root": SHA256, "at": MOMENT, "key": SHA256}
        | {"signature": {"type": "string", "contentEncoding": "base64"}}
    )


def _object(properties: dict[str, Node], optional: dict[str, Node] | None = None) -> Node:
    return {
        "type": "object",
        "properties": properties | (optional or {}),
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(properties: dict[str, Node], least: int = 0) -> Node:
    found: Node = {"type": "array", "items": _object(properties)}
    return found | {"minItems": least} if least else found


def _texts(names: str) -> dict[str, Node]:
    return dict.fromkeys(names.split(), TEXT)


def _or(*nodes: Node) -> Node:
    return {"anyOf": list(nodes)}


def _ref(name: str) -> Node:
    return {"$ref": f"#/$defs/{name}"}
