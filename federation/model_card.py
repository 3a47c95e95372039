"""The model card: what the model is, what it was trained on, what it cost, what it is not for.

Markdown, after Mitchell et al. 2019 (arXiv 1810.03993). Every ε stands with its accountant, its δ
and its unit; every metric says on whose rows it was measured.
"""

from typing import Any

from accounting.dp.figures import Figure
from accounting.keys import Limit
from accounting.selectors import claims, shown
from federation.learning import architectures
from federation.protocol import plans
from federation.protocol.document import NumberTarget, Protocol
from federation.protocol.machines import own
from federation.selectors import models
from studies.models import Study
from studies.selectors.protocols import protocol_of

UNITS = {"row": "one row", "patient": "one patient"}
SHOWN = ("accuracy", "auc", "log_loss", "sensitivity", "specificity", "mae", "rmse", "bias")
NOISE = {
    "float": "floating point, from a secret keystream",
    "hardened": "hardened, exact on an integer grid",
}
SHORT = {
    "auc": "AUC",
    "log_loss": "log loss",
    "mae": "mean absolute error",
    "rmse": "root mean square error",
    "bias": "mean of prediction less truth",
}


def model_card(study: Study, row: models.ModelRow) -> str:
    """The card of one of the study's models, as reported."""
    protocol = protocol_of(study)
    sections = (
        _head(study, protocol, row),
        _data(protocol),
        _training(protocol, row),
        _privacy(study, protocol),
        _utility(protocol, row),
        _contributors(study),
        _limits(protocol),
    )
    return "\n\n".join(sections) + "\n"


def _head(study: Study, protocol: Protocol, row: models.ModelRow) -> str:
    lines = [f"# {_line(protocol.name)}", ""]
    if protocol.purpose:
        lines += [_line(protocol.purpose), ""]
    return "\n".join(
        [
            *lines,
            f"- Model: round {row.number} of {protocol.rounds.count}, {row.at:%Y-%m-%d %H:%M} UTC",
            f"- SHA-256 of model.safetensors: `{row.reported_digest}`",
            f"- Study: `{study.slug}` ({study.status}), protocol `{study.protocol_digest}`",
            f"- Architecture: {_architecture(protocol)}",
            *_personal(protocol),
        ]
    )


def _personal(protocol: Protocol) -> list[str]:
    """What the file lacks, where sites keep layers of their own."""
    own = protocol.model.personal_layers
    if not own:
        return []
    return [
        f"- **Shared layers only.** The last {own} of the model, counted in modules with weights, "
        "are each institution's own: trained there, never sent, not in this file. To predict, put "
        "them behind it, or train them anew; a site finds its own in `kept/` in its folder."
    ]


def _data(protocol: Protocol) -> str:
    rows = [[_line(c.name), c.kind, _feature(c), _missing(c)] for c in protocol.data.columns]
    target = protocol.data.target
    cap = protocol.data.max_rows_per_patient
    unit = UNITS[protocol.data.unit] + (f", at most {cap} rows each" if cap else "")
    return "\n".join(
        [
            "## Data contract",
            "",
            _table(["feature", "kind", "declared values", "missing"], rows),
            "",
            f"- Target: {_line(target.column)}, {_outcomes(protocol)}",
            *_windows(protocol),
            f"- Unit of privacy: {unit}",
            "- Scaling uses the declared values only, never a site's own mean or spread: bounds to "
            "-1 ... 1, or (value - centre) / spread where these are declared.",
        ]
    )


def _windows(protocol: Protocol) -> list[str]:
    """Which rows one row of training is made of, where it is more than one."""
    windows = protocol.data.windows
    if windows is None:
        return []
    series = [] if windows.series_column is None else [f"series: {_line(windows.series_column)}"]
    ahead = f"{windows.ahead} rows from " if windows.ahead > 1 else ""
    later = f"{windows.horizon} row{'' if windows.horizon == 1 else 's'} after the last"
    told = [
        f"{windows.length} rows ordered by {', '.join(map(_line, windows.order))}",
        *series,
        f"step: {windows.step}",
        f"predicted: {ahead}{later if windows.horizon else 'the last row'}",
    ]
    return [f"- Each row of training is a window: {'; '.join(told)}"]


