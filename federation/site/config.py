"""The site's own settings (site.toml): what it lends and the limits that the hub cannot move."""

import tomllib
from collections.abc import Generator, Mapping
from filecmp import cmp
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from federation.protocol.contract import Columns
from federation.protocol.document import DataContract
from federation.protocol.machines import MachineClass
from federation.site import sources
from federation.site.folder import Folder

Name = Annotated[str, Field(min_length=1, max_length=200)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Epsilon = Annotated[float, Field(gt=0, allow_inf_nan=False)]
File = Annotated[Path, Field(strict=False)]  # TOML has texts, not paths


class ConfigError(ValueError):
    """site.toml cannot be used; the text says which key of which file, and what to do."""


class Section(BaseModel):
    """A table of site.toml: unknown keys are refused, values are not guessed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class HubSection(Section):
    """How to reach the hub; the URL itself is pinned by enrolment."""

    url: str | None = None
    proxy: str | None = None
    ca_file: File | None = None


class Dataset(Section):
    """One data source that the institution lends, and how much of its privacy may ever be spent.

    `lineage` names the people in the data: a filtered or renamed copy keeps the lineage of its
    origin, because it spends the same people's budget. `file` alone names a CSV, Parquet or npz
    file, or a folder of images or of a Parquet table's parts; all else is said in a `source` table,
    whose `kind` decides its keys.
    """

    name: Name
    file: File | None = None
    source: dict[str, Any] | None = None
    lineage: Name = ""
    lifetime_epsilon: Epsilon = 10.0
    lifetime_delta: Annotated[float, Field(ge=1e-10, lt=1)] = 1e-5

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (self.source is None):
            raise ValueError("name the data: either by `file` or in a [dataset.source] table")
        self.settings()  # raises where a key is wrong
        return self

    @property
    def root(self) -> str:
        """The lineage that is charged."""
        return self.lineage or self.name

    @property
    def kind(self) -> str:
        """Which kind of source it is: the name of a file in federation/site/sources."""
        return str((self.source or {}).get("kind", "")) or sources.kind_of(self.file or Path())

    def settings(self) -> sources.Settings:
        """What the source is told. Raises ValueError naming the key that is wrong."""
        if self.kind not in sources.kinds():
            raise ValueError(f"source.kind: choose one of {', '.join(sources.kinds())}")
        told = {"file": self.file} if self.source is None else dict(self.source)
        told.pop("kind", None)
        try:
            return sources.get(self.kind).Settings.model_validate(told)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            key = ".".join(["source", *map(str, first["loc"])])
            raise ValueError(f"{key}: {first['msg']}") from None

    def version(self) -> str:
        """A digest that changes when the rows may have changed. Raises ContractError."""
        return sources.get(self.kind).version(self.settings())

    def blocks(self, contract: DataContract) -> Generator[Columns]:
        """The rows, block by block. Raises ContractError."""
        return sources.get(self.kind).blocks(self.settings(), contract)

    def within(self, folder: Path) -> Self:
        """The same with relative paths taken from `folder`."""
        if self.file is not None and (folder / self.file).is_dir():
            kind = sources.kind_of_folder(folder / self.file)
            key = "folder" if kind == "images" else "file"
            found = {"kind": kind, key: folder / self.file}
            return self.model_copy(update={"file": None, "source": found})
        if self.file is not None:
            return self.model_copy(update={"file": folder / self.file})
        moved = self.settings().within(folder).model_dump()
        return self.model_copy(update={"source": {**moved, "kind": self.kind}})


class Machine(Section):
    """[machine]: its class, how much memory a chunk of a step may take, and where it computes.

    The class is told to the hub, and a study may plan other steps for it. Memory and device are
    not told, and change neither what is computed nor what it costs.
    """

    kind: MachineClass | None = Field(default=None, alias="class")
    chunk_mib: Annotated[int, Field(ge=1, le=2**20)] | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @property
    def chunk_bytes(self) -> int:
        """Bytes; without a word of the site's, what suits its class."""
        return (self.chunk_mib or _CHUNK_MIB[self.kind]) << 20


_CHUNK_MIB: Mapping[str | None, int] = {
    None: 128,
    "small": 32,
    "standard": 128,
    "large": 512,
    "accelerated": 1024,
}


class Limits(Section):
    """What a study may ask of this site at most, whatever the hub signs."""

    max_epsilon_per_study: Epsilon = 10.0
    min_noise_multiplier: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.3
    max_rounds: Annotated[int, Field(ge=1)] = 1000
    architectures: list[Name] = []
    min_cohort: Annotated[int, Field(ge=1)] = 1
    secure_aggregation: Literal["optional", "required"] = "optional"
    audits: Literal["optional", "never"] = "optional"
    approved_protocols: list[Digest] | None = None


class SiteConfig(Section):
    """All of site.toml."""

    hub: HubSection = HubSection()
    machine: Machine = Machine()
    dataset: list[Dataset] = []
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [dataset.name for dataset in self.dataset]
        if len(set(names)) != len(names):
            raise ValueError("two datasets have the same name; rename one")
        budgets: dict[str, tuple[float, float]] = {}
        for dataset in self.dataset:
            budget = (dataset.lifetime_epsilon, dataset.lifetime_delta)
            if budgets.setdefault(dataset.root, budget) != budget:
                raise ValueError(
                    f"two datasets of lineage {dataset.root!r} declare different lifetimes; "
                    "give both the same lifetime_epsilon and lifetime_delta"
                )
        return self

    def lent(self, name: str) -> Dataset | None:
        """The dataset called `name`, or None when this site does not lend it."""
        return next((dataset for dataset in self.dataset if dataset.name == name), None)


def read_config(folder: Folder) -> SiteConfig:
    """Read and check site.toml; relative paths in it are relative to the folder.

    Raises:
        ConfigError: one clear message with file, key and advice.
    """
    path = folder.config
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path} is missing; write it (enrol leaves an example) and name your datasets in it"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({type(error).__name__}); fix it") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}; correct that line") from error
    config = _resolved(_checked(path, document), folder.path)
    _check_copies(path, config.dataset)
    return config


