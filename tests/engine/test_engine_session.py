"""Sessions: both ends of a pair agree, nobody else does, and nothing is drawn twice."""

import os

import pytest
from hefu.engine.errors import LabelReused, SessionInvalid
from hefu.engine.session import PartySecret, PublicHello, Session, derive_session, encode, session_id_of
from hypothesis import given
from hypothesis import strategies as st

CONTRACT = bytes(range(32))
GOLDEN = "a88e3af063d3f09fef61f4b827072e448ba1f26d412c6aeb86869bde90982cba"
NAMES = ("bank", "exchange", "operator")


def sessions(job: str = "j", attempt: int = 1, contract: bytes = CONTRACT) -> dict[str, Session]:
    secrets = {name: PartySecret() for name in NAMES}
    hellos = {name: secret.hello() for name, secret in secrets.items()}
    return {name: derive_session(job, attempt, contract, name, secrets[name], hellos) for name in NAMES}


def test_two_parties_draw_the_same_and_the_third_another() -> None:
    made = sessions()
    assert len({s.session_id for s in made.values()}) == 1
    a = made["bank"].key("exchange", 1, "mask")
    assert a == made["exchange"].key("bank", 1, "mask")
    others = [
        made["operator"].key("bank", 1, "mask"),
        made["operator"].key("exchange", 1, "mask"),
        made["bank"].key("exchange", 2, "mask"),
        made["bank"].key("exchange", 1, "permutation"),
    ]
    assert len({a, *others}) == 5
    assert (
        made["bank"].prg("operator", 9, "x").words(4).tolist()
        == made["operator"].prg("bank", 9, "x").words(4).tolist()
    )


def test_a_label_is_given_out_once() -> None:
    made = sessions()["bank"]
    made.key("operator", 1, "mask")
    with pytest.raises(LabelReused):
        made.prg("operator", 1, "mask")


def test_a_retry_shares_nothing_with_the_first_attempt() -> None:
    first, second = sessions(attempt=1), sessions(attempt=2)
    assert first["bank"].session_id != second["bank"].session_id
    assert first["bank"].key("operator", 1, "mask") != second["bank"].key("operator", 1, "mask")


def test_equal_secrets_under_another_job_attempt_or_contract_give_other_keys() -> None:
    raw = [PartySecret().to_bytes() for _ in NAMES]

    def key(job: str, attempt: int, contract: bytes) -> tuple[bytes, bytes]:
        secrets = [PartySecret.from_bytes(r) for r in raw]
        hellos = {name: s.hello() for name, s in zip(NAMES, secrets, strict=True)}
        made = derive_session(job, attempt, contract, "bank", secrets[0], hellos)
        return made.session_id, made.key("operator", 1, "mask")

    base = key("j", 1, CONTRACT)
    assert key("j", 1, CONTRACT) == base
    for other in (key("k", 1, CONTRACT), key("j", 2, CONTRACT), key("j", 1, bytes(32))):
        assert other[0] != base[0]
        assert other[1] != base[1]


def test_session_id_golden() -> None:
    hellos = {name: PublicHello(bytes([i]) * 32, bytes([i + 100]) * 32) for i, name in enumerate(NAMES)}
    assert session_id_of("job-1", 3, CONTRACT, hellos).hex() == GOLDEN


def test_session_id_does_not_depend_on_the_order_of_hellos() -> None:
    hellos = {name: PartySecret().hello() for name in NAMES}
    assert session_id_of("j", 1, CONTRACT, hellos) == session_id_of(
        "j", 1, CONTRACT, dict(reversed(hellos.items()))
    )


def test_a_secret_makes_one_session_and_leaves_once() -> None:
    secret = PartySecret()
    hellos = {"bank": secret.hello(), "operator": PartySecret().hello()}
    derive_session("j", 1, CONTRACT, "bank", secret, hellos)
    with pytest.raises(LabelReused):
        derive_session("j", 1, CONTRACT, "bank", secret, hellos)
    with pytest.raises(LabelReused):
        secret.to_bytes()


def test_our_hello_replaced_by_a_coordinator_is_noticed() -> None:
    secret = PartySecret()
    for hellos in ({"bank": PartySecret().hello()}, {"operator": secret.hello()}, {}):
        with pytest.raises(SessionInvalid):
            derive_session("j", 1, CONTRACT, "bank", secret, hellos)


def test_a_repeated_hello_is_refused() -> None:
    secret, other = PartySecret(), PartySecret().hello()
    reflected = {"bank": secret.hello(), "operator": secret.hello()}
    same_fresh = {"bank": secret.hello(), "operator": PublicHello(other.public_key, secret.hello().fresh)}
    doubled = {"bank": secret.hello(), "operator": other, "exchange": other}
    for hellos in (reflected, same_fresh, doubled):
        with pytest.raises(SessionInvalid):
            derive_session("j", 1, CONTRACT, "bank", secret, hellos)


@pytest.mark.parametrize("point", [bytes(32), b"\1" + bytes(31)])
def test_a_degenerate_public_key_is_refused(point: bytes) -> None:
    secret = PartySecret()
    hellos = {"bank": secret.hello(), "operator": PublicHello(point, os.urandom(32))}
    with pytest.raises(SessionInvalid):
        derive_session("j", 1, CONTRACT, "bank", secret, hellos)


@given(st.binary(max_size=130))
def test_hello_bytes(data: bytes) -> None:
    if len(data) == 64:
        assert PublicHello.from_bytes(data).to_bytes() == data
    else:
        with pytest.raises(SessionInvalid):
            PublicHello.from_bytes(data)
        with pytest.raises(SessionInvalid):
            PartySecret.from_bytes(data)


@given(st.lists(st.binary(max_size=9), max_size=4), st.lists(st.binary(max_size=9), max_size=4))
def test_encode_is_injective(left: list[bytes], right: list[bytes]) -> None:
    assert (encode(*left) == encode(*right)) == (left == right)


def test_a_session_refuses_keys_of_wrong_length_and_strangers() -> None:
    with pytest.raises(SessionInvalid):
        Session(bytes(31), "bank", {})
    with pytest.raises(SessionInvalid):
        Session(bytes(32), "bank", {"operator": bytes(16)})
    with pytest.raises(SessionInvalid):
        Session(bytes(32), "bank", {"bank": bytes(32)})
    with pytest.raises(SessionInvalid):
        Session(bytes(32), "bank", {"operator": bytes(32)}).key("exchange", 1, "mask")
