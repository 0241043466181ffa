"""Applications; check characters of unified social credit codes against codes of companies that everybody can look up."""

from typing import Any

import pytest
from hefu.domain.identity import Application, Standing, StandingNotice, may_issue, uscc_check_character
from pydantic import ValidationError

# Public registrations, as company websites, annual reports and gsxt.gov.cn show them.
PUBLISHED = {
    "914403001922038216": "华为技术有限公司 Huawei",
    "91440300708461136T": "深圳市腾讯计算机系统有限公司 Tencent",
    "91110000802100433B": "百度在线网络技术（北京）有限公司 Baidu",
    "91330100799655058B": "阿里巴巴（中国）有限公司 Alibaba",
    "91110108551385082Q": "小米科技有限责任公司 Xiaomi",
    "91440300192317458F": "比亚迪股份有限公司 BYD",
    "91100000100003962T": "中国工商银行 ICBC",
    "911100001000044477": "中国建设银行 CCB",
    "911000001000013428": "中国银行 Bank of China",
}
CODES = list(PUBLISHED)


@pytest.mark.parametrize("code", CODES)
def test_published_codes(code: str) -> None:
    assert uscc_check_character(code[:17]) == code[17]


@pytest.mark.parametrize("code", CODES)
def test_a_wrong_character_anywhere_is_caught(world: Any, code: str) -> None:
    """The weights are prime to 31: a single wrong character never passes."""
    value = world.applications["bank"].model_dump(mode="json")
    assert Application.model_validate({**value, "uscc": code}).uscc == code
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    for place in range(18):
        for other in alphabet.replace(code[place], ""):
            wrong = code[:place] + other + code[place + 1 :]
            assert uscc_check_character(wrong[:17]) != wrong[17], wrong


@pytest.mark.parametrize(
    "code",
    ["", "91440300192203821", "9144030019220382166", "91440300192203821I", "９" * 18, "91440300708461136t"],
)
def test_codes_that_are_none(world: Any, code: str) -> None:
    value = world.applications["bank"].model_dump(mode="json")
    with pytest.raises(ValidationError, match="uscc"):
        Application.model_validate({**value, "uscc": code})


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("url", "http://127.0.0.1:9000"),
        ("url", "https://user@host:9000"),
        ("url", "https://host:9000/path"),
        ("channel_host", "host/../x"),
        ("channel_port", 0),
        ("channel_port", 65536),
        ("org_id", "../x"),
        ("org_id", "Bank"),
        ("roles", []),
        ("applied_at", "2026-01-01T00:00:00"),
        ("keys", {"identity": "short", "sealing": "short", "tls_spki": "short"}),
    ],
)
def test_fields_that_are_wrong(world: Any, field: str, wrong: Any) -> None:
    value = world.applications["bank"].model_dump(mode="json")
    with pytest.raises(ValidationError, match=field):
        Application.model_validate({**value, field: wrong})


def test_the_digest_covers_every_key(world: Any) -> None:
    application = world.applications["bank"]
    other = world.stranger
    from hefu.keys.public import public_b64

    swapped = application.keys.model_copy(update={"sealing": public_b64(other.sealing)})
    assert application.model_copy(update={"keys": swapped}).digest != application.digest


def test_nobody_applies_under_the_coordinators_name(world: Any) -> None:
    """Its key would else pass for the coordinator's, at the door and in the ledger."""
    value = world.applications["bank"].model_dump(mode="json")
    with pytest.raises(ValidationError, match="org_id"):
        Application.model_validate({**value, "org_id": "coordinator"})


def test_a_key_has_one_spelling(world: Any) -> None:
    """Base64 leaves two bits open at the end of 32 bytes: a key in another spelling would pass for another key."""
    value = world.applications["bank"].model_dump(mode="json")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    key = value["keys"]["identity"]
    other = key[:-2] + alphabet[alphabet.index(key[-2]) + 1] + "="
    with pytest.raises(ValidationError, match="identity"):
        Application.model_validate({**value, "keys": {**value["keys"], "identity": other}})


def notice(issued_by: str, standing: str, sequence: int = 1) -> StandingNotice:
    return StandingNotice.model_validate(
        {
            "org_id": "bank",
            "standing": standing,
            "reason": "",
            "issued_by": issued_by,
            "issued_at": "2026-03-02T00:00:00Z",
            "sequence": sequence,
        }
    )


@pytest.mark.parametrize("current", list(Standing))
@pytest.mark.parametrize("new", list(Standing))
def test_nobody_betters_his_own_standing(current: Standing, new: Standing) -> None:
    """Neither from suspended to active nor from revoked to merely suspended."""
    grades = list(Standing)
    for issuer, may in (
        ("operator", True),
        ("auditor", True),
        ("exchange", False),
        ("bank", new is not Standing.ACTIVE and grades.index(new) >= grades.index(current)),
    ):
        said = may_issue(notice(issuer, new), current, operator="operator", auditors={"auditor"})
        assert said is may, (issuer, current, new)


def test_a_number_that_no_later_notice_could_pass() -> None:
    with pytest.raises(ValidationError, match="sequence"):
        notice("bank", "suspended", 2**31)
