"""What can never train is told by one step on made-up rows; what can is not held up."""

import pytest

from federation.learning import architectures, engines, grades
from federation.learning.faults import Untrainable
from federation.learning.trial import check
from federation.protocol.document import Protocol
from tests.learning.builders import protocol
from tests.learning.test_architectures import study_of

EACH = pytest.mark.parametrize("engine", engines.names())


@EACH
@pytest.mark.parametrize("noise", grades.names())
@pytest.mark.parametrize("name", sorted(set(architectures.names()) - {"resnet18"}))
def test_every_architecture_trains_on_every_engine(name: str, engine: str, noise: str) -> None:
    preset = next(iter(architectures.get(name).presets))
    check(study_of(name, preset, engine=engine, noise=noise), 1.0, 30.0)


@EACH
@pytest.mark.parametrize("changes", [{"patients": True}, {"classes": 3}, {"optimiser": "adam"}])
def test_so_does_every_kind_of_study(engine: str, changes: dict[str, object]) -> None:
    check(protocol(engine=engine, **changes), 1.0, 30.0)


def test_so_does_a_forecast_of_several_numbers() -> None:
    document = study_of("lstm", "small").model_dump()
    columns = [{"name": "cases", "low": 0, "high": 9}]
    target = {"kind": "number", "column": "cases", "low": 0, "high": 9}
    windows = {"length": 3, "order": ["week"], "horizon": 1, "ahead": 2}
    data = {"columns": columns, "target": target, "windows": windows}
    unit = {"unit": "patient", "patient_column": "who", "max_rows_per_patient": 5}
    check(Protocol.model_validate(document | {"data": data | unit}), 1.0, 30.0)


@EACH
@pytest.mark.parametrize("noise", grades.names())
def test_the_smallest_clip_of_a_document_trains(engine: str, noise: str) -> None:
    check(protocol(engine=engine, noise=noise, max_grad_norm=1e-12), 1.0, 30.0)
    with pytest.raises(ValueError, match="equal to 0"):
        protocol(engine=engine, max_grad_norm=0.9e-12)


@EACH
@pytest.mark.parametrize("changes", [{"learning_rate": 1e300}, {"max_grad_norm": 1e300}])
def test_what_no_float32_holds_is_told(engine: str, changes: dict[str, float]) -> None:
    study = protocol(engine=engine)
    # No document may say so any more; the trial does not rely on it.
    training = study.training.model_copy(update=changes)
    with pytest.raises(Untrainable, match="lower"):
        check(study.model_copy(update={"training": training}), 1.0, 30.0)


def test_what_an_engine_says_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> None:
        raise NotImplementedError("no layer of this kind")

    monkeypatch.setattr(engines.get("opacus"), "gradients", fails, raising=False)
    with pytest.raises(Untrainable, match="cannot train this model: no layer of this kind"):
        check(protocol(engine="opacus"), 1.0, 30.0)
