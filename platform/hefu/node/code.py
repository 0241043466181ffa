"""The code that a contract names beside the code that is installed here: components, engine, and the engine's version.

The digest covers the version and every source file (`components/registry.py`); a node whose code differs takes no part.
"""

from __future__ import annotations

from hefu.components.registry import ComponentUnknown, code_digest
from hefu.domain.contract import Contract
from hefu.domain.verdict import Finding, Severity
from hefu.engine import ENGINE_VERSION
from hefu.node.context import NodeContext
from hefu.node.refusals import refuse_for


def check_code(ctx: NodeContext, contract: Contract) -> list[Finding]:
    """A finding for each step whose code is not the one that was signed, with both digests and versions."""
    found = []
    for step in contract.computation.steps:
        try:
            installed = code_digest(step.component)
        except ComponentUnknown:
            installed = "-"
        if (installed, ENGINE_VERSION) == (step.code_digest, step.engine_version):
            continue
        found.append(
            Finding(
                rule="code_differs",
                severity=Severity.BLOCK,
                party=ctx.org_id,
                point="K5",
                source="WP-A 3.5",
                seen=f"{installed} (engine {ENGINE_VERSION})",
                expected=f"{step.code_digest} (engine {step.engine_version})",
                message_zh=f"本节点组件 {step.component} 为 {installed}（引擎 {ENGINE_VERSION}），"
                f"合约为 {step.code_digest}（引擎 {step.engine_version}）",
                message_en=f"component {step.component} is {installed} (engine {ENGINE_VERSION}) here, "
                f"the contract names {step.code_digest} (engine {step.engine_version})",
                mend_zh="安装合约指定的版本，或签署新版本",
                mend_en="install the version that the contract names, or sign a new version",
            )
        )
    return found


def require_code(ctx: NodeContext, contract: Contract) -> None:
    """Refuse to compute with other code than the contract names.

    raises  Refusal code_differs with both digests
    """
    for finding in check_code(ctx, contract):
        raise refuse_for(finding, stage="compute")
