"""The contract document: reads back as written, hangs together, and says which clause is at fault."""

from typing import Any

import pytest
import rfc8785
from hefu.domain.contract import Contract
from hefu.domain.errors import DocumentInvalid
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_SETTINGS = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def clause(value: dict[str, Any]) -> str:
    """The clause at fault, then the reason."""
    with pytest.raises(DocumentInvalid) as caught:
        Contract.from_bytes(rfc8785.dumps(value))
    return f"{caught.value.clause} {caught.value.reason}"


@_SETTINGS
@given(
    uses=st.integers(1, 1_000_000),
    title=st.text(st.characters(codec="utf-8"), min_size=1, max_size=200),
    cutoff=st.integers(0, 10_080),
    mandate=st.none()
    | st.just(
        {
            "document_number": "〔2026〕1号",
            "file_digest": "0" * 64,
            "authority": "regulator",
            "supervised": ("institution",),
        }
    ),
)
def test_round_trip(world: Any, uses: int, title: str, cutoff: int, mandate: Any) -> None:
    contract = world.contract(
        limits={"max_uses": uses}, title=title, schedule={"cutoff_minutes": cutoff}, mandate=mandate
    )
    again = Contract.from_bytes(contract.to_bytes())
    assert (again, again.digest) == (contract, contract.digest)


@_SETTINGS
@given(st.data())
def test_one_changed_byte(world: Any, data: st.DataObject) -> None:
    """It is no contract any more, or one of another digest, on which no signature of the first verifies."""
    contract = world.contract()
    raw = contract.to_bytes()
    place = data.draw(st.integers(0, len(raw) - 1))
    altered = raw[:place] + bytes([raw[place] ^ data.draw(st.integers(1, 255))]) + raw[place + 1 :]
    try:
        found = Contract.from_bytes(altered)
    except DocumentInvalid:
        return
    assert found.digest != contract.digest


@pytest.mark.parametrize(
    ("path", "wrong", "named"),
    [
        (("limits", "max_uses"), 0, "limits.max_uses"),
        (("limits", "max_uses"), 1_000_001, "limits.max_uses"),
        (("limits", "max_rows"), 0, "limits.max_rows"),
        (("limits", "valid_until"), "2027-01-01T00:00:00", "limits.valid_until"),
        (("limits", "checkpoint_max_age_seconds"), 5, "limits.checkpoint_max_age_seconds"),
        (("schedule", "run_days"), "sometimes", "schedule.run_days"),
        (("schedule", "time_zone"), "UTC", "schedule.time_zone"),
        (("schedule", "window_minutes"), 721, "schedule.window_minutes"),
        (("contract_id",), "lower-case", "contract_id"),
        (("version",), 0, "version"),
        (("template",), "another", "template"),
        (("computation", "technique"), "trust_me", "computation.technique"),
        (("computation", "compute_parties"), ["operator", "bank"], "computation.compute_parties"),
        (("computation", "steps"), [], "computation.steps"),
        (("parties", 0, "identity_key"), "AAAA", "parties.0.identity_key"),
        (("parties", 2, "channel_port"), 0, "parties.2.channel_port"),
        (("parties", 1, "tls_spki"), "x" * 64, "parties.1.tls_spki"),
        (("platform", "coordinator_key"), "", "platform.coordinator_key"),
        (("data_sets", 1, "schema_digest"), "", "data_sets.1.schema_digest"),
        (("data_sets", 0, "fields"), [], "data_sets.0.fields"),
        (("data_sets", 0, "fields", 0, "grade"), "C9", "data_sets.0.fields.0.grade"),
        (("data_sets", 0, "legal_basis"), "because", "data_sets.0.legal_basis"),
        (("outputs", 0, "no_reidentification"), False, "outputs.0.no_reidentification"),
        (("outputs", 0, "min_group_size"), 0, "outputs.0.min_group_size"),
        (("retention_days",), 0, "retention_days"),
        (("duties", "record_reply_hours"), 721, "duties.record_reply_hours"),
        (("signing_deadline",), "tomorrow", "signing_deadline"),
        (("previous",), "zz", "previous"),
        (("surprise",), 1, "surprise"),
        (("limits", "surprise"), 1, "limits.surprise"),
    ],
    ids=str,
)
def test_an_error_names_its_clause(world: Any, path: tuple[Any, ...], wrong: Any, named: str) -> None:
    value = world.contract().model_dump(mode="json")
    place = value
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = wrong
    assert clause(value).startswith(f"{named} ")


class TestHangsTogether:
    def value(self, world: Any) -> dict[str, Any]:
        return dict(world.contract().model_dump(mode="json"))

    def test_an_organisation_twice(self, world: Any) -> None:
        value = self.value(world)
        value["parties"].append(value["parties"][0])
        assert "parties: an organisation stands twice" in clause(value)

    @pytest.mark.parametrize(
        ("named", "path"),
        [
            ("platform.operator", ("platform", "operator")),
            ("data_sets.owner", ("data_sets", 0, "owner")),
            ("computation.compute_parties", ("computation", "compute_parties", 2)),
            ("outputs.recipient", ("outputs", 0, "recipient")),
            ("outputs.reviewers", ("outputs", 0, "reviewers", 0)),
            ("duties", ("duties", "incident_contact")),
        ],
    )
    def test_whoever_is_named_is_a_party(self, world: Any, named: str, path: tuple[Any, ...]) -> None:
        value = self.value(world)
        place: Any = value
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = "mallory"
        assert f"{named}: mallory is not a party" in clause(value)

    def test_three_different_compute_parties(self, world: Any) -> None:
        value = self.value(world)
        value["computation"]["compute_parties"] = ["operator", "bank", "operator"]
        assert "three different organisations" in clause(value)

    def test_validity_the_wrong_way_round(self, world: Any) -> None:
        value = self.value(world)
        limits = value["limits"]
        limits["valid_from"], limits["valid_until"] = limits["valid_until"], limits["valid_from"]
        assert "limits.valid_until" in clause(value)

    def test_versions_and_predecessors(self, world: Any) -> None:
        for version, previous in ((1, "0" * 64), (2, None)):
            value = {**self.value(world), "version": version, "previous": previous}
            assert "previous: version 1 has none" in clause(value)

    def test_a_data_set_twice(self, world: Any) -> None:
        value = self.value(world)
        value["data_sets"][1]["data_set_id"] = value["data_sets"][0]["data_set_id"]
        assert "data_sets: a data set stands twice" in clause(value)

    def test_who_is_who(self, world: Any) -> None:
        contract = world.contract()
        assert contract.owners() == ("institution", "bank")
        assert contract.recipients() == ("regulator",)
        with pytest.raises(KeyError):
            contract.party("mallory")
