"""The lock file is current and closed.

Every requirement of pyproject.toml, its extras and the build included, is met by a pin in requirements.lock; every pin has a
SHA-256; no line names a host, a path or an index.
"""

import re
import sys
import tomllib
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
_HOST = re.compile(r"://|^\s*-(?!-hash)|@\s|(?:[a-z0-9-]+\.)+(?:org|com|net|cn|io|dev)\b")


def findings(lock: str, project: dict) -> list[str]:
    """What is wrong, one sentence each; empty when all is well."""
    found = []
    pins: dict[str, list[Version]] = {}
    for entry in lock.replace("\\\n", " ").splitlines():
        if not entry.strip() or entry.lstrip().startswith("#"):
            continue
        if _HOST.search(entry.replace("--hash", "")):
            found.append(f"a host, path or option: {entry.split()[0]}")
            continue
        text, *hashes = entry.split("--hash=")
        requirement = Requirement(text)
        exact = [s for s in requirement.specifier if s.operator == "=="]
        if len(exact) != 1 or "*" in exact[0].version:
            found.append(f"not an exact pin: {requirement.name}")
            continue
        if not hashes or not all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", h) for h in hashes):
            found.append(f"a pin without SHA-256: {requirement.name}")
        pins.setdefault(canonicalize_name(requirement.name), []).append(Version(exact[0].version))
    for text in wanted(project):
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({**default_environment(), "extra": ""}):
            continue
        versions = pins.get(canonicalize_name(requirement.name))
        if versions is None:
            found.append(f"not in the lock: {requirement}")
        elif not all(version in requirement.specifier for version in versions):
            found.append(
                f"the lock has {requirement.name} {', '.join(map(str, versions))}, wanted is {requirement}"
            )
    return found


def wanted(project: dict) -> list[str]:
    """All requirements that the project states."""
    stated = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for extra in project["project"].get("optional-dependencies", {}).values():
        stated += extra
    return stated


def main() -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = findings((ROOT / "requirements.lock").read_text(encoding="utf-8"), project)
    for sentence in found:
        print(f"requirements.lock: {sentence}", file=sys.stderr)
    print(
        "requirements.lock: " + ("run `make lock`" if found else "current"),
        file=sys.stderr if found else sys.stdout,
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
