"""Results by group: the list and the table; a suppressed group shows no figure."""

from collections.abc import Callable
from typing import Any

import pytest
from hefu.node.console_models import ResultSummary, ResultView, StatisticsLine, StatisticsTable
from hefu_ui.node_api import NodeApi
from streamlit.testing.v1 import AppTest

Open = Callable[..., AppTest]
JOB = "J20260302AAAAAAAA"


def line(label: str, total: str | None, rows: int | None, subjects: int | None) -> StatisticsLine:
    return StatisticsLine(labels=[label], suppressed=rows is None, sum=total, count=rows, subjects=subjects)


@pytest.fixture(autouse=True)
def statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    """The regulator's node holds one result, a statistic."""

    def results(api: Any, contract_id: str | None = None) -> list[ResultSummary]:
        opened: Any = "2026-03-03T00:00:00Z"
        return [
            ResultSummary.model_validate(
                {
                    "job_id": JOB,
                    "contract_id": "HF-STAT-1",
                    "business_date": "2026-03-02",
                    "revision": 1,
                    "stands": True,
                    "received_at": opened,
                    "opened_at": opened,
                    "form": "group_statistics",
                    "groups": 2,
                    "suppressed": 1,
                }
            )
        ]

    def result(api: Any, job_id: str) -> ResultView:
        shown = StatisticsTable(
            fields=["city"],
            columns=["sum", "count", "subjects"],
            value="amount",
            unit="money",
            rows=[line("北京", "675000", 4711, 50), line("<b>广州", None, None, None)],
            total=line("", None, None, None),
        )
        return ResultView(summary=results(api)[0], sides=[], table=shown)

    monkeypatch.setattr(NodeApi, "results", results)
    monkeypatch.setattr(NodeApi, "result", result)


def _html(app: AppTest) -> str:
    return "\n".join(str(element.proto) for element in app.main.children.values()) + "\n".join(
        element.proto.body for element in app.get("html")
    )


def test_the_list_of_results_stands_without_matches(open_page: Open) -> None:
    app = open_page("regulator", "results")
    assert not app.exception
    assert "分组统计" in list(app.dataframe[0].value.columns)


def test_the_table_shows_kept_groups_and_marks_the_suppressed(open_page: Open) -> None:
    app = open_page("regulator", "results", id=JOB)
    assert not app.exception
    page = _html(app)
    for text in ("6,750.00", "4,711", "已抑制", "&lt;b&gt;广州", "总计"):
        assert text in page, text
