"""The keys that environments/check_keys.sh rejects. Terraform reads the files."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

# An unknown key in each object of variables.tf, with the required keys of the object.
MISSPELLED = """
welcome_email = {
  from = "a@example.com"
  form = "a@example.com"
  translations = {
    de = { subject = "Willkommen", subjct = "Willkommen" }
  }
}
table = {
  deletion_protecton = false
  partition_key      = { nme = "id" }
  sort_key           = { name = "SK", value = "PROFILE", valeu = "PROFILE" }
}
deleted_users  = { retention_day = 1 }
reconciliation = { schedul = "none" }
alarms         = { trigger-errors = { treshold = 1 } }
lambda = {
  memory     = 256
  vpc_config = { subnet_ids = [], security_group_ids = [], subnets = [] }
}
"""

# Keys of maps, and values without keys.
RIGHT = """
attributes    = ["email"]
welcome_email = null
table = {
  attribute_names = { email = "mail" }
  replica_regions = ["eu-central-1"]
  sort_key        = null
}
tags      = { stage = "dev" }
"""

KEYS_OF_AN_ALARM = "datapoints_to_alarm, enabled, evaluation_periods, period_seconds, threshold, topic_arns"


def check_keys(folder: Path, text: str) -> tuple[int, list[str]]:
    """Return the exit code, and the lines of the output."""
    (folder / "environments").mkdir()
    (folder / "environments" / "dev.tfvars").write_text(text)
    (folder / "variables.tf").symlink_to(ROOT / "variables.tf")
    checked = subprocess.run(
        [ROOT / "environments" / "check_keys.sh", "environments/dev.tfvars"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    return checked.returncode, checked.stdout.splitlines()


REQUIRED = 'user_pool_id = "eu-west-1_AbCdEfGhI"\nstage = "dev"\n'


def test_check_keys_names_an_unknown_key_of_each_object(tmp_path: Path) -> None:
    code, lines = check_keys(tmp_path, REQUIRED + MISSPELLED)
    assert code == 1
    assert len(lines) == (ROOT / "variables.tf").read_text(encoding="utf-8").count("object({")
    begin = "environments/dev.tfvars has the unknown key "
    named = sorted(line.removeprefix(begin).split(":")[0] for line in lines)
    assert named == [
        "alarms.trigger-errors.treshold",
        "deleted_users.retention_day",
        "lambda.memory",
        "lambda.vpc_config.subnets",
        "reconciliation.schedul",
        "table.deletion_protecton",
        "table.partition_key.nme",
        "table.sort_key.valeu",
        "welcome_email.form",
        "welcome_email.translations.de.subjct",
    ]
    assert f"{begin}alarms.trigger-errors.treshold: it must be one of {KEYS_OF_AN_ALARM}" in lines


def test_check_keys_accepts_keys_of_maps_and_other_values(tmp_path: Path) -> None:
    assert check_keys(tmp_path, REQUIRED + RIGHT) == (0, [])


def test_check_keys_names_each_unknown_variable(tmp_path: Path) -> None:
    unknown = {"welcom_email", "an_unknown_variable_whose_name_is_longer_than_a_line_of_the_message_of_terraform"}
    text = "".join(f"{name} = {{ from = 1 }}\n" for name in unknown)
    status, lines = check_keys(tmp_path, text)
    begin, end = "environments/dev.tfvars has the unknown variable ", ": variables.tf has all variables"
    assert (status, set(lines)) == (1, {f"{begin}{name}{end}" for name in unknown})


def test_check_keys_leaves_a_value_of_another_type_to_the_plan(tmp_path: Path) -> None:
    assert check_keys(tmp_path, REQUIRED + "table = { read_capacity = [] }\n") == (0, [])
