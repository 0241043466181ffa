"""docker-compose.yml: valid by the Compose Specification's schema, and as closed as it says.

No container engine is needed. What the file tells containers to run is checked here by form.
"""

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import psycopg
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"
SCHEMA = json.loads(
    (Path(__file__).parent / "compose_schema" / "compose-spec.json").read_text(encoding="utf-8")
)
ORGANISATIONS = ("institution", "bank", "regulator", "operator", "exchange", "auditor")
NODES = {f"node-{name}" for name in ORGANISATIONS}


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def test_file_is_valid(compose):
    jsonschema.Draft7Validator(SCHEMA).validate(compose)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c["services"]["postgres"].update(imagine="postgres"),
        lambda c: c["services"]["prefect"].update(depends_on={"postgres": {"condition": "healthy"}}),
        lambda c: c["services"]["console"]["healthcheck"].update(tests=["CMD", "true"]),
        lambda c: c.update(service={}),
        lambda c: c["secrets"].update(x={"files": "./x"}),
    ],
)
def test_schema_finds_mistakes(compose, spoil):
    spoilt = copy.deepcopy(compose)
    spoil(spoilt)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(SCHEMA).validate(spoilt)


def test_no_key_stands_twice():
    class Strict(yaml.SafeLoader):
        pass

    def mapping(loader, node):
        keys = [loader.construct_object(key) for key, _ in node.value if key.value != "<<"]
        assert len(keys) == len(set(keys)), f"a key twice near line {node.start_mark.line}"
        return yaml.SafeLoader.construct_mapping(loader, node, deep=True)

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    yaml.load(FILE.read_text(encoding="utf-8"), Strict)  # noqa: S506  (a safe loader, stricter)


def test_every_process_has_its_service(compose):
    assert set(compose["services"]) == {"postgres", "prefect", "runner", "coordinator", "console"} | NODES


@pytest.mark.parametrize("name", ["prefect", "runner"])
def test_prefect_is_set_as_everywhere_else(compose, name):
    """What keeps findings out of Prefect's database (hefu_flows.settings) holds in containers too."""
    from hefu_flows.settings import prefect_environment

    of_the_place = {"PREFECT_HOME", "PREFECT_API_URL", "PREFECT_API_AUTH_STRING"}
    of_the_place |= {"PREFECT_SERVER_API_AUTH_STRING", "PREFECT_SERVER_DATABASE_CONNECTION_URL"}
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    given = compose["services"][name]["environment"]
    for key, value in prefect_environment(Path("/"), "", 1, "").items():
        if key not in of_the_place:
            assert given.get(key) == value or f"{key}={value}" in image, key


def test_every_service_is_watched_and_without_privileges(compose):
    for name, service in compose["services"].items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["user"] == "10001:10001", name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        assert (
            service["image"] == "postgres:18" if name == "postgres" else service["image"].startswith("hefu:")
        )


def test_services_wait_for_health_and_never_in_a_circle(compose):
    services = compose["services"]
    waits = {}
    for name, service in services.items():
        needed = service.get("depends_on", {})
        assert all(how == {"condition": "service_healthy"} for how in needed.values()), name
        waits[name] = set(needed)
        assert waits[name] <= set(services), name
    started: set[str] = set()
    while len(started) < len(services):
        ready = {name for name in services if name not in started and waits[name] <= started}
        assert ready, "a circle"
        started |= ready


def test_secrets_come_as_files_only_and_each_is_used(compose):
    assert all(set(secret) == {"file"} for secret in compose["secrets"].values())
    used = [_source(s) for service in compose["services"].values() for s in service.get("secrets", [])]
    assert set(used) == set(compose["secrets"])
    for name, service in compose["services"].items():
        for key, value in service.get("environment", {}).items():
            secret_like = re.search("PASSWORD|TOKEN|SECRET|PASSPHRASE|AUTH|CONNECTION_URL", key)
            assert not secret_like or value.startswith("/run/secrets/"), (name, key)


