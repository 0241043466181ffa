"""A node's own data: who is kept out of a job, what its quality is, what lies encrypted, and what is left after shredding."""

import base64
import io
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hefu.components.reconcile import ReconcileParameters
from hefu.domain.dataset import DataSet, LegalBasis
from hefu.domain.rules.data_quality import QualityFigures, judge_quality
from hefu.domain.rules.exclusion import KINDS, binding_kinds, judge_exclusions
from hefu.domain.terms import FieldRange, QualityRules
from hefu.domain.verdict import Severity
from hefu.keys.at_rest import CHUNK_BYTES, EncryptingWriter, open_decrypted
from hefu.keys.errors import FileSealInvalid
from hefu.node import arrivals, exclusions, retention, source_checks, storage_keys
from hefu.node.refusals import Refusal
from hefu.node.sources import canonical
from hefu.node.sources.canonical import prepare_rows
from hefu.node.sources.quality import Measure
from hefu.node.sources.subjects import Exclusions, subject_token
from hefu.store.base import now
from hefu.store.node_keeping import ExcludedSubjectRow, StoredKeyRow
from hefu.store.node_tables import ArrivalRow, DataSetRow, FilingRow, JobRow, JournalRow
from sqlmodel import select

KEY = b"k" * 32
DAY = date(2026, 3, 2)
PEOPLE = ("110101199003074733", "11010119900307475X", "440301198001010011")
PARAMETERS = ReconcileParameters(match_keys=("serial",))


def field(name: str, kind: str) -> dict[str, str]:
    common = {"identifier_class": "none", "sensitive": "none", "grade": "C2"}
    return {"name": name, "type": kind, "meaning_zh": name, "meaning_en": name, **common}


DATA_SET = DataSet.model_validate(
    {
        "data_set_id": "flows",
        "owner": "bank",
        "name": "flows",
        "kind": "fund_flows",
        "fields": [
            field("serial", "text"),
            field("amount", "money"),
            field("occurred_at", "datetime"),
            field("party_id", "text"),
        ],
        "date_field": "occurred_at",
        "source_kind": "direct",
        "legal_basis": "consent",
    }
)
CSV = "serial,amount,occurred_at,party_id\n" + "".join(
    f"S{n},{n}.00,2026-03-02T09:00:00,{PEOPLE[n % 3]}\n" for n in range(1, 10)
)


def prepare(path: Path, excluded: Exclusions | None = None, measure: Measure | None = None) -> Any:
    return prepare_rows(
        path,
        DATA_SET,
        PARAMETERS,
        owner="bank",
        side="bank",
        batch=1,
        institutions=["institution"],
        business_date=DAY,
        exclusions=excluded,
        measure=measure,
    )


def excluding(*people: str) -> Exclusions:
    return Exclusions("party_id", KEY, frozenset(subject_token(KEY, p) for p in people))


