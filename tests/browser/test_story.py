"""One story in a real browser: a study is written, approved by four hospitals, watched, reported.

Three people in three sessions: the lead, the site admin of the four hospitals, the officer. The hub
and the four site workers are the demonstration's own processes.
"""

import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from dp_accounting import GaussianDpEvent, NeighboringRelation, PoissonSampledDpEvent
from dp_accounting.pld import PLDAccountant
from playwright.sync_api import Error, Page, expect
from pypdf import PdfReader

from tests.system.running import ROOT, environment

pytestmark = pytest.mark.browser
HEART = ROOT / "demo" / "heart_disease"
HOSPITALS = ("cleveland", "budapest", "zurich", "long-beach")
NAME, ROUNDS = "A second look at hearts", 5
SLUG = "a-second-look-at-hearts"


@dataclass
class Demonstration:
    """The running `manage.py demo`: its address and the password it printed."""

    address: str
    password: str
    folder: Path


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demonstration")
    process = subprocess.Popen(
        [sys.executable, "manage.py", "demo", "--folder", str(folder / "installation")],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = ""
    while "Ctrl-C stops" not in said:
        line = process.stdout.readline()
        assert line, f"the demonstration ended: {said}"
        said += line
    address = re.search(r"runs at (\S+)", said).group(1)
    password = re.search(r"password\s+(\S+)", said).group(1)
    yield Demonstration(address, password, folder / "installation")
    process.terminate()
    rest = process.communicate(timeout=30)[0]
    assert process.returncode == 0, rest


@pytest.fixture
def session(chromium, demonstration):
    """Logs a person in, in a session of their own; a fault in any console fails the test."""
    faults, contexts = [], []

    def log_in(username: str) -> Page:
        context = chromium.new_context(base_url=demonstration.address)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"{username}: {error}"))
        page.on(
            "console",
            lambda note: (
                faults.append(f"{username}: {note.text}") if note.type == "error" else None
            ),
        )
        page.goto("/login/")
        page.get_by_label("User name").fill(username)
        page.get_by_label("Password").fill(demonstration.password)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", level=1)).not_to_have_text("Log in")
        return page

    log_in.faults = faults
    yield log_in
    for context in contexts:
        context.close()
    assert faults == []


def protocol_text() -> str:
    """The demonstration's protocol under another name, with fewer rounds."""
    text = (HEART / "study.toml").read_text()
    text = re.sub(r'^name = "Heart disease[^"]*"', f'name = "{NAME}"', text, flags=re.M)
    return re.sub(r"^count = \d+", f"count = {ROUNDS}", text, flags=re.M)


def test_the_story(session, demonstration, tmp_path):
    lead, admin, officer = session("lead"), session("admin"), session("officer")
    write_and_submit(lead, tmp_path)
    for hospital in HOSPITALS:
        approve(admin, hospital)
    start_and_watch(lead)
    numbers = losses_shown(lead)
    report, pdf = download_reports(officer, tmp_path)
    check_numbers(report, pdf, numbers, demonstration, tmp_path)


def write_and_submit(lead: Page, folder: Path) -> None:
    file = folder / "study.toml"
    file.write_text(protocol_text())
    lead.goto("/new-study/import/")
    lead.locator("input[name=file]").set_input_files(file)
    lead.locator("input[name=public_rows]").set_input_files(HEART / "public_test.csv")
    lead.get_by_role("button", name="Make a draft of it").click()
    lead.wait_for_url(f"**/studies/{SLUG}/**")
    lead.goto(f"/studies/{SLUG}/actions/submit/")
    lead.locator("main form button").first.click()
    lead.wait_for_url(f"**/studies/{SLUG}/")


def approve(admin: Page, hospital: str) -> None:
    admin.goto(f"/studies/{SLUG}/institutions/{hospital}/approve/")
    expect(admin.get_by_text("What leaves your institution")).to_be_visible()
    expect(admin.locator("body")).to_contain_text("PLD")
    expect(admin.locator(".lending-awaited")).to_contain_text("Left after")
    admin.locator("input[name=dataset]").first.check()
    admin.locator("input[name=read]").check()
    admin.get_by_role("button", name="Approve and lend").click()
    admin.wait_for_load_state()


