"""site.toml: strict, with one clear message, and an example that is true."""

import tomllib
from pathlib import Path

import pytest

from federation.site.config import ConfigError, Limits, SiteConfig, example_config, read_config
from federation.site.folder import Folder


def written(path: Path, text: str) -> Folder:
    folder = Folder(path)
    folder.config.write_text(text)
    return folder


def test_the_example_is_valid_and_shows_the_defaults(tmp_path: Path) -> None:
    folder = written(tmp_path, example_config())
    assert read_config(folder).limits == Limits()
    shown = set(tomllib.loads(example_config())["limits"])
    assert shown == set(Limits.model_fields) - {"approved_protocols"}


def test_the_commented_example_is_valid_too(tmp_path: Path) -> None:
    commented = [
        line.removeprefix("# ")
        if line.startswith(("# [", "# name", "# file", "# line", "# life"))
        else line
        for line in example_config().splitlines()
    ]
    dataset = read_config(written(tmp_path, "\n".join(commented))).dataset[0]
    assert (dataset.lifetime_epsilon, dataset.lifetime_delta) == (10.0, 1e-5)


def test_files_are_relative_to_the_folder(tmp_path: Path) -> None:
    folder = written(tmp_path, '[[dataset]]\nname = "heart"\nfile = "data/heart.csv"\n')
    dataset = read_config(folder).dataset[0]
    assert dataset.file == tmp_path / "data" / "heart.csv"
    assert dataset.root == "heart"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[limits]\nmax_epsilon = 3\n", ["limits.max_epsilon", "spelling"]),
        ('[limits]\nmax_rounds = "many"\n', ["limits.max_rounds", "integer"]),
        ("[limits]\nmax_epsilon_per_study = true\n", ["limits.max_epsilon_per_study"]),
        ("[limits]\nmax_epsilon_per_study = inf\n", ["limits.max_epsilon_per_study", "finite"]),
        ("[limits]\nmin_noise_multiplier = -1\n", ["limits.min_noise_multiplier"]),
        ('[limits]\napproved_protocols = ["abc"]\n', ["limits.approved_protocols.0"]),
        ('[[dataset]]\nname = "heart"\n', ["dataset.0", "`file`", "[dataset.source]"]),
        ('[[dataset]]\nname = "a"\nfile = "x"\nlifetime_delta = 1.0\n', ["lifetime_delta"]),
        ('[[dataset]]\nname="a"\nfile="x"\n[[dataset]]\nname="a"\nfile="y"\n', ["same name"]),
        (
            '[[dataset]]\nname="a"\nfile="x"\n'
            '[[dataset]]\nname="b"\nlineage="a"\nfile="y"\nlifetime_epsilon=99.0\n',
            ["lineage 'a'", "different lifetimes"],
        ),
        ("[limits\n", ["not TOML", "line 1"]),
    ],
)
def test_a_mistake_names_file_key_and_remedy(tmp_path: Path, text: str, words: list[str]) -> None:
    folder = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_config(folder)
    assert all(word in str(caught.value) for word in ["site.toml", *words])
    assert "\n" not in str(caught.value).removesuffix("\n")


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"site\.toml is missing"):
        read_config(Folder(tmp_path))


def test_lent_finds_by_name_only() -> None:
    config = SiteConfig.model_validate({"dataset": [{"name": "a", "file": "a.csv"}]})
    assert config.lent("a") is not None
    assert config.lent("b") is None


def two(tmp_path: Path, first: str, second: str, lineages: tuple[str, str]) -> Folder:
    tables = (
        f'[[dataset]]\nname="{name}"\nfile="{file}"\nlineage="{lineage}"\n'
        for name, file, lineage in zip("ab", (first, second), lineages, strict=True)
    )
    return written(tmp_path, "".join(tables))


@pytest.mark.parametrize("second", ["heart.csv", "./heart.csv", "copy.csv", "soft.csv", "hard.csv"])
def test_the_same_rows_have_one_lineage(tmp_path: Path, second: str) -> None:
    rows = tmp_path / "heart.csv"
    rows.write_text("age\n40\n")
    (tmp_path / "copy.csv").write_bytes(rows.read_bytes())
    (tmp_path / "soft.csv").symlink_to(rows)
    (tmp_path / "hard.csv").hardlink_to(rows)
    with pytest.raises(ConfigError, match="the same people would have two budgets"):
        read_config(two(tmp_path, "heart.csv", second, ("heart-1988", "heart-2024")))
    assert len(read_config(two(tmp_path, "heart.csv", second, ("heart", "heart"))).dataset) == 2


def test_other_rows_may_have_another_lineage(tmp_path: Path) -> None:
    for name, text in (("one.csv", "age\n40\n"), ("two.csv", "age\n41\n")):
        (tmp_path / name).write_text(text)
    assert read_config(two(tmp_path, "one.csv", "two.csv", ("one", "two")))


def test_a_missing_file_is_told_by_who_reads_it(tmp_path: Path) -> None:
    assert read_config(two(tmp_path, "absent.csv", "gone.csv", ("one", "two")))


def test_the_same_source_has_one_lineage_however_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "heart.csv").write_text("age\n40\n")
    plain = '[[dataset]]\nname="a"\nfile="heart.csv"\n'
    table = '[[dataset]]\nname="b"\n[dataset.source]\nkind="csv"\nfile="heart.csv"\n'
    with pytest.raises(ConfigError, match="the same people would have two budgets"):
        read_config(written(tmp_path, plain + table))
