"""Terms of use that stay attached to a released result 用途、范围、期限 (K7; white paper A, 3.7)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import date, timedelta

from hefu.domain.rules.say import block
from hefu.domain.terms import UseTerms
from hefu.domain.verdict import Finding, Verdict, judge


def check_use(terms: UseTerms | None, released_on: date, today: date, address: str | None) -> Verdict:
    """Whether a released result may be used today from this address; no terms bind nothing beyond the contract's purpose."""
    return judge("use", _findings(terms, released_on, today, address))


def _findings(
    terms: UseTerms | None, released_on: date, today: date, address: str | None
) -> Iterable[Finding]:
    if terms is None:
        return
    if terms.valid_days is not None:
        last = released_on + timedelta(days=terms.valid_days)
        if not released_on <= today <= last:
            yield block(
                "use_after_term",
                "K7",
                "已超过结果的使用期限",
                "the result's time limit has passed",
                seen=today.isoformat(),
                expected=f"{released_on.isoformat()} .. {last.isoformat()}",
                mend_zh="停止使用并删除结果；如仍需要，请重新发起作业",
                mend_en="stop using it and delete it; run a new job where it is still needed",
                source="WP-A 3.7",
                law=("pipl-19", "pipl-23"),
            )
    if terms.addresses and not _inside(terms.addresses, address):
        yield block(
            "use_outside_range",
            "K7",
            "使用地址不在合约约定的地址范围内",
            "the address is outside the range that the contract allows",
            seen=address or "unknown",
            expected=", ".join(terms.addresses),
            mend_zh="从约定的地址范围内使用结果",
            mend_en="use the result from an address inside the range",
            source="WP-A 3.7",
            law=("pipl-23", "pipl-51"),
        )


def _inside(ranges: tuple[str, ...], address: str | None) -> bool:
    """False for an unknown address; an IPv4 address mapped into IPv6 counts as IPv4; a range that cannot be read holds nothing."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    for text in ranges:
        try:
            if found in ipaddress.ip_network(text, strict=False):
                return True
        except ValueError:
            continue
    return False