def _training(protocol: Protocol, row: models.ModelRow) -> str:
    training = protocol.training
    averaged = training.iterate_averaging == "last_half"
    reported = "mean of the last half of the rounds" if averaged else "last round"
    weights = ", ".join(f"{weight:g}" for weight in training.class_weights or [])
    return "\n".join(
        [
            "## Training",
            "",
            f"DP-SGD at each site, {protocol.aggregation.strategy} at the hub "
            f"({protocol.aggregation.weights} weights).",
            "",
            f"- {training.local_steps} local steps a round, {row.number} rounds, "
            f"{_optimiser(protocol)}, learning rate {training.learning_rate:g}",
            f"- Loss: {_loss(protocol)}; {_start(protocol)}",
            f"- Sample rate {training.sample_rate:g} (Poisson), max_grad_norm "
            f"{training.max_grad_norm:g}",
            f"- Each unit clipped by engine {training.engine}; noise: {NOISE[training.noise]}",
            *([f"- Class weights: {weights}"] if weights else []),
            *_near(protocol),
            *_classes(protocol),
            f"- Reported model: {reported}",
        ]
    )


def _optimiser(protocol: Protocol) -> str:
    training = protocol.training
    inner = f" ({training.momentum:g})" if training.optimiser == "momentum" else ""
    return f"{training.optimiser}{inner}"


def _loss(protocol: Protocol) -> str:
    numbers = isinstance(protocol.data.target, NumberTarget)
    return "half the squared error of the scaled number" if numbers else "cross-entropy"


def _start(protocol: Protocol) -> str:
    zero = ", its output layer from zero" if protocol.training.initialisation == "zero" else ""
    return f"it began from seed {protocol.training.seed}{zero}"


def _near(protocol: Protocol) -> list[str]:
    """What held the sites' steps together, where anything did."""
    pull = protocol.training.proximal
    return [f"- Each step was pulled to the round's model (FedProx, μ = {pull:g})"] if pull else []


def _classes(protocol: Protocol) -> list[str]:
    """Which sites trained by the plan of their class of machine, and by which."""
    lines = []
    for row in protocol.cohort:
        if row.machine in protocol.training.classes:
            training = own(protocol, row.institution).training
            steps = f"{training.local_steps} local step{'' if training.local_steps == 1 else 's'}"
            lines.append(
                f"- {row.institution} (machine class {row.machine}): {steps} a round, "
                f"sample rate {training.sample_rate:g}"
            )
    return lines


def _privacy(study: Study, protocol: Protocol) -> str:
    books, found = claims.of(study.slug), {}
    for name in [member.institution for member in protocol.cohort]:
        limit = Limit(plans.epsilon_budget(protocol, name), protocol.privacy.target_delta)
        found[name] = books.study(study.slug, name, limit)
    rows = [[name, *_priced(claim.claimed)] for name, claim in found.items()]
    odometers = [
        f"{name} ε = {claim.spent.shown()} ({', '.join(_priced(claim.spent)[1:])})"
        for name, claim in found.items()
        if claim.is_odometer
    ]
    return "\n".join(
        [
            "## Privacy",
            "",
            _table(["institution", "ε", "δ", "accountant"], rows),
            "",
            *([f"{_ON_THE_WAY} {'; '.join(odometers)}.", ""] if odometers else []),
            f"For {UNITS[protocol.data.unit]} added or removed, against everybody who sees what "
            "left the institution, the hub included; it assumes honest site software. Every site "
            "added its full noise itself. ε is composed over all rounds and site evaluations of "
            "this study, lost attempts included; other studies on the same rows add to it.",
        ]
    )


_ON_THE_WAY = (
    "Noise was chosen after looking at results, so the ε above is the bound that the Rényi filter "
    f"enforces. The sum so far is {shown.ODOMETER}:"
)


def _priced(figure: Figure) -> list[str]:
    """ε, δ and accountant; where a filter judged, its order."""
    order = f", {figure.discretisation}" if "sealed" in figure.discretisation else ""
    source = f"{figure.accountant} {figure.version}{order}"
    return [figure.shown(), f"{figure.delta:g}", source]


