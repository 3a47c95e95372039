"""The addresses of the ledger, the report and the panels of what was spent."""

from django.urls import path

from accounting.views import (
    attesting,
    budgets,
    bundles,
    houses,
    issuing,
    journals,
    ledger,
    panels,
    planner,
    raising,
    reports,
    scheduling,
    verifier,
)

STUDY = "studies/<slug:slug>/"
urlpatterns = [
    path("ledger/", ledger.index, name="ledger"),
    path("ledger/cloister_verify.py", verifier.download, name="verifier"),
    path("ledger/bundle.json", bundles.whole, name="ledger-bundle"),
    path("verify-ledger/", ledger.check, name="ledger-verify"),
    path("planner/", planner.panel, name="planner"),
    path("ledger/<slug:slug>/", ledger.study, name="ledger-study"),
    path("journals/", journals.index, name="journals"),
    path("journals/<int:number>/explain/", journals.explain, name="journal-explain"),
    path("lifetime-budgets/<int:number>/lower/", budgets.lower, name="budget-lower"),
    path("lifetime-budgets/<int:number>/raise/", raising.propose, name="budget-raise"),
    path("raises/<int:number>/", raising.decide, name="raise-decide"),
    path(STUDY + "attest/", attesting.attest, name="study-attest"),
    path(STUDY + "ledger.json", ledger.export, name="ledger-json"),
    path(STUDY + "bundle.json", bundles.study, name="study-bundle"),
    path(STUDY + "report/", reports.page, name="report"),
    path(STUDY + "report.json", reports.as_file, {"form": "json"}, name="report-json"),
    path(STUDY + "report.csv", reports.as_file, {"form": "csv"}, name="report-csv"),
    path(STUDY + "report.pdf", reports.as_file, {"form": "pdf"}, name="report-pdf"),
    path("reports/", issuing.index, name="reports"),
    path("reports/show/", reports.show, name="report-show"),
    path("reports/show.<str:form>", reports.show_as, name="report-show-file"),
    path("reports/schedule/", scheduling.add, name="report-schedule"),
    path("reports/schedules/<int:number>/end/", scheduling.end, name="report-schedule-end"),
    path("reports/issue/", issuing.issue, name="report-issue"),
    path("reports/schema.json", issuing.published_schema, name="report-schema"),
    path("reports/requests/<int:number>/", issuing.progress, name="report-request"),
    path(
        "reports/requests/<int:number>/panel/", issuing.progress_panel, name="panel-report-request"
    ),
    path("reports/<slug:sha256>/", issuing.page, name="issued-report"),
    path("reports/<slug:sha256>/sign/", issuing.sign, name="report-sign"),
    path("reports/<slug:sha256>/report.<str:form>", issuing.as_file, name="issued-report-file"),
    path("institutions/<slug:slug>/panels/house/", houses.house, name="panel-house"),
    path("panels/verdict/", houses.verdict, name="panel-verdict"),
    path(STUDY + "panels/budget/", panels.budget, name="panel-budget"),
    path(
        STUDY + "institutions/<slug:institution>/panels/lending/",
        panels.lend,
        name="panel-lending",
    ),
]
