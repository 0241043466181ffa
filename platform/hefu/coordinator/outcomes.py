"""What a stage found, and how several nodes are asked at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from hefu.domain.job import Stage
from hefu.domain.verdict import Finding, Severity, Verdict, judge
from hefu.wire.errors import AcknowledgementInvalid, PeerRefused, PeerUnreachable, WireError

_TRANSIENT = {
    "busy",
    "work_failed",
    "peer_aborted",
    "checkpoint_stale",
    "disk_full",
    "not_prepared",
    "use_not_authorised",
}


@dataclass
class Outcome:
    """What a stage found. `parties` is who acted; `evidence` the nodes' envelopes; `inputs` what the owners committed to."""

    findings: list[Finding] = field(default_factory=list)
    parties: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    inputs: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)

    def verdict(self, stage: Stage) -> Verdict:
        """Passed where every finding is a note."""
        return judge(stage.value, self.findings)


def block(rule: str, zh: str, en: str, **rest: Any) -> Finding:
    """A finding that stops the job."""
    return Finding(rule=rule, severity=Severity.BLOCK, message_zh=zh, message_en=en, **rest)


def wait(rule: str, zh: str, en: str, **rest: Any) -> Finding:
    """A finding that delays the job."""
    return Finding(rule=rule, severity=Severity.WAIT, message_zh=zh, message_en=en, **rest)


def fault(org: str, error: WireError) -> Finding:
    """What went wrong at a node, as a finding that names it."""
    if isinstance(error, PeerUnreachable):
        return wait(
            "node_unreachable",
            f"{org} 的节点无法连接",
            f"the node of {org} cannot be reached",
            party=org,
            seen=error.reason[:200],
            mend_zh=f"请 {org} 启动节点或检查网络，任务将自动重试",
            mend_en=f"let {org} start its node or check the network; the job tries again by itself",
        )
    if isinstance(error, PeerRefused):
        body = error.body
        return Finding(
            rule=error.code,
            severity=Severity.WAIT if error.code in _TRANSIENT or error.status >= 500 else Severity.BLOCK,
            party=org,
            message_zh=str(body.get("message_zh", error.message)),
            message_en=str(body.get("message_en", error.message)),
            expected=str(body.get("limit") or ""),
            mend_zh=str(body.get("mend_zh", "")),
            mend_en=str(body.get("mend_en", "")),
        )
    return block(
        "acknowledgement_invalid",
        f"{org} 的应答签名无效",
        f"the answer of {org} is not validly signed",
        party=org,
    )


def ask_all(
    orgs: Iterable[str], ask: Callable[[str], dict[str, Any]]
) -> tuple[dict[str, dict[str, Any]], list[Finding]]:
    """Ask several nodes at once: replies by organisation, and a finding for each that failed."""
    names = list(orgs)

    def one(org: str) -> dict[str, Any] | WireError:
        try:
            return ask(org)
        except (PeerUnreachable, PeerRefused, AcknowledgementInvalid) as error:
            return error

    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        answers = dict(zip(names, pool.map(one, names), strict=True))
    replies = {org: answer for org, answer in answers.items() if isinstance(answer, dict)}
    return replies, [fault(org, answer) for org, answer in answers.items() if isinstance(answer, WireError)]
