"""One form per section of the protocol document; field names are the document's keys."""

from django import forms

from federation.learning import strategies
from studies.forms.lists import ListField
from studies.forms.styled import StyledForm, choices, decimal


class StudyForm(StyledForm):
    """What the study is called and why it is done."""

    name = forms.CharField(max_length=200, help_text="Institutions see this in their invitation.")
    purpose = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What is learned, for whom, on what legal ground. Part of what is approved.",
    )


class TrainingForm(StyledForm):
    """Local DP-SGD, alike at every site."""

    shown = {"momentum": ("optimiser", "momentum"), "seed": ("initialisation", "seeded")}

    sample_rate = decimal(
        initial=0.5, help_text="Chance of each unit to be in a step's batch, above 0 up to 1."
    )
    local_steps = forms.IntegerField(initial=4, min_value=1, help_text="Steps per round and site.")
    learning_rate = decimal(initial=2.0)
    max_grad_norm = decimal(
        initial=0.5, label="Clipping norm", help_text="No unit moves a step by more than this."
    )
    optimiser = forms.ChoiceField(choices=choices(sgd="SGD", momentum="Momentum", adam="Adam"))
    momentum = decimal(
        initial=0.9,
        min_value=0,
        help_text="Used by the momentum optimiser, from the second local step on.",
    )
    initialisation = forms.ChoiceField(
        choices=choices(zero="All zero", seeded="Random, from the seed"),
        help_text="Zero suits logistic regression; networks with hidden layers need a seed.",
    )
    seed = forms.IntegerField(initial=0)
    iterate_averaging = forms.ChoiceField(
        label="Reported model",
        choices=choices(last_half="Mean of the last half of the rounds", none="The last round's"),
        help_text="Averaging costs no privacy and steadies a noisy run.",
    )
    engine = forms.ChoiceField(
        choices=choices(bookkeeping="Book-keeping", opacus="Opacus (slower)"),
        help_text="What clips each unit's gradient. Both give the same sums.",
    )
    noise = forms.ChoiceField(
        initial="float",
        label="Grade of noise",
        choices=choices(
            float="Floating point, secret keystream",
            hardened="Hardened: exact on an integer grid (slower)",
        ),
        help_text="The price is the same; hardened noise withstands attacks on floating point.",
    )
    proximal = decimal(
        initial=0,
        min_value=0,
        label="Pull to the round's model (FedProx μ)",
        help_text="Holds sites with unlike patients together, from the second local step on; not "
        "with Adam. Costs no privacy. 0: none.",
    )
    class_weights = ListField(
        required=False, read=float, help_text="One per class, for rare classes. Empty: all alike."
    )


class PrivacyForm(StyledForm):
    """The price: a target ε, or the noise itself."""

    shown = {
        "shape": ("schedule", "custom"),
        "least_noise": ("schedule", "adaptive"),
        "most_noise": ("schedule", "adaptive"),
    }

    target_epsilon = decimal(
        required=False,
        label="Target ε",
        help_text="The noise is calibrated so that the whole study costs at most this (PLD).",
    )
    noise_multiplier = decimal(
        required=False, help_text="Instead of a target: the noise, in clipping norms."
    )
    target_delta = decimal(
        label="δ", initial=1e-3, help_text="Well below one over the units of the smallest site."
    )
    epsilon_budget = decimal(
        required=False,
        label="Budget ε per site",
        help_text="The study stops here. Empty: the target, or what the plan costs.",
    )
    schedule = forms.ChoiceField(
        choices=choices(
            uniform="Same noise in every round",
            harmonic="Less noise first, more later",
            custom="Own shape",
            adaptive="Chosen before each round, from what was released",
        ),
        help_text="Chosen on the way, nothing is sealed: each round goes through the Rényi filter, "
        "which costs a little more noise, and no budget is set aside before it.",
    )
    shape = ListField(
        required=False, read=float, label="Own shape", help_text="One number per round: 1, 1, 0.5"
    )
    least_noise = decimal(
        required=False, initial=0.5, help_text="The hub never chooses less than this."
    )
    most_noise = decimal(required=False, initial=50, help_text="Nor more than this.")


class RoundsForm(StyledForm):
    """How many rounds, who must answer and how answers become the next model."""

    count = forms.IntegerField(label="Rounds", initial=10, min_value=1)
    quorum = forms.IntegerField(
        required=False,
        min_value=1,
        help_text="Sites that must contribute to a round. Empty: all of them.",
    )
    deadline_seconds = decimal(
        initial=600, label="Deadline in seconds", help_text="How long a phase waits for its sites."
    )
    strategy = forms.ChoiceField(
        initial="fedavg",
        label="Strategy",
        help_text="SCAFFOLD corrects the drift of unlike sites, with the noise of their updates.",
    )
    weights = forms.ChoiceField(
        label="Weight of a site",
        choices=choices(declared="By declared cohort size", equal="All alike"),
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["strategy"].choices = [
            (name, strategies.get(name).title) for name in strategies.names()
        ]


class EvaluationForm(StyledForm):
    """How well the model does, and what knowing that costs."""

    every = forms.IntegerField(
        initial=0,
        min_value=0,
        label="Ask the sites every … rounds",
        help_text="0: never. Each answer is one noised histogram and is charged.",
    )
    holdout = decimal(
        initial=0, min_value=0, label="Hold-out share", help_text="Kept from training, 0 to 1."
    )
    bins = forms.IntegerField(initial=10, min_value=2, max_value=100, label="Bins of the histogram")
    noise_multiplier = decimal(required=False, label="Noise of the histogram")
    public_rows = forms.FileField(
        required=False,
        label="Public rows (CSV, Parquet or npz)",
        help_text="Rows that are public anyway; the hub scores each model on them at no cost.",
    )
    forget_public_rows = forms.BooleanField(
        required=False, label="Score on no public rows any more"
    )


class AuditForm(StyledForm):
    """Whether ε is also measured, and with how many canaries."""

    canaries = forms.IntegerField(
        required=False,
        min_value=10,
        max_value=5000,
        label="Canaries at each site",
        help_text=(
            "Synthetic rows, each in or out by a secret coin. Empty: no audit. About half of them "
            "train and are noise to the model: keep them below a tenth of the smallest site. 100 "
            "can prove ε up to about 3, and only a model with many more parameters than canaries "
            "shows anything."
        ),
    )


class MemberForm(StyledForm):
    """One invited institution and the size it declares in public."""

    institution = forms.ChoiceField()
    cohort_size = forms.IntegerField(
        min_value=1,
        label="Declared size",
        help_text="A public round figure, never the exact count.",
    )

    def __init__(self, *args: object, institutions: list[tuple[str, str]], **kwargs: object):
        super().__init__(*args, **kwargs)
        self.fields["institution"].choices = [("", "Choose …"), *institutions]
