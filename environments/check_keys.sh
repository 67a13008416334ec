#!/usr/bin/env bash
# Rejects a tfvars file that has an unknown key in an object variable. Terraform ignores such a key without a warning.
# Argument: the file.
#
# Compares the values of the file before and after Terraform converts them to the types in variables.tf. In a temporary
# configuration, the root module has variables of type any: they keep all keys. They are passed to the module "typed", which
# has the variables of variables.tf: the conversion removes unknown keys. A key that is only in the root module is unknown.
#
# If a value cannot be converted to its type, the script reports nothing: terraform plan then fails with its own message.
set -euo pipefail

file="$PWD/$1"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

# Lines of the form `name = var.name`, for all variables of the module.
names="$(sed -nE 's/^variable "(.*)" \{$/\1/p' variables.tf)"
assignments="$(sed 's/.*/& = var.&/' <<< "$names")"

# The module "typed": all variables without their validations, and an output with their values.
mkdir "$scratch/typed"
{
	sed '/^  validation {$/,/^  }$/d' variables.tf
	printf 'output "values" {\n value = {\n%s\n }\n}\n' "$assignments"
} > "$scratch/typed/main.tf"

# The root module.
{
	for name in $names; do
		printf 'variable "%s" {\n type = any\n default = null\n}\n' "$name"
	done
	printf 'module "typed" {\n source = "./typed"\n%s\n}\n' "$assignments"
	printf 'locals {\n given = {\n%s\n }\n}\n' "$assignments"
	cat << 'HCL'
# Objects in three levels: a variable, such as table; a value in it, such as table.sort_key; and a value in that.
# try() skips values without keys, such as strings and null.
locals {
  level_1 = [for key, given in local.given : { path = key, given = given, typed = module.typed.values[key] }]
  level_2 = flatten([for each in local.level_1 : try([
    for key, given in each.given : { path = "${each.path}.${key}", given = given, typed = each.typed[key] } if can(each.typed[key])
  ], [])])
  level_3 = flatten([for each in local.level_2 : try([
    for key, given in each.given : { path = "${each.path}.${key}", given = given, typed = each.typed[key] } if can(each.typed[key])
  ], [])])
  unknown = flatten([for each in concat(local.level_1, local.level_2, local.level_3) : [
    for key in try(setsubtract(keys(each.given), keys(each.typed)), []) :
    "${each.path}.${key}: it must be one of ${join(", ", keys(each.typed))}"
  ]])
}
HCL
} > "$scratch/main.tf"

# Without the data directory of the deployment, and without Terraform's request for its newest version.
unset TF_DATA_DIR
export CHECKPOINT_DISABLE=1

# `terraform console` prints local.unknown as a list, with one quoted string per line.
printed="$(
	terraform -chdir="$scratch" get > /dev/null 2>&1 &&
		terraform -chdir="$scratch" console -var-file="$file" <<< local.unknown 2> /dev/null
)" || true
unknown="$(
	sed -nE 's/^  "(.*)",$/key \1/p' <<< "$printed"
	# Terraform warns of an unknown variable, in a frame with colors and line breaks.
	sed -E $'s/\e\\[[0-9;]*m//g; s/│//' <<< "$printed" | tr -s '\n ' ' ' | { grep -oE 'declare a variable named "[^"]+"' || true; } |
		sed -E 's/.*"(.+)"/variable \1: variables.tf has all variables/'
)"

if [ -n "$unknown" ]; then
	sed "s|^|$1 has the unknown |" <<< "$unknown" >&2
	exit 1
fi