def test_a_node_sees_its_own_passphrase_folder_and_nothing_else(compose):
    for org in ORGANISATIONS:
        node = compose["services"][f"node-{org}"]
        assert [_source(s) for s in node["secrets"]] == [f"{org}_passphrase"]
        assert node["volumes"] == [f"{org}-data:/var/lib/hefu"]
        assert node["networks"] == ["organisations"]


def test_no_two_services_share_a_volume(compose):
    mounted = [
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if not volume.startswith("./")
    ]
    assert len(mounted) == len(set(mounted))
    assert set(mounted) == set(compose["volumes"])


def test_prefect_is_the_operators_alone(compose):
    reach = {name for name, service in compose["services"].items() if "operator" in service["networks"]}
    assert reach == {"postgres", "prefect", "runner", "coordinator"}
    assert compose["services"]["prefect"]["networks"] == ["operator"]
    assert compose["networks"]["operator"] == {"internal": True}
    assert "ports" not in compose["services"]["prefect"]
    assert "ports" not in compose["services"]["postgres"]


def test_every_organisation_has_a_database_and_its_password(compose):
    postgres = compose["services"]["postgres"]
    databases = postgres["environment"]["HEFU_DATABASES"].split()
    assert set(databases) == {"coordinator", "prefect", *ORGANISATIONS}
    expected = {"postgres_password", *(f"{name}_database_password" for name in databases)}
    assert set(postgres["secrets"]) == expected


def test_image_holds_what_it_runs_and_runs_as_nobody_special():
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    sources = [
        word
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    assert all((ROOT / source).exists() for source in sources)
    kept = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    assert set(sources) == kept
    assert "USER 10001:10001" in lines
    assert all("--require-hashes" in line for line in lines if "requirements" in line and "install" in line)


@pytest.mark.server
def test_database_script_gives_each_its_own(postgres, scratch, monkeypatch):
    """The script as it stands, run by the local psql; only the folder of secrets is put elsewhere."""
    from hefu.local.postgres_programs import find_programs

    secrets = scratch / "compose-secrets"
    secrets.mkdir()
    names = ["compose_one", "compose_two"]
    for name in names:
        (secrets / f"{name}_database_password").write_text(f"it's {name}\\ $x")
    script = (ROOT / "deploy" / "postgres" / "databases.sh").read_text(encoding="utf-8")
    programs = find_programs(prefer_system=False)
    if not (programs / "psql").exists():
        pytest.fail("no psql beside postgres")
    admin = psycopg.conninfo.conninfo_to_dict(postgres.admin_dsn())
    environment = {
        "PATH": f"{programs}:/usr/bin:/bin",
        "HEFU_DATABASES": " ".join(names),
        "POSTGRES_USER": admin["user"],
        "PGPASSWORD": admin["password"],
        "PGHOST": admin["host"],
        "PGPORT": str(admin["port"]),
    }
    moved = script.replace("/run/secrets/", f"{secrets}/")
    done = subprocess.run([shutil.which("sh"), "-c", moved], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in names:
        own = postgres.dsn(name, name, f"it's {name}\\ $x")
        with psycopg.connect(own) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (name,)
        other = next(n for n in names if n != name)
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(postgres.dsn(other, name, f"it's {name}\\ $x"))


def _source(secret):
    return secret if isinstance(secret, str) else secret["source"]


def test_secrets_are_made_once_and_complete(compose, tmp_path):
    script = tmp_path / "make-secrets.sh"
    shutil.copy(ROOT / "deploy" / "make-secrets.sh", script)
    first = subprocess.run([str(script)], capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    made = {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()}
    assert set(compose["secrets"]) - set(made) == {
        "internal_token",
        "coordinator_certificate",
    }  # the coordinator's own
    assert set(made) <= set(compose["secrets"])
    assert len(set(made.values())) == len(made)
    assert all(len(secret) >= 64 for secret in made.values())
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()} == {0o400}
    subprocess.run([str(script)], check=True, capture_output=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()} == made


def test_secrets_are_kept_out_of_the_repository():
    ignored = subprocess.run(
        ["git", "check-ignore", "deploy/secrets/postgres_password"], cwd=ROOT, capture_output=True
    )
    assert ignored.returncode == 0
