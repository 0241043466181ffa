"""Data sets and files: arrivals by day, corrections, rejected rows, and what must not get in."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hefu.keys import at_rest
from hefu.node import datasets, incoming, preferences
from hefu.node.deliveries import tell_pending
from hefu.node.storage_keys import read_stored
from hefu.wire.errors import PeerRefused
from sqlmodel import select

pytestmark = pytest.mark.server

CSV = (
    "serial,amount,occurred_at\n"
    "A1,1.00,2026-03-02T09:00:00\n"
    "A2,2.50,2026-03-02T23:59:59\n"
    "A3,4.00,2026-03-03T00:00:00\n"
    "A4,oops,2026-03-03T10:00:00\n"
)


def field(name: str, kind: str) -> dict[str, str]:
    return {
        "name": name,
        "type": kind,
        "identifier_class": "none",
        "sensitive": "none",
        "grade": "C2",
        "meaning_zh": name,
        "meaning_en": name,
    }


DATA_SET = {
    "data_set_id": "flows",
    "owner": "bank",
    "name": "资金流水",
    "kind": "fund_flows",
    "fields": [field("serial", "text"), field("amount", "money"), field("occurred_at", "datetime")],
    "date_field": "occurred_at",
    "source_kind": "direct",
    "legal_basis": "statutory_duty",
}


@pytest.fixture
def node(make_node: Callable[[str], Any]) -> Any:
    made = make_node("bank")
    made.coordinator.answers[("POST", "/api/data-sets")] = {"schema_digest": "x"}
    made.coordinator.answers[("POST", "/api/deliveries")] = {"jobs": []}
    made.preparer = made.person("preparer")
    answer = made.http.post("/console/data-sets", json=DATA_SET, headers=made.preparer)
    assert answer.status_code == 201, answer.text
    return made


def upload(node: Any, content: str | bytes, name: str = "flows.csv", **more: Any) -> Any:
    data = content.encode() if isinstance(content, str) else content
    headers = more.pop("headers", node.preparer)
    return node.http.post(
        f"/console/data-sets/{more.pop('to', 'flows')}/files", files={"file": (name, data)}, headers=headers
    )


def days(node: Any, first: str = "2026-03-02", last: str = "2026-03-03") -> list[tuple[str, str, int]]:
    answer = node.http.get(f"/console/data-sets/flows/days?from={first}&to={last}", headers=node.preparer)
    return [(a["business_date"], a["state"], a["rows"]) for a in answer.json()]


def stored_text(node: Any, path: Path) -> str:
    with node.ctx.session() as session:
        return read_stored(node.ctx, session, path).decode()


def left_over(node: Any) -> list[Path]:
    return [path for path in node.ctx.paths.data.iterdir() if path.name.startswith("incoming")]


def test_a_file_becomes_one_arrival_per_business_date(node: Any) -> None:
    answer = upload(node, CSV)
    assert answer.status_code == 200, answer.text
    found = [
        (a["business_date"], a["state"], a["rows"], a["rejected"], a["amount_cents"]) for a in answer.json()
    ]
    assert found == [("2026-03-02", "arrived", 2, 0, 350), ("2026-03-03", "arrived", 1, 1, 400)]


def test_the_coordinator_learns_days_and_counts_but_no_amounts_names_or_plain_fingerprint(node: Any) -> None:
    fingerprint = upload(node, CSV, name="geheim.csv").json()[0]["fingerprint"]
    sent = node.coordinator.sent("/api/deliveries")
    assert [(d["business_date"], d["state"], d["rows"], d["rejected"]) for d in sent] == [
        ("2026-03-02", "arrived", 2, 0),
        ("2026-03-03", "arrived", 1, 1),
    ]
    assert set(sent[0]) == {"data_set_id", "business_date", "state", "fingerprint", "rows", "rejected"}
    told = str(node.coordinator.asked)
    assert fingerprint not in told
    assert "geheim" not in told
    assert "350" not in told


def test_evidence_goes_with_the_arrival_and_holds_no_amounts(node: Any) -> None:
    upload(node, CSV)
    arrived = [e for e in node.evidence() if e["kind"] == "data_arrived"]
    assert [e["body"]["business_date"] for e in arrived] == ["2026-03-02", "2026-03-03"]
    assert set(arrived[0]["body"]) == {
        "data_set",
        "business_date",
        "state",
        "file",
        "rows",
        "rejected",
        "replaces",
    }


def test_the_same_file_again_changes_nothing(node: Any) -> None:
    first = upload(node, CSV).json()
    evidence = len(node.evidence())
    assert upload(node, CSV, name="again.csv").json() == first
    assert len(node.evidence()) == evidence
    assert len(node.coordinator.sent("/api/deliveries")) == 2


def test_a_correction_replaces_the_day_and_only_that_day(node: Any) -> None:
    upload(node, CSV)
    upload(node, "serial,amount,occurred_at\nA1,1.01,2026-03-02T09:00:00\n", name="fix.csv")
    assert days(node) == [
        ("2026-03-02", "replaced", 2),
        ("2026-03-02", "arrived", 1),
        ("2026-03-03", "arrived", 1),
    ]
    own = datasets.rows_of_day(node.ctx, "flows", date(2026, 3, 2))
    assert len(own) == 1
    assert "1.01" in stored_text(node, own[0])
    both = datasets.rows_of_day(node.ctx, "flows", date(2026, 3, 2), window_days=1)
    texts = [stored_text(node, p) for p in both]
    assert [("1.01" in t, "A3" in t) for t in texts] == [(True, False), (False, True)]
    assert datasets.rows_of_day(node.ctx, "flows", date(2026, 3, 1), window_days=1) == []


def test_going_back_to_an_earlier_file_is_a_correction_too(node: Any) -> None:
    upload(node, CSV)
    upload(node, CSV.replace("1.00", "9.00"))
    upload(node, CSV)
    assert [line for line in days(node) if line[1] != "replaced"] == [
        ("2026-03-02", "arrived", 2),
        ("2026-03-03", "arrived", 1),
    ]
    assert "1.00" in stored_text(node, datasets.rows_of_day(node.ctx, "flows", date(2026, 3, 2))[0])


def test_days_without_any_file_are_missing_once_they_are_over(node: Any) -> None:
    upload(node, CSV)
    assert days(node, "2026-03-01", "2026-03-02") == [
        ("2026-03-01", "missing", 0),
        ("2026-03-02", "arrived", 2),
    ]
    assert days(node, "2999-01-01", "2999-01-02") == []


def test_an_empty_day_is_told_by_the_files_name(node: Any) -> None:
    answer = upload(node, "serial,amount,occurred_at\n", name="flows-20260305.csv").json()
    assert [(a["business_date"], a["state"], a["rows"]) for a in answer] == [("2026-03-05", "arrived", 0)]


def test_an_unreadable_file_is_rejected_and_the_day_keeps_its_good_file(node: Any) -> None:
    upload(node, CSV)
    bad = upload(node, "wrong,header\n1,2\n", name="flows 2026-03-02.csv").json()
    assert [(a["business_date"], a["state"]) for a in bad] == [("2026-03-02", "rejected")]
    assert "1.00" in stored_text(node, datasets.rows_of_day(node.ctx, "flows", date(2026, 3, 2))[0])
    assert days(node)[1] == ("2026-03-02", "arrived", 2)  # what stands comes last
    assert "rejected" not in [d["state"] for d in node.coordinator.sent("/api/deliveries")]
    reasons = node.http.get(
        f"/console/data-sets/flows/rejects?fingerprint={bad[0]['fingerprint']}", headers=node.preparer
    ).content.decode("utf-8-sig")
    assert "serial" in reasons


def test_rejected_rows_can_be_downloaded_by_row_and_reason_without_values(node: Any) -> None:
    fingerprint = upload(node, CSV).json()[0]["fingerprint"]
    answer = node.http.get(
        f"/console/data-sets/flows/rejects?fingerprint={fingerprint}", headers=node.preparer
    )
    lines = answer.content.decode("utf-8-sig").splitlines()
    assert lines[1].startswith("flows.csv,4,amount,amount_format,")
    assert "oops" not in answer.text


def test_deliveries_wait_while_the_coordinator_is_silent_and_keep_their_order(node: Any) -> None:
    del node.coordinator.answers[("POST", "/api/deliveries")]
    assert upload(node, CSV).status_code == 200
    upload(node, CSV.replace("1.00", "9.00"))
    node.coordinator.asked.clear()
    node.coordinator.answers[("POST", "/api/deliveries")] = {"jobs": []}
    assert tell_pending(node.ctx) == 2  # the replaced ones are nobody's business any more
    assert [d["business_date"] for d in node.coordinator.sent("/api/deliveries")] == [
        "2026-03-02",
        "2026-03-03",
    ]
    assert tell_pending(node.ctx) == 0


def test_a_delivery_that_the_coordinator_refuses_does_not_block_the_next(node: Any) -> None:
    answers = iter([PeerRefused("coordinator", 403, "not_owner", "", {}), {"jobs": []}])

    def answer(_: Any) -> Any:
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    node.coordinator.answers[("POST", "/api/deliveries")] = answer
    upload(node, CSV)
    assert len(node.coordinator.sent("/api/deliveries")) == 2
    assert tell_pending(node.ctx) == 0


def test_files_lie_private_under_names_of_our_own(node: Any) -> None:
    answer = upload(node, CSV, name="../../../etc/cron.d/x.csv").json()
    assert answer[0]["file_name"] == "x.csv"
    stored = datasets.rows_of_day(node.ctx, "flows", date(2026, 3, 2))[0]
    assert stored == node.ctx.paths.data / "flows" / f"{answer[0]['fingerprint']}.csv"
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert stat.S_IMODE(stored.parent.stat().st_mode) == 0o700
    assert left_over(node) == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("=HYPERLINK(1).csv", "_HYPERLINK(1).csv"),
        ("@@SUM.csv", "_SUM.csv"),
        ("..\\..\\boot.csv", "boot.csv"),
        ("a\x00b\x1b[2J.csv", "ab[2J.csv"),
        ("x" * 500 + ".csv", "x" * 116 + ".csv"),
        ("/", "file"),
        ("\u202evsc.exe.csv", "vsc.exe.csv"),
    ],
)
def test_shown_names_are_harmless(name: str, shown: str) -> None:
    assert incoming.display_name(name) == shown


@pytest.mark.parametrize("name", ["flows.exe", "flows", "flows.csv.sh", "..", ""])
def test_other_kinds_of_files_are_refused(node: Any, name: str) -> None:
    answer = upload(node, CSV, name=name or " ")
    assert (answer.status_code, answer.json()["code"]) == (422, "file_kind")
    assert left_over(node) == []


def test_too_large_a_file_is_refused_while_it_streams(node: Any) -> None:
    with node.ctx.session() as session:
        preferences.write(session, "upload", {"max_bytes": 1000})
        session.commit()
    answer = upload(node, CSV + "A9,1.00,2026-03-02T09:00:00\n" * 1000)
    assert (answer.status_code, answer.json()["code"], answer.json()["limit"]) == (
        413,
        "file_too_large",
        "1000",
    )
    assert left_over(node) == []
    assert days(node)[0][1] == "missing"


def test_an_excel_file_that_unpacks_to_too_much_is_refused(node: Any) -> None:
    import zipfile

    with node.ctx.session() as session:
        preferences.write(session, "upload", {"max_bytes": 100_000})
        session.commit()
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 10_000_000)
    assert len(bomb.getvalue()) < 100_000
    answer = upload(node, bomb.getvalue(), name="bomb.xlsx")
    assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")
    assert left_over(node) == []


def test_a_full_disk_is_said_and_leaves_nothing(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(at_rest.os, "fsync", full)
    answer = upload(node, CSV)
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
    assert answer.json()["mend_zh"]
    monkeypatch.undo()
    assert left_over(node) == []
    assert [p for p in node.ctx.paths.data.rglob("*") if p.is_file()] == []
    assert upload(node, CSV).status_code == 200


def test_a_client_that_breaks_off_leaves_nothing(node: Any) -> None:
    headers = {**node.preparer, "content-type": "multipart/form-data; boundary=b"}
    cut = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f.csv"\r\n\r\nserial,amo'
    answer = node.http.post("/console/data-sets/flows/files", content=cut, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "form_invalid")
    assert left_over(node) == []


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("text/plain", b"x"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b""),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--b--\r\n',
        ),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\n" + b"X-Long: " + b"a" * 20_000 + b"\r\n\r\nx\r\n--b--\r\n",
        ),
        ("multipart/form-data; boundary=b", b"--b\r\nA: b\r\n\r\nx\r\n" * 40 + b"--b--\r\n"),
    ],
)
def test_forms_without_the_file_are_refused(node: Any, kind: str, content: bytes) -> None:
    headers = {**node.preparer, "content-type": kind}
    answer = node.http.post("/console/data-sets/flows/files", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "form_invalid")
    assert left_over(node) == []


def test_who_may_not_upload_does_not_get_a_byte_in(node: Any) -> None:
    assert upload(node, CSV, headers={}).status_code == 401
    assert upload(node, CSV, headers=node.person("viewer", "approver", "admin")).status_code == 403
    assert upload(node, CSV, to="unknown").status_code == 404
    assert upload(node, CSV, to="..%2f..%2fx").status_code == 404
    assert left_over(node) == []


@pytest.mark.parametrize(
    ("change", "limit"),
    [
        ({"owner": "institution"}, "owner"),
        ({"data_set_id": "../x"}, "data_set_id"),
        ({"data_set_id": "a" * 65}, "data_set_id"),
        ({"date_field": "nothing"}, "body"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_data_set_that_makes_no_sense_is_refused_by_field(
    node: Any, change: dict[str, Any], limit: str
) -> None:
    answer = node.http.post(
        "/console/data-sets", json={**DATA_SET, "data_set_id": "other", **change}, headers=node.preparer
    )
    assert (answer.status_code, answer.json()["limit"]) == (422, limit)


def test_registration_is_published_without_content_and_again_when_reworded(node: Any) -> None:
    assert [d["definition"]["name"] for d in node.coordinator.sent("/api/data-sets")] == ["资金流水"]
    reworded = {**DATA_SET, "name": "银行资金流水"}
    assert node.http.post("/console/data-sets", json=reworded, headers=node.preparer).status_code == 201
    assert [d["definition"]["name"] for d in node.coordinator.sent("/api/data-sets")] == [
        "资金流水",
        "银行资金流水",
    ]
    view = node.http.get("/console/data-sets", headers=node.preparer).json()
    assert [(v["definition"]["name"], v["files"]) for v in view] == [("银行资金流水", 0)]


def test_arrivals_are_told_in_one_order_even_when_two_files_come_at_once(node: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from hefu.store.node_tables import ArrivalRow

    contents = [CSV.replace("1.00", f"{n}.00") for n in range(6)]
    with ThreadPoolExecutor(3) as pool:
        list(
            pool.map(
                lambda c: datasets.receive_file(node.ctx, "flows", "f.csv", io.BytesIO(c.encode()), "x"),
                contents,
            )
        )
    tell_pending(node.ctx)
    with node.ctx.session() as session:
        rows = session.exec(select(ArrivalRow)).all()
    standing = [r for r in rows if r.state == "arrived"]
    assert sorted(r.business_date.day for r in standing) == [2, 3]
    assert len(rows) == 12
