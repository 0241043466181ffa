"""Chinese names of the terms that findings speak of, in the white papers' and the laws' words."""

from __future__ import annotations

from hefu.domain.contract import LegalStanding
from hefu.domain.dataset import IdentifierClass, SensitiveCategory
from hefu.domain.identity import Role

IDENTIFIER_ZH = {
    IdentifierClass.DIRECT: "直接标识符",
    IdentifierClass.QUASI: "准标识符",
    IdentifierClass.NONE: "非标识符",
}
SENSITIVE_ZH = {
    SensitiveCategory.NONE: "非敏感",
    SensitiveCategory.ETHNICITY: "民族或者种族背景",
    SensitiveCategory.POLITICAL: "政治立场",
    SensitiveCategory.RELIGION: "宗教哲学信仰",
    SensitiveCategory.GENETIC: "基因数据",
    SensitiveCategory.BIOMETRIC: "生物识别数据",
    SensitiveCategory.HEALTH: "医疗健康",
    SensitiveCategory.SPECIFIC_IDENTITY: "特定身份",
    SensitiveCategory.FINANCIAL_ACCOUNT: "金融账户",
    SensitiveCategory.WHEREABOUTS: "行踪轨迹",
    SensitiveCategory.MINOR: "不满十四周岁未成年人",
}
STANDING_ZH = {
    LegalStanding.PI_HANDLER: "个人信息处理者",
    LegalStanding.JOINT_HANDLER: "共同处理者",
    LegalStanding.ENTRUSTED_PARTY: "受托人",
    LegalStanding.THIRD_PARTY: "第三方机构",
    LegalStanding.AUTHORITY: "监管方",
}
ROLE_ZH = {
    Role.DATA_PROVIDER: "数据提供方",
    Role.COMPUTE_PARTY: "计算方",
    Role.SCHEDULER: "调度方",
    Role.ALGORITHM_PROVIDER: "算法提供方",
    Role.PLATFORM_PROVIDER: "平台提供方",
    Role.RESULT_CONSUMER: "结果使用方",
    Role.AUDITOR: "第三方机构",
    Role.REGULATOR: "监管方",
}
SCOPE_ZH = {"security": "安全", "compliance": "合规", "data_quality": "数据质量", "algorithm": "算法"}
PART_ZH = {
    "assessor": "评估人",
    "key_custody": "密钥保管说明",
    "collusion_assumption": "不共谋假设",
    "conditions": "条件",
    "origin": "来源说明",
    "consent_range": "授权同意范围",
}