class TestExclusion:
    def test_a_subjects_rows_do_not_come_in(self, tmp_path: Path) -> None:
        path = tmp_path / "f.csv"
        path.write_text(CSV)
        assert len(prepare(path).rows) == 9
        prepared = prepare(path, excluding(PEOPLE[0]))
        assert prepared.rows.row.tolist() == [1, 2, 4, 5, 7, 8]
        assert (prepared.excluded_rows, len(prepared.excluded), prepared.totals.rejected) == (3, 1, 0)
        assert (
            PEOPLE[1].encode() not in prepared.rows.key_data.tobytes()
        )  # read for exclusion, and for nothing else

    def test_however_it_is_written(self, tmp_path: Path) -> None:
        path = tmp_path / "f.csv"
        path.write_text(CSV.replace("11010119900307475X", " 110101-19900307-475x "))
        assert prepare(path, excluding(PEOPLE[1])).excluded_rows == 3

    def test_without_the_guard_they_would_come_in(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "f.csv"
        path.write_text(CSV)
        monkeypatch.setattr(canonical, "leave_out", lambda *_: (0, frozenset()))
        assert len(prepare(path, excluding(PEOPLE[0])).rows) == 9

    def test_another_nodes_key_finds_nobody(self, tmp_path: Path) -> None:
        path = tmp_path / "f.csv"
        path.write_text(CSV)
        assert len(prepare(path, replace(excluding(PEOPLE[0]), key=b"o" * 32)).rows) == 9

    def test_a_million_rows(self, tmp_path: Path) -> None:
        path = tmp_path / "f.csv"
        with path.open("w") as out:
            out.write("serial,amount,occurred_at,party_id\n")
            out.writelines(f"S{n},1.00,2026-03-02T09:00:00,{10**17 + n}\n" for n in range(1_000_000))
        started = time.monotonic()
        plain = prepare(path)
        between = time.monotonic()
        prepared = prepare(path, excluding(*(str(10**17 + n) for n in range(0, 1_000_000, 100))))
        done = time.monotonic()
        print(
            f"10^6 rows, 10^6 subjects: {between - started:.2f} s; excluding 10^4 of them {done - between:.2f} s"
        )
        assert (len(plain.rows), len(prepared.rows), prepared.excluded_rows) == (1_000_000, 990_000, 10_000)

    def test_which_entries_bind(self) -> None:
        assert binding_kinds(LegalBasis.CONSENT) == set(KINDS)
        assert binding_kinds(LegalBasis.CONTRACT) == set(KINDS) - {"withdraw"}
        assert binding_kinds(LegalBasis.STATUTORY_DUTY) == set()
        noted = judge_exclusions("bank", LegalBasis.STATUTORY_DUTY, {"withdraw": 2, "refuse": 1}, None)
        assert [(f.rule, f.severity, f.seen) for f in noted] == [
            ("exclusion_not_applicable", Severity.NOTE, "3")
        ]
        assert judge_exclusions("bank", LegalBasis.CONSENT, {"withdraw": 2}, "party_id") == []
        closed = judge_exclusions("bank", LegalBasis.CONSENT, {"withdraw": 2}, None)
        assert [(f.rule, f.severity) for f in closed] == [("subject_field_missing", Severity.BLOCK)]


class TestQuality:
    LIMITS = QualityRules(
        max_null_ppm=0,
        unique_fields=("serial",),
        ranges=(FieldRange(field="amount", minimum=100, maximum=900),),
        max_age_days=1,
        max_volume_drift_ppm=500_000,
    )
    GOOD = QualityFigures(9, {"party_id": 0, "serial": 0}, {"serial": 9}, {"amount": 0}, 1, 10, 9)

    def test_the_counts_are_those_of_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "f.csv"
        path.write_text(CSV + "S9,9.01,2026-03-03T09:00:00,\n")
        seen = prepare(path, measure=Measure(("party_id",), ("serial",), self.LIMITS.ranges)).quality
        assert (seen.rows, seen.nulls["party_id"], seen.distinct, seen.outside, seen.newest) == (
            10,
            1,
            {"serial": 9},
            {"amount": 1},
            date(2026, 3, 3),
        )

    def test_good_figures_pass(self) -> None:
        assert judge_quality("bank", self.LIMITS, self.GOOD) == []

    @pytest.mark.parametrize(
        ("change", "rule", "seen"),
        [
            ({"nulls": {"party_id": 1, "serial": 0}}, "quality_nulls", "party_id: 111111 ppm"),
            ({"distinct": {"serial": 8}}, "quality_unique", "serial: 1"),
            ({"distinct": {}}, "quality_unique", "serial: –"),
            ({"outside": {"amount": 2}}, "quality_range", "amount: 2"),
            ({"age_days": 2}, "quality_age", "2 d"),
            ({"age_days": None}, "quality_age", "–"),
            ({"day_rows": 16}, "quality_volume", "16 / 10"),
        ],
    )
    def test_each_limit_makes_it_wait(self, change: dict[str, Any], rule: str, seen: str) -> None:
        found = judge_quality("bank", self.LIMITS, replace(self.GOOD, **change))
        assert [(f.rule, f.severity, f.seen, f.point) for f in found] == [(rule, Severity.WAIT, seen, "K4")]
        assert (
            judge_quality("bank", QualityRules(), replace(self.GOOD, **change)) == []
        )  # no clause, no limit


class TestAtRest:
    @pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
    def test_what_was_written_comes_back(self, tmp_path: Path, size: int) -> None:
        content = np.random.default_rng(size).bytes(size)
        with EncryptingWriter(tmp_path / "f", KEY) as out:
            out.write(content)
        with open_decrypted(tmp_path / "f", KEY) as plain:
            assert plain.read() == content

    @pytest.mark.parametrize("harm", ["key", "flipped", "cut", "extended", "swapped"])
    def test_nothing_else_does(self, tmp_path: Path, harm: str) -> None:
        path = tmp_path / "f"
        with EncryptingWriter(path, KEY) as out:
            out.write(bytes(2 * CHUNK_BYTES + 5))
        raw, chunk = path.read_bytes(), CHUNK_BYTES + 16
        changed = {
            "key": raw,
            "flipped": raw[:99] + bytes([raw[99] ^ 1]) + raw[100:],
            "cut": raw[: 40 + 2 * chunk],
            "extended": raw + b"x",
            "swapped": raw[:40]
            + raw[40 + chunk : 40 + 2 * chunk]
            + raw[40 : 40 + chunk]
            + raw[40 + 2 * chunk :],
        }[harm]
        path.write_bytes(changed)
        with pytest.raises(FileSealInvalid):
            open_decrypted(path, b"o" * 32 if harm == "key" else KEY)


@pytest.fixture
def bank(world: Any, node: Callable[..., Any]) -> Any:
    """The bank's node under a contract whose data rest on consent, with the data set registered."""
    value = world.contract_value()
    clause = next(d for d in value["data_sets"] if d["owner"] == "bank")
    clause |= {"legal_basis": "consent", "subject_field": "party_id", "minimum_retention_days": 60}
    ctx = node("bank", world.contract(data_sets=value["data_sets"]))
    with ctx.session() as session:
        row = session.get_one(DataSetRow, "flows")
        row.definition = DATA_SET.model_dump(mode="json")
        session.add(row)
        session.commit()
    return ctx


def everything_said(ctx: Any) -> str:
    with ctx.session() as session:
        return " ".join(row.envelope.decode("utf-8", "replace") for row in session.exec(select(JournalRow)))


@pytest.mark.server
class TestList:
    def test_a_list_is_kept_as_tokens(self, bank: Any, caplog: pytest.LogCaptureFixture) -> None:
        given = io.BytesIO(("\ufeff" + "\r\n".join([*PEOPLE, PEOPLE[0]])).encode())
        taken = exclusions.add(bank, given, "withdraw", "li", data_set_id="flows")
        assert (taken.entries, taken.read) == (3, 4)
        with bank.session() as session:
            rows = session.exec(select(ExcludedSubjectRow)).all()
        assert {r.token for r in rows} == {subject_token(bank.keys.subjects, p) for p in PEOPLE}
        everything = everything_said(bank) + caplog.text + "".join(r.model_dump_json() for r in rows)
        assert not any(p in everything or base64.b64encode(p.encode()).decode() in everything for p in PEOPLE)
        left = exclusions.lift(bank, PEOPLE[0].lower(), "withdraw", "li", data_set_id="flows")
        assert left.entries == 2

    @pytest.mark.parametrize("bad", [b"", b"A\n\nB\n", b"A\n4.40301E+17\n", b"A\n\xff\xfe\n", b"x" * 5000])
    def test_a_bad_list_changes_nothing(self, bank: Any, bad: bytes) -> None:
        with pytest.raises(Refusal) as refused:
            exclusions.add(bank, io.BytesIO(bad), "withdraw", "li")
        assert refused.value.body["code"] == "list_invalid"
        assert exclusions.counts(bank) == []

    def test_a_job_honours_it(self, bank: Any, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        exclusions.add(bank, io.BytesIO(PEOPLE[0].encode()), "withdraw", "li", data_set_id="flows")
        answer = check_day(bank, world, monkeypatch)
        assert answer["excluded"] == {"rows": 3, "subjects": 1, "not_applicable": 0}
        assert (answer["rows"], answer["verdict"]["passed"]) == (6, True)
        assert PEOPLE[0] not in json.dumps(answer) + everything_said(bank)
        exclusions.add(bank, io.BytesIO(PEOPLE[1].encode()), "opt_out", "li")
        assert check_day(bank, world, monkeypatch, upload=False)["rows"] == 3  # the list grew: prepared anew

    def test_without_the_guard_it_would_not(
        self, bank: Any, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        exclusions.add(bank, io.BytesIO(PEOPLE[0].encode()), "withdraw", "li", data_set_id="flows")
        monkeypatch.setattr(source_checks, "binding_tokens", lambda *_: [])
        assert check_day(bank, world, monkeypatch)["rows"] == 9


def check_day(
    ctx: Any, world: Any, monkeypatch: pytest.MonkeyPatch, *, upload: bool = True
) -> dict[str, Any]:
    """The day's file comes in and a real worker prepares it; the compliance gates are another test's matter."""
    from hefu.domain.contract import read_contract
    from hefu.domain.job import ORDER_TYPE, Order
    from hefu.keys.public import load_public_ed25519, public_b64
    from hefu.node.sessions import Attempts
    from hefu.store.node_tables import ContractRow
    from hefu.store.signed import read_signed

    monkeypatch.setattr(source_checks.gates, "check", lambda *_, **__: [])
    monkeypatch.setattr(source_checks, "_check_schema", lambda *_: [])
    if upload:
        arrivals.receive_file(ctx, "flows", "flows.csv", io.BytesIO(CSV.encode()), "li")
    with ctx.session() as session:
        contract = read_contract(session.exec(select(ContractRow)).one().document)
    envelope = world.order(contract, "check_data", "bank")
    key = load_public_ed25519(public_b64(world.coordinator.identity))
    order = read_signed(envelope, Order, ORDER_TYPE, key)
    return source_checks.check_data(ctx, Attempts(ctx, None), order, contract)  # type: ignore[arg-type]


@pytest.mark.server
class TestShred:
    def test_nothing_lies_in_clear(self, bank: Any, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        check_day(bank, world, monkeypatch)
        files = [p for p in bank.paths.root.rglob("*") if p.is_file()]
        assert {"input.npz"} <= {p.name for p in files}
        assert any(p.parent.name == "flows" for p in files)
        assert not any(b"S1,1.00" in p.read_bytes() or PEOPLE[0].encode() in p.read_bytes() for p in files)

    def test_a_copy_does_not_open_after_shredding(
        self, bank: Any, world: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        check_day(bank, world, monkeypatch)
        with bank.session() as session:
            things = retention.held(bank, session)
            raw = {t.key.what: storage_keys.unwrap(bank, t.key) for t in things}
        with bank.session() as session:
            path = arrivals.file_path(bank, session.exec(select(ArrivalRow)).one())
        shutil.copy(path, tmp_path / "copy.csv")
        digests = retention.shred(bank, things, "request")
        assert not path.exists()
        assert list(bank.paths.work.iterdir()) == []
        with bank.session() as session:
            rows = session.exec(select(StoredKeyRow)).all()
            assert {r.what for r in rows} == {"data_set_file", "job_work"}
            for row in rows:
                assert row.wrapped == b""
                with pytest.raises(FileSealInvalid):
                    storage_keys.unwrap(bank, row)
            assert storage_keys.open_key(bank, session, path) is None
            assert {r.certified for r in rows} == set(digests)
            assert all(session.get(FilingRow, d).kind == "deletion_certificate" for d in digests)
        shutil.copy(tmp_path / "copy.csv", path)  # whoever kept the ciphertext has it back in its place
        assert b"S1,1.00" not in storage_keys_read(bank, path)
        said = everything_said(bank)
        assert not any(base64.b64encode(key).decode() in said or key.hex() in said for key in raw.values())
        assert with_key(tmp_path / "copy.csv", raw["data_set_file"]).startswith(
            b"serial"
        )  # it was the key alone

    def test_the_sweep_keeps_what_is_not_due(
        self, bank: Any, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        check_day(bank, world, monkeypatch)
        monkeypatch.setattr(retention, "business_date", lambda _: DAY + timedelta(days=31))
        assert (
            retention.sweep(bank).deleted.get("data_set_file", 0) == 0
        )  # retention 30 days, statutory minimum 60
        monkeypatch.setattr(retention, "business_date", lambda _: DAY + timedelta(days=61))
        assert retention.sweep(bank).deleted["data_set_file"] == 1

    def test_a_legal_hold_comes_first(self, bank: Any, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        check_day(bank, world, monkeypatch)
        monkeypatch.setattr(retention.rule, "holds", lambda *_: ("a hold",))
        monkeypatch.setattr(retention, "business_date", lambda _: DAY + timedelta(days=9999))
        assert retention.sweep(bank).deleted == {}
        with bank.session() as session:
            assert retention.shred(bank, retention.held(bank, session), "request") == []
        monkeypatch.setattr(retention.rule, "holds", lambda *_: ())  # lifted
        assert retention.sweep(bank).deleted["data_set_file"] == 1

    def test_what_an_unfinished_job_left_goes(
        self, bank: Any, world: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        check_day(bank, world, monkeypatch)
        assert retention.sweep(bank).deleted.get("job_work", 0) == 0
        with bank.session() as session:
            job = session.exec(select(JobRow)).one()
            key = session.exec(select(StoredKeyRow).where(StoredKeyRow.what == "job_work")).one()
            job.updated_at = key.made_at = now() - timedelta(days=retention.LEFTOVER_DAYS + 1)
            session.add_all([job, key])
            session.commit()
        assert retention.sweep(bank).deleted["job_work"] == 1
        assert list(bank.paths.work.iterdir()) == []


def storage_keys_read(ctx: Any, path: Path) -> bytes:
    with ctx.session() as session:
        return storage_keys.read_stored(ctx, session, path)


def with_key(path: Path, key: bytes) -> bytes:
    with open_decrypted(path, key) as plain:
        return plain.read()
