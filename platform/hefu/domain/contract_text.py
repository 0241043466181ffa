"""A contract as people read it, in Chinese or English, rendered from the document alone: same document, same text.

White paper A, 3.3, names what a contract between the participants fixes; the sections follow it. The text is a reading
aid: what was signed are the canonical bytes, whose digest stands at the end of the text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from hefu.domain.contract import Contract

Language = Literal["zh", "en"]


class Section(BaseModel):
    """A heading and its paragraphs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    paragraphs: tuple[str, ...]


class ContractText(BaseModel):
    """The whole text, with the digest of the document that it renders."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: Language
    title: str
    digest: str
    sections: tuple[Section, ...]


SIGNATURE_KIND = {
    "zh": (
        "本合约的电子签名是各机构以其 Ed25519 机构密钥对合约规范化文本（RFC 8785 JSON，DSSE 封装）所作的数字签名；公钥由准入申请固定。"
        "签名人的身份由平台准入核验确认，签名未使用依法设立的电子认证服务机构签发的证书，因此本文件不声称其为《电子签名法》第十三条意义上"
        "由第三方认证的可靠电子签名；是否满足该条各项条件由各方约定和个案认定。"
    ),
    "en": (
        "The electronic signatures are Ed25519 signatures by each organisation's key over the contract's canonical bytes "
        "(RFC 8785 JSON in a DSSE envelope); admission to the platform pins the public keys and verified who holds them. No "
        "certificate of a licensed certification authority was used: this file does not claim to carry reliable electronic "
        "signatures certified by a third party under article 13 of the Electronic Signature Law. Whether that article's "
        "conditions are met is for the parties' agreement and the single case."
    ),
}

_ROLES = {
    "data_provider": ("数据提供方", "data provider"),
    "compute_party": ("计算方", "compute party"),
    "scheduler": ("调度方", "scheduler"),
    "platform_provider": ("平台方", "platform provider"),
    "result_consumer": ("结果使用方", "result consumer"),
    "regulator": ("监管方", "regulator"),
    "auditor": ("审计方", "auditor"),
    "algorithm_provider": ("算法提供方", "algorithm provider"),
}
_STANDINGS = {
    "pi_handler": ("个人信息处理者", "personal information handler"),
    "joint_handler": ("共同处理者", "joint handler"),
    "entrusted_party": ("受托人", "entrusted party"),
    "third_party": ("第三方", "third party"),
    "authority": ("监管机关", "authority"),
}
_BASES = {
    "consent": ("个人同意", "consent"),
    "contract": ("订立、履行合同所必需", "needed for a contract"),
    "statutory_duty": ("履行法定职责或者法定义务所必需", "statutory duty"),
    "emergency": ("紧急情况", "emergency"),
    "news_supervision": ("新闻报道、舆论监督", "news reporting"),
    "already_public": ("已公开的个人信息", "already public"),
    "other_law": ("法律、行政法规规定的其他情形", "other law"),
}
_MILESTONES = {
    "initiation": ("立项", "initiation"),
    "midterm_test": ("中期测试", "mid-term test"),
    "acceptance": ("验收", "acceptance"),
    "closing": ("结项", "closing"),
}


def render(contract: Contract, language: Language) -> ContractText:
    """The text in one language."""
    r = _Renderer(contract, language)
    return ContractText(
        language=language,
        title=contract.title if language == "zh" else contract.title_en,
        digest=contract.digest,
        sections=tuple(r.sections()),
    )


class _Renderer:
    def __init__(self, contract: Contract, language: Language) -> None:
        self.c, self.language = contract, language

    def say(self, zh: str, en: str) -> str:
        return zh if self.language == "zh" else en

    def word(self, table: dict[str, tuple[str, str]], value: str) -> str:
        return self.say(*table.get(value, (value, value)))

    def listed(self, items: Sequence[str]) -> str:
        return self.say("、", ", ").join(items) if items else self.say("无", "none")

    def when(self, moment: datetime) -> str:
        return moment.isoformat(timespec="minutes")

    def both(self, text: str) -> str:
        """A clause as it was written: those that hold both languages are split at " / "."""
        zh, found, en = text.partition(" / ")
        return text if not found else self.say(zh, en)

    def sections(self) -> list[Section]:
        say = self.say
        found = [
            (say("一、合约与目的", "1. Contract and purpose"), self._purpose()),
            (say("二、参与方", "2. Parties"), self._parties()),
            (say("三、数据", "3. Data"), self._data()),
            (say("四、计算", "4. Computation"), self._computation()),
            (say("五、结果", "5. Results"), self._outputs()),
            (say("六、使用限制与期限", "6. Limits and term"), self._limits()),
            (say("七、自动化决策与模型", "7. Automated decisions and models"), self._special()),
            (say("八、责任、个人信息主体与终止", "8. Duties, data subjects, termination"), self._duties()),
            (say("九、法定监管", "9. Statutory mandate"), self._mandate()),
            (say("十、风险提示", "10. Risk notice"), [self.both(self.c.risk_notice)]),
            (say("十一、电子签名", "11. Electronic signatures"), [SIGNATURE_KIND[self.language]]),
        ]
        return [Section(title=title, paragraphs=tuple(p for p in text if p)) for title, text in found]

    def _purpose(self) -> list[str]:
        c = self.c
        return [
            self.say(
                f"合约编号 {c.contract_id}，第 {c.version} 版。",
                f"Contract {c.contract_id}, version {c.version}.",
            ),
            self.say(f"前一版本摘要：{c.previous}", f"Digest of the version before: {c.previous}")
            if c.previous
            else "",
            self.say(f"提出方：{c.proposer}", f"Proposer: {c.proposer}") if c.proposer else "",
            self.say(f"目的（{c.purpose_code}）：", f"Purpose ({c.purpose_code}): ") + self.both(c.purpose),
        ]

    def _parties(self) -> list[str]:
        return [
            self.say(
                f"{p.legal_name}（{p.org_id}）：{self.listed([self.word(_ROLES, r.value) for r in p.roles])}；"
                f"法律地位：{self.word(_STANDINGS, p.legal_standing.value)}；签名公钥 {p.identity_key}。",
                f"{p.legal_name_en} ({p.org_id}): {self.listed([self.word(_ROLES, r.value) for r in p.roles])}; "
                f"legal standing: {self.word(_STANDINGS, p.legal_standing.value)}; signing key {p.identity_key}.",
            )
            for p in self.c.parties
        ]

    def _data(self) -> list[str]:
        found = []
        for d in self.c.data_sets:
            note = self.both(d.legal_basis_note)
            found.append(
                self.say(
                    f"数据集 {d.data_set_id}，提供方 {d.owner}；合法性基础：{self.word(_BASES, d.legal_basis.value)}"
                    + (f"（{note}）" if note else "")
                    + f"；结构摘要 {d.schema_digest}；行筛选：{d.row_filter or '无'}。",
                    f"Data set {d.data_set_id} of {d.owner}; legal basis: {self.word(_BASES, d.legal_basis.value)}"
                    + (f" ({note})" if note else "")
                    + f"; schema digest {d.schema_digest}; row filter: {d.row_filter or 'none'}.",
                )
            )
            found.extend(
                f"· {f.name} [{f.type.value}, {f.identifier_class.value}, {f.sensitive.value}, {f.grade.value}] "
                + self.both(f.necessity)
                for f in d.fields
            )
            found.extend(self._as_json(self.say("授权：", "Consent: "), consent) for consent in d.consents)
            if d.quality is not None:
                found.append(self._as_json(self.say("数据质量：", "Data quality: "), d.quality))
            flags = [
                text
                for said, text in (
                    (d.important, self.say("重要数据", "important data")),
                    (
                        d.minors,
                        self.say("不满十四周岁未成年人个人信息", "personal information of minors under 14"),
                    ),
                    (
                        d.events,
                        self.say(
                            "逐日发生数据（各业务日期的数值互不相同）",
                            "events of each business date (other days hold other values)",
                        ),
                    ),
                )
                if said
            ]
            if flags:
                found.append(self.listed(flags))
        return found

    def _computation(self) -> list[str]:
        c = self.c.computation
        found = [
            self.say(
                f"技术路线：三方安全多方计算；计算方（N0、N1、N2）：{self.listed(c.compute_parties)}。",
                f"Technique: three-party secure computation; compute parties (N0, N1, N2): {self.listed(c.compute_parties)}.",
            )
        ]
        for step in c.steps:
            found += [
                self.say(
                    f"步骤 {step.step_id}：组件 {step.component}，代码摘要 {step.code_digest}，引擎版本 {step.engine_version}。",
                    f"Step {step.step_id}: component {step.component}, code digest {step.code_digest}, engine {step.engine_version}.",
                ),
                self.say("参数：", "Parameters: ")
                + json.dumps(step.parameters, ensure_ascii=False, sort_keys=True),
            ]
        return found

    def _outputs(self) -> list[str]:
        found = []
        for o in self.c.outputs:
            columns = self.listed([f"{c.name} ({c.kind})" for c in o.columns])
            reviewers = self.listed(o.reviewers)
            found.append(
                self.say(
                    f"接收方 {o.recipient}；形式 {o.form}；可输出列：{columns}；最小组：{o.min_group_size or 20} 个不同个人信息主体；"
                    f"发布审核方：{reviewers}；不得再识别个人。",
                    f"Recipient {o.recipient}; form {o.form}; columns that may leave: {columns}; smallest group: "
                    f"{o.min_group_size or 20} distinct data subjects; release reviewed by: {reviewers}; no re-identification.",
                )
            )
            for name, value in (
                (self.say("支配规则：", "Dominance rule: "), o.dominance),
                (self.say("使用条件：", "Terms of use: "), o.use_terms),
            ):
                if value is not None:
                    found.append(self._as_json(name, value))
            found.append(self.both(o.purpose_bound))
        return found

    def _limits(self) -> list[str]:
        c, limits = self.c, self.c.limits
        periods = self.listed([f"{p.period} ≤ {p.max_uses}" for p in limits.per_period])
        found = [
            self.say(
                f"使用次数不超过 {limits.max_uses}；按期：{periods}；每次行数不超过 {limits.max_rows}；授权方式：{limits.authorisation}。",
                f"At most {limits.max_uses} uses; per period: {periods}; at most {limits.max_rows} rows a use; "
                f"authorisation: {limits.authorisation}.",
            ),
            self.say(
                f"有效期：{self.when(limits.valid_from)} 至 {self.when(limits.valid_until)}；签署期限：{self.when(c.signing_deadline)}。",
                f"In force from {self.when(limits.valid_from)} to {self.when(limits.valid_until)}; to be signed by {self.when(c.signing_deadline)}.",
            ),
            self.say(f"保存期限：{c.retention_days} 天。", f"Retention: {c.retention_days} days."),
        ]
        if c.schedule is not None:
            s = c.schedule
            found.append(
                self.say(
                    f"调度：{s.cron}（{s.time_zone}，{s.run_days}），自 {s.first_day} 起；时间可在 {s.window_minutes} 分钟内调整而无需重签。",
                    f"Schedule: {s.cron} ({s.time_zone}, {s.run_days}) from {s.first_day}; may move by {s.window_minutes} minutes without a new signature.",
                )
            )
        found += [
            self.say(
                f"里程碑 {self.word(_MILESTONES, m.kind.value)}：{m.due_on} 前，依据 {m.evidence}，由 {self.listed(m.confirmed_by)} 确认。",
                f"Milestone {self.word(_MILESTONES, m.kind.value)}: by {m.due_on}, on {m.evidence}, confirmed by {self.listed(m.confirmed_by)}.",
            )
            for m in c.milestones
        ]
        if c.trial is not None:
            found.append(self._as_json(self.say("试点（验收前）：", "Trial (until acceptance): "), c.trial))
        if c.min_set_difference is not None:
            found.append(
                self.say(
                    f"重复查询：两次输入的主体集合至少相差 {c.min_set_difference}。",
                    f"Repeated queries: the subject sets of two inputs differ by {c.min_set_difference} at least.",
                )
            )
        return found

    def _special(self) -> list[str]:
        c = self.c
        found = [self.both(c.automated_decision)]
        if c.automated is not None:
            found.append(self._as_json(self.say("自动化决策：", "Automated decisions: "), c.automated))
        if c.model_terms is not None:
            found.append(
                self._as_json(self.say("模型归属与许可：", "Model ownership and licence: "), c.model_terms)
            )
        return [p for p in found if p] or [self.say("不涉及。", "Not concerned.")]

    def _duties(self) -> list[str]:
        d = self.c.duties
        found = [
            self.say(
                f"个人信息主体联系：{d.data_subject_contact}；事件联系：{d.incident_contact}；投诉受理：{d.complaints_contact}；"
                f"原始记录请求须在 {d.record_reply_hours} 小时内答复。",
                f"Data subjects turn to {d.data_subject_contact}; incidents: {d.incident_contact}; complaints: {d.complaints_contact}; "
                f"record requests are answered within {d.record_reply_hours} hours.",
            ),
            self.both(d.liability),
            self.both(d.termination),
        ]
        if self.c.data_subjects is not None:
            found.append(
                self._as_json(self.say("个人信息主体权利：", "Data subjects' rights: "), self.c.data_subjects)
            )
        return found

    def _mandate(self) -> list[str]:
        m = self.c.mandate
        if m is None:
            return [self.say("不涉及。", "None.")]
        return [
            self.say(
                f"文号 {m.document_number}，文件摘要（SHA-256）{m.file_digest}；监管方 {m.authority}；被监管方：{self.listed(m.supervised)}。"
                "被监管方不得暂停或终止本合约，其拒绝将被记录并报监管方。",
                f"Document {m.document_number}, digest of its file (SHA-256) {m.file_digest}; authority {m.authority}; under "
                f"supervision: {self.listed(m.supervised)}. They can neither suspend nor end this contract; a refusal is recorded and shown to the authority.",
            )
        ]

    def _as_json(self, name: str, value: BaseModel) -> str:
        said: dict[str, Any] = value.model_dump(mode="json", exclude_none=True)
        return name + json.dumps(said, ensure_ascii=False, sort_keys=True)