def _check_copies(path: Path, datasets: list[Dataset]) -> None:
    """Refuse one file, or two equal ones, under two lineages: one budget for the same people."""
    for one, other in combinations(datasets, 2):
        if one.root != other.root and _same_rows(one, other):
            raise ConfigError(
                f"{path}: datasets {one.name!r} and {other.name!r} hold the same rows and name two "
                f"lineages, {one.root!r} and {other.root!r}: the same people would have two "
                "budgets; give both the lineage that was used first"
            )


def _same_rows(one: Dataset, other: Dataset) -> bool:
    """Whether two sources are the same place, or their (first) files hold the same bytes."""
    if one.settings() == other.settings():
        return True
    files = [
        next((value for value in vars(each.settings()).values() if isinstance(value, Path)), None)
        for each in (one, other)
    ]
    return files[0] is not None and files[1] is not None and _same_bytes(files[0], files[1])


def _same_bytes(one: Path, other: Path) -> bool:
    """Links are followed; bytes are read only where the sizes are equal."""
    try:
        return one.samefile(other) or (one.stat().st_size > 0 and cmp(one, other, shallow=False))
    except OSError:
        return False  # what is missing is told by whoever reads it


def _checked(path: Path, document: Mapping[str, Any]) -> SiteConfig:
    try:
        return SiteConfig.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file as a whole"
        advice = _ADVICE.get(first["type"], "correct the value")
        # The original error quotes what stands there, which may be a password.
        raise ConfigError(f"{path}: {key}: {first['msg']}; {advice}") from None


_ADVICE = {
    "extra_forbidden": "remove the key or correct its spelling",
    "missing": "add the key",
    "value_error": "see the example that enrol writes",
}


def _resolved(config: SiteConfig, base: Path) -> SiteConfig:
    datasets = [dataset.within(base) for dataset in config.dataset]
    hub = config.hub
    if hub.ca_file is not None:
        hub = hub.model_copy(update={"ca_file": base / hub.ca_file})
    return config.model_copy(update={"dataset": datasets, "hub": hub})


def example_config() -> str:
    """A site.toml that explains itself; every value shown under [limits] is the default."""
    return EXAMPLE


EXAMPLE = """\
# Settings of this site. They belong to the institution: the hub can neither read nor change them.

[hub]
# url = "https://hub.example.org"      # written by enrol into hub.json; here it only overrides
# proxy = "http://proxy.example.org:3128"   # no proxy is used unless named here
# ca_file = "hospital-ca.pem"          # only where the hub's certificate is from your own authority

[machine]
# class = "standard"                   # "small", "standard", "large" or "accelerated" (with a GPU):
                                       # a study may plan fewer or more steps for a class, with a
                                       # price of its own, which you approve. Default: none
# chunk_mib = 128                      # memory for a chunk of a step; changes no result, no price
# device = "auto"                      # a GPU (CUDA) when there is one; "cpu": never; "cuda": no
                                       # round without it. Which GPU: CUDA_VISIBLE_DEVICES

# One table for each dataset that you lend. `lineage` names the people in it: a filtered or
# renamed copy keeps the lineage of the original, because it spends the same people's privacy.
# [[dataset]]
# name = "heart"
# file = "heart.csv"                   # .csv, .parquet or .npz, relative to this folder
# lineage = "heart"                    # default: the name
# lifetime_epsilon = 10.0              # all studies together, for the life of the data
# lifetime_delta = 1e-5                # below one over the number of patients
# Instead of `file`, a database or a folder of images is named in a table of its own:
#   [dataset.source]
#   kind = "sql"
#   url = "postgresql://reader@db.example.org/hospital"   # never with the password
#   password_file = "db.password"      # or password_env = "NAME" of an environment variable
#   query = "SELECT age, chol, num FROM visits"
# or
#   kind = "images"
#   folder = "x-rays"                  # one sub-folder for each label, or
#   labels = "labels.csv"              # a line for each image: `file`, the label, the patient

[limits]
max_epsilon_per_study = 10.0           # computed here, from the protocol, never taken from the hub
min_noise_multiplier = 0.3
max_rounds = 1000
architectures = []                     # empty: every architecture that this software knows
min_cohort = 1                         # institutions in the study
secure_aggregation = "optional"        # "required" refuses studies without it
audits = "optional"                    # "never": no synthetic canaries beside your rows
# approved_protocols = ["sha-256 digest"]   # if present, only these run, whatever the hub says
"""
