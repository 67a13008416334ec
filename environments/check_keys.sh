#!/usr/bin/env bash
# Rejects a tfvars file with an unknown key in an object variable: Terraform drops such a key and says nothing.
# Argument: the file.
#
# Terraform reads the file in a scratch configuration, where each variable has the type any, and passes the values to a
# module with the types of variables.tf. A key that the module does not get is unknown. If a value does not have the
# type, nothing is compared: the plan fails with Terraform's message.
set -euo pipefail

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
names="$(sed -nE 's/^variable "(.*)" \{$/\1/p' variables.tf)"
values="$(sed 's/.*/& = var.&/' <<< "$names")"

mkdir "$scratch/typed"
{
	sed '/^  validation {$/,/^  }$/d' variables.tf
	printf 'output "values" {\n value = {\n%s\n }\n}\n' "$values"
} > "$scratch/typed/main.tf"
{
	for name in $names; do printf 'variable "%s" {\n type = any\n default = null\n}\n' "$name"; done
	printf 'module "typed" {\n source = "./typed"\n%s\n}\n' "$values"
	printf 'locals {\n given = {\n%s\n }\n}\n' "$values"
	cat << 'HCL'
# A value that has no keys, such as a string or null, is an error in a for expression and of keys().
locals {
  outer = [for key, given in local.given : { path = key, given = given, typed = module.typed.values[key] }]
  middle = flatten([for each in local.outer : try([
    for key, given in each.given : { path = "${each.path}.${key}", given = given, typed = each.typed[key] } if can(each.typed[key])
  ], [])])
  inner = flatten([for each in local.middle : try([
    for key, given in each.given : { path = "${each.path}.${key}", given = given, typed = each.typed[key] } if can(each.typed[key])
  ], [])])
  unknown = flatten([for each in concat(local.outer, local.middle, local.inner) : [
    for key in try(setsubtract(keys(each.given), keys(each.typed)), []) :
    "${each.path}.${key}: it must be one of ${join(", ", keys(each.typed))}"
  ]])
}
HCL
} > "$scratch/main.tf"

unset TF_DATA_DIR
export CHECKPOINT_DISABLE=1
file="$PWD/$1"
unknown="$({
	terraform -chdir="$scratch" get > /dev/null &&
		terraform -chdir="$scratch" console -var-file="$file" <<< local.unknown
} 2> /dev/null | sed -nE 's/^  "(.*)",$/\1/p')" || :
[ -z "$unknown" ] || {
	sed "s|^|$1 has the unknown key |" <<< "$unknown" >&2
	exit 1
}