def _utility(protocol: Protocol, row: models.ModelRow) -> str:
    blocks = ["## Metrics"]
    if row.public:
        blocks.append(
            _measured(f"On {row.public['rows']} public rows at the hub", row.public, protocol)
        )
    if row.sites and "withheld" in row.sites:
        blocks.append(f"The sites' noised histograms are withheld: {row.sites['withheld']}.")
    elif row.sites:
        noise = row.sites["noise_standard_deviation"]
        text = (
            f"On the hold-out rows of {len(row.sites['contributors'])} institutions, from the sum "
            f"of their noised histograms (standard deviation of the noise per cell {noise:.3g})"
        )
        blocks.append(_measured(text, row.sites, protocol))
    if len(blocks) == 1:
        blocks.append("This model was not measured.")
    return "\n\n".join(blocks)


def _measured(where: str, found: dict[str, Any], protocol: Protocol) -> str:
    figures = [(SHORT.get(name, name), found.get(name)) for name in SHOWN]
    if recalls := found.get("recalls"):
        labels = map(_line, protocol.data.target.labels)
        figures += [(f"recall of {label}", r) for label, r in zip(labels, recalls, strict=True)]
    rows = [[name, f"{value:.3f}"] for name, value in figures if value is not None]
    return f"{where}:\n\n{_table(['metric', 'value'], rows)}"


def _contributors(study: Study) -> str:
    rows = [
        [str(row.number), ", ".join(row.contributors) or "none (initial model)"]
        for row in models.checkpoints(study)
    ]
    return f"## Contributors\n\n{_table(['model', 'institutions'], rows)}"


def _limits(protocol: Protocol) -> str:
    return "\n".join(
        [
            "## Limits of use",
            "",
            "- Research use for the purpose above; not a medical device, not for decisions about "
            "single people without clinical validation.",
            "- Holds only for data that meet the contract; values outside the declared ones were "
            "not seen in training.",
            "- Differential privacy bounds what the model tells about each unit. It says nothing "
            "about groups, nor whether the model is still personal data in law.",
            f"- Quality differs between institutions; target: {_outcomes(protocol)}.",
        ]
    )


def _outcomes(protocol: Protocol) -> str:
    """What may be predicted."""
    target = protocol.data.target
    if isinstance(target, NumberTarget):
        return f"a number from {_values(target)}"
    if not target.names:
        return f"classes {', '.join(map(_line, target.labels))}"
    pairs = zip(target.names, target.classes, strict=True)
    named = [f"{_line(name)} ({', '.join(map(_line, values))})" for name, values in pairs]
    return f"classes {', '.join(named)}"


def _feature(column: Any) -> str:
    """What a value may be, and what becomes of it before the model sees it."""
    told = [_values(column)]
    if column.kind != "category" and column.spread is not None:
        told.append(f"centre {column.centre:g}, spread {column.spread:g}")
    if column.outside != "refuse":
        told.append(
            {"clip": "others clipped to these", "ignore": "others as none of these"}[column.outside]
        )
    if column.kind == "array" and column.other_sizes == "resize":
        told.append("other sizes scaled to this")
    return "; ".join(told)


def _values(column: Any) -> str:
    if column.kind == "category":
        return ", ".join(map(_line, column.categories))
    if column.kind == "array":
        size = " × ".join(map(str, column.shape))
        return f"{size} numbers, {column.low:g} to {column.high:g}"
    unit = f" {_line(column.unit)}" if column.unit else ""
    return f"{column.low:g} to {column.high:g}{unit}"


def _missing(column: Any) -> str:
    fills = isinstance(column.missing, int | float)
    return f"filled with {column.missing:g}" if fills else str(column.missing)


def _architecture(protocol: Protocol) -> str:
    """Its title, every parameter, defaults too, and the paper."""
    chosen = architectures.get(protocol.model.architecture)
    parameters = architectures.read(chosen.name, protocol.model.parameters).model_dump()
    filled = f" ({_plain(parameters)})" if parameters else ""
    return f"{chosen.title}{filled}; {chosen.source}"


def _plain(parameters: dict[str, Any]) -> str:
    return ", ".join(f"{_line(name)} = {_line(value)}" for name, value in parameters.items())


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _line(text: object) -> str:
    """Text from a protocol, so that it cannot break out of its cell or become markup."""
    plain = " ".join(str(text).split())
    return plain.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
