"""The standing clauses of a reconciliation contract, in Chinese and English.

White paper A, 3.3 (duties, risk notice) and 4.4 (look-through supervision); PIPL art. 4, 21, 24, 47, 57, 59, 73. Multi-party
computation keeps data from being seen; it does not make personal information anonymous, and no clause says so.
"""

from __future__ import annotations

from hefu.domain.document import text_digest as text_digest

PURPOSE_BOUND = (
    "结果仅用于本合约所述目的下的监管对账、核查与风险预警，不得用于其他目的，不得与其他数据结合以识别特定自然人，"
    "不得向合约以外的任何一方提供。 / The result serves supervisory reconciliation, inquiries and warnings under this contract's "
    "purpose only. It is not used for anything else, not combined with other data to identify a natural person, and not "
    "passed to anyone outside this contract."
)

PURPOSE_CODE = "supervisory_reconciliation"

AUTOMATED_DECISION = (
    "对账状态和预警仅提示人工核查，任何对机构或个人有影响的决定均由有权人员作出，并给予说明和申辩的机会。 / Statuses and warnings only "
    "point people to what they should look at; any decision that affects an organisation or a person is taken by an entitled "
    "person, who hears the other side."
)

LIABILITY = (
    "各方对本方数据来源的合法性、质量和及时报送负责；计算方仅按本合约处理，不得留存、复制或推断他方数据，处理完毕即删除；平台方负责调度与存证，"
    "不接触数据明文与结果。发生个人信息安全事件的一方应立即采取补救措施，并在二十四小时内通知各方及依法报告。因违约造成损失的，由违约方承担责任。 / "
    "Each party answers for the lawful origin, the quality and the timely delivery of its own data. Compute parties process "
    "under this contract only, keep, copy or infer nothing of others' data, and delete it when done. The operator schedules "
    "and records; it sees neither data nor results. A party that has a security incident acts at once, tells all parties "
    "within twenty-four hours, and reports as the law requires. Whoever breaks the contract bears the damage."
)

TERMINATION = (
    "任何一方可书面说明理由暂停或终止本合约，通知到达即生效；法定监管要求下不得拒绝的除外。终止后各方删除为本合约生成的中间数据，"
    "存证和法定应保存的记录按规定期限保存。 / Any party may suspend or terminate this contract, giving its reason; a notice takes effect "
    "where it arrives, unless a statutory mandate forbids it. Afterwards each party deletes what was made for this contract; "
    "evidence and records that the law demands are kept for their term."
)

RISK_NOTICE = (
    "本合约采用三方安全多方计算，在计算方至多一方不诚实窥探且互不合谋的前提下，任何一方只得到合约约定的输出。多方计算是去标识化之外的安全技术措施，"
    "不等于匿名化：参与处理的仍是个人信息，各方仍须履行告知、授权、最小必要、影响评估等义务。各方能看到的附带信息（如各方数据行数、匹配对数）"
    "已在组件说明中列明。参与方若合谋，或提交不实数据，上述保护可能失效。 / This contract uses three-party secure computation. As long as "
    "at most one compute node pries and no two collude, nobody learns more than the outputs agreed here. It is a security "
    "measure besides de-identification and does not anonymise: what is processed remains personal information, and notice, "
    "authorisation, necessity and impact assessment remain due. What is seen besides (numbers of rows, number of "
    "pairs) is listed with the component. Collusion or untrue input can defeat this protection."
)

NECESSITY = {
    "serial": "配对同一笔交易 / to pair the two records of one transaction",
    "type": "按业务类型配对 / to pair by type of business",
    "party_id": "按当事方配对，仅以密钥化标记参与计算 / to pair by party; enters as keyed tokens only",
    "occurred_at": "确定业务日期 / to tell the business date",
    "amount": "比较金额，仅以秘密分享参与计算 / to compare amounts; enters as secret shares only",
    "institution": "确定资金所属机构 / to tell to which institution the funds belong",
}