def start_and_watch(lead: Page) -> None:
    """Start, then never load the page again: rounds arrive by themselves."""
    lead.goto(f"/studies/{SLUG}/actions/start/")
    lead.locator("main form button").first.click()
    lead.wait_for_url(f"**/studies/{SLUG}/")
    lead.evaluate("window.neverReloaded = true")
    rounds = lead.locator("#panel-rounds")
    for number in (1, ROUNDS):
        expect(rounds).to_contain_text(f"Round {number}", timeout=120_000)
    expect(rounds).to_contain_text(f"{ROUNDS} of {ROUNDS} closed", timeout=120_000)
    expect(lead.locator("#panel-head")).to_contain_text("Completed", timeout=30_000)
    expect(lead.locator("#panel-utility .js-plotly-plot")).to_be_visible(timeout=30_000)
    assert lead.evaluate("window.neverReloaded") is True


def losses_shown(lead: Page) -> list[str]:
    """The ε that the study page shows per institution, as text."""
    panel = lead.locator("#panel-budget")
    expect(panel).to_contain_text("PLD")
    return re.findall(r"\b[01]\.\d{3}\b", panel.locator("table").first.inner_text())


def download_reports(officer: Page, folder: Path) -> tuple[dict, str]:
    officer.goto(f"/studies/{SLUG}/report/")
    files = {}
    for kind in ("json", "pdf"):
        with officer.expect_download() as download:
            officer.locator(f"#report-{kind}").click()
        files[kind] = folder / f"report.{kind}"
        download.value.save_as(files[kind])
    pdf = "\n".join(page.extract_text() for page in PdfReader(files["pdf"]).pages)
    return json.loads(files["json"].read_text()), pdf


def check_numbers(report, pdf, shown, demonstration, folder) -> None:
    """Page, PDF and `manage.py epsilon` on the exported events say the same ε."""
    for hospital in HOSPITALS:
        events = folder / f"{hospital}.json"
        events.write_text(json.dumps(report["events"][hospital]))
        told = epsilon_by_command(events, delta="0.001")
        rounded = rounded_up(told["epsilon"])
        assert rounded in shown
        assert rounded in pdf
        assert told["accountant"] == "pld"
        alone = epsilon_by_dp_accounting(report["events"][hospital], delta=0.001)
        assert told["epsilon"] == pytest.approx(alone, rel=1e-3)
        assert sum(event["steps"] for event in report["events"][hospital]) == ROUNDS


def epsilon_by_command(events: Path, delta: str) -> dict:
    result = subprocess.run(
        [
            *(sys.executable, "manage.py", "epsilon", "--history", str(events)),
            *("--delta", delta, "--json"),
        ],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout)


def epsilon_by_dp_accounting(events: list[dict], delta: float) -> float:
    """The library by itself, on the events as they were exported."""
    accountant = PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE)
    for event in events:
        noise = GaussianDpEvent(float(event["noise_multiplier"]))
        sampled = PoissonSampledDpEvent(float(event["sample_rate"]), noise)
        accountant.compose(sampled, event["steps"])
    return accountant.get_epsilon(delta)


def rounded_up(value: float, places: int = 3) -> str:
    scaled = value * 10**places
    whole = int(scaled) + (scaled > int(scaled))
    return f"{whole / 10**places:.{places}f}"


def test_another_hospital_is_not_found(session):
    """The site admin of one hospital sees nothing of the others."""
    page = session("zurich")
    paths = (f"/studies/{SLUG}/institutions/budapest/approve/", "/institutions/budapest/revoke/")
    for path in paths:
        answer = page.request.get(path)
        assert answer.status == 404


def test_the_demonstration_continues_after_a_killed_web_process(session, demonstration):
    """A person stays logged in over a restart, and the page comes back by itself."""
    page = session("lead")
    processes = json.loads((demonstration.folder / "processes.json").read_text())
    subprocess.run(["/bin/kill", "-9", str(processes["web"])], check=True)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            answer = page.request.get("/studies/")
        except Error:  # refused while it starts
            time.sleep(0.3)
            continue
        assert answer.status == 200
        assert "Log in" not in answer.text()
        expect(page.get_by_text("Live")).to_be_visible(timeout=60_000)  # the socket is back, too
        session.faults.clear()  # the console rightly complained while the server was away
        return
    pytest.fail("the web process did not come back")
