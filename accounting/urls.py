"""The addresses of the ledger, the report and the panels of what was spent."""

from django.urls import path

from accounting.views import budgets, bundles, ledger, panels, reports, verifier

STUDY = "studies/<slug:slug>/"
urlpatterns = [
    path("ledger/", ledger.index, name="ledger"),
    path("ledger/cloister_verify.py", verifier.download, name="verifier"),
    path("ledger/bundle.json", bundles.whole, name="ledger-bundle"),
    path("verify-ledger/", ledger.check, name="ledger-verify"),
    path("ledger/<slug:slug>/", ledger.study, name="ledger-study"),
    path("lifetime-budgets/<int:number>/lower/", budgets.lower, name="budget-lower"),
    path(STUDY + "ledger.json", ledger.export, name="ledger-json"),
    path(STUDY + "bundle.json", bundles.study, name="study-bundle"),
    path(STUDY + "report/", reports.page, name="report"),
    path(STUDY + "report.json", reports.as_json, name="report-json"),
    path(STUDY + "report.csv", reports.as_csv, name="report-csv"),
    path(STUDY + "report.pdf", reports.as_pdf, name="report-pdf"),
    path(STUDY + "panels/budget/", panels.budget, name="panel-budget"),
    path(
        STUDY + "institutions/<slug:institution>/panels/lending/",
        panels.lend,
        name="panel-lending",
    ),
]
