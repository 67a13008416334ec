"""The generated parts of the documentation, and what all of it says: links, make targets, commands."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import hcl2
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from typer.core import TyperGroup
from typer.main import get_command

from cognito_user_sync_cli.app import app
from docs import generate

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    path
    for pattern in ("README.md", "SECURITY.md", "cli/README.md", "docs/*.md", "examples/*/README.md")
    for path in sorted(ROOT.glob(pattern))
]
every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())


# --- variables and outputs

VARIABLES = r"""
variable "name" {
  type        = string
  description = "Begins each name: <name>-..., \"*\" or a|b."
  default     = "sync"
  validation {
    condition     = var.name != ""
    error_message = "no"
  }
}
variable "shape" {
  description = <<-EOT
    What it is like,
    and not else.
    - from: from "A" to B
    - text, html: content: any,
      on two lines
    - ids: several
  EOT
  type = object({
    from = string
    text = optional(string)
    html = optional(string, "a|b")
    ids  = optional(set(string), ["x"]) # a comment
  })
  default = {
    from = "a" # a comment
  }
}
variable "rules" {
  type = map(object({
    port = optional(number, 0.5)
    to   = object({ host = string })
  }))
  description = <<EOT
Rules.
- port: TCP
- to: where
EOT
  default     = null
}
variable "names" {
  type        = list(string)
  description = "Names."
  default = [
    "a", # first
    "b",
  ]
}
variable "id" {
  type        = string
  description = "Id."
}
variable "on" {
  type        = bool
  description = "Whether."
  default     = true
}
"""

VARIABLE_TABLES = r"""
| name | type | default | description |
|---|---|---|---|
| `id` | `string` | required | Id. |
| `name` | `string` | `"sync"` | Begins each name: \<name>-..., "\*" or a\|b. |
| [`shape`](#shape) | `object` | `{"from": "a"}` | What it is like, and not else. |
| [`rules`](#rules) | `map(object)` | `null` | Rules. |
| `names` | `list(string)` | `["a", "b"]` | Names. |
| `on` | `bool` | `true` | Whether. |

### `shape`

| key | type | default | meaning |
|---|---|---|---|
| `from` | `string` | required | from "A" to B |
| `text` | `string` | `null` | content: any, on two lines |
| `html` | `string` | `"a\|b"` | content: any, on two lines |
| `ids` | `set(string)` | `["x"]` | several |

### `rules`

| key | type | default | meaning |
|---|---|---|---|
| `port` | `number` | `0.5` | TCP |
| `to` | `object` | required | where |
"""


def test_variables_become_tables_with_required_ones_first_and_the_keys_of_objects_below() -> None:
    assert generate.variables(VARIABLES) == VARIABLE_TABLES.strip()


@pytest.mark.parametrize("listed", ["- a: first", "- a: first\n- b: second\n- c: third", "- a, b, c: all", ""])
def test_an_object_whose_description_does_not_name_its_very_keys_is_refused(listed: str) -> None:
    source = f"""variable "pair" {{
      type        = object({{ a = string, b = string }})
      description = <<-EOT
        A pair.
        {listed.replace(chr(10), chr(10) + " " * 8)}
      EOT
    }}
    """
    with pytest.raises(generate.CannotGenerate, match="variable pair: .* names .*'[abc]'"):
        generate.variables(source)


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ('variable "a" { type = string }', "variable a has no description"),
        ('variable "a" { description = "A." }', "variable a has no type"),
        ('output "b" { value = 1 }', "output b has no description"),
    ],
)
def test_what_is_not_described_is_refused(source: str, missing: str) -> None:
    with pytest.raises(generate.CannotGenerate, match=missing):
        generate.variables(source) if source.startswith("variable") else generate.outputs(source)


def test_outputs_become_a_table() -> None:
    source = 'output "arn" {\n  description = "ARN of <it>."\n  value = { a = var.a }\n}\n'
    assert generate.outputs(source) == "| name | description |\n|---|---|\n| `arn` | ARN of \\<it>. |"


# --- state machines


def diagram(states: dict[str, Any]) -> list[str]:
    return list(generate.diagram({"StartAt": next(iter(states)), "States": states}, ""))


def test_every_way_out_of_a_state_is_drawn() -> None:
    catches = [
        {"ErrorEquals": ["States.Timeout", "TooLate"], "Next": "Late"},
        {"ErrorEquals": ["States.ALL"], "Next": "Broken"},
    ]
    assert diagram(
        {
            "Look": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.count", "NumericGreaterThan": 0, "Next": "Work"}],
                "Default": "Done",
            },
            "Work": {"Type": "Task", "Catch": catches, "Next": "Look"},
            "Late": {"Type": "Pass", "End": True},
            "Broken": {"Type": "Fail"},
            "Done": {"Type": "Succeed"},
        }
    ) == [
        "[*] --> Look",
        "Look --> Work : count > 0",
        "Look --> Done : otherwise",
        "Work --> Look",
        "Work --> Late : after States.Timeout or TooLate",
        "Work --> Broken : after any error",
        "Late --> [*]",
        "Broken --> [*] : fails",
        "Done --> [*]",
    ]


def test_what_is_inside_of_a_map_or_parallel_state_is_drawn_inside_of_it() -> None:
    def inside(state: str) -> dict[str, Any]:
        return {"StartAt": state, "States": {state: {"Type": "Pass", "End": True}}}

    assert diagram(
        {
            "Each": {"Type": "Map", "ItemsPath": "$.all", "ItemProcessor": inside("One"), "Next": "All"},
            "All": {"Type": "Map", "ItemProcessor": inside("Two"), "Next": "Both"},
            "Both": {"Type": "Parallel", "Branches": [inside("Left"), inside("Right")], "End": True},
        }
    ) == [
        "[*] --> Each",
        'state "Each, for each of all" as Each {',
        "    [*] --> One",
        "    One --> [*]",
        "}",
        "Each --> All",
        'state "All, for each of its input" as All {',
        "    [*] --> Two",
        "    Two --> [*]",
        "}",
        "All --> Both",
        'state "Both, in parallel" as Both {',
        "    [*] --> Left",
        "    Left --> [*]",
        "    --",
        "    [*] --> Right",
        "    Right --> [*]",
        "}",
        "Both --> [*]",
    ]


def test_a_name_that_is_no_identifier_in_mermaid_keeps_its_look() -> None:
    assert diagram({"Go on": {"Type": "Pass", "End": True}}) == [
        "[*] --> Go_on",
        'state "Go on" as Go_on',
        "Go_on --> [*]",
    ]


IS_A = {"Variable": "$.x", "StringEquals": "a"}
IS_ONE = {"Variable": "$.y", "NumericEquals": 1}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (IS_A, 'x = "a"'),
        ({"Variable": "$.x", "StringEquals": "${reason}"}, "x = reason"),
        ({"Variable": "$.x", "StringEqualsPath": "$.y.z"}, "x = y.z"),
        ({"Variable": "$.x", "BooleanEquals": True}, "x = true"),
        ({"Variable": "$.x", "NumericLessThan": 3}, "x < 3"),
        ({"Variable": "$.x", "NumericLessThanEquals": 3}, "x ≤ 3"),
        ({"Variable": "$.x", "TimestampGreaterThanEqualsPath": "$.t"}, "x ≥ t"),
        ({"Variable": "$.x[0]", "IsPresent": True}, "x[0] is present"),
        ({"Variable": "$.x", "IsPresent": False}, "x is absent"),
        ({"Variable": "$.x", "StringMatches": "a*"}, 'x StringMatches "a*"'),
        ({"Variable": "$.x", "IsNull": True}, "x IsNull true"),
        ({"Not": IS_A}, 'not x = "a"'),
        ({"And": [IS_A, {"Or": [IS_ONE, {"Not": IS_A}]}]}, 'x = "a" and (y = 1 or not x = "a")'),
        ({"Not": {"And": [IS_A, IS_ONE]}}, 'not (x = "a" and y = 1)'),
    ],
)
def test_a_choice_is_labelled_with_its_condition(rule: dict[str, Any], words: str) -> None:
    assert generate.condition({**rule, "Next": "There"}) == words


def test_a_label_holds_nothing_that_mermaid_takes_for_syntax() -> None:
    assert generate.escaped("a < b; #1") == "a #60; b#59; #35;1"


def test_a_placeholder_outside_of_quotes_stands_for_a_value() -> None:
    template = '{"A": ${number}, "B": "arn:${partition}:\\"${x}\\"", "C": [${list}]}'
    assert generate.parse_asl(template) == {"A": "${number}", "B": 'arn:${partition}:"${x}"', "C": ["${list}"]}


# --- writing and checking

README = """# Title
<!-- variables: written by make docs -->
old
<!-- variables: end -->
by hand
<!-- outputs: written by make docs --><!-- outputs: end -->
the end
"""
ARCHITECTURE = """by hand
<!-- state machines: written by make docs -->
<!-- state machines: end -->
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    machine = {"Comment": "Does it", "StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    for path, text in {
        "README.md": README,
        "docs/architecture.md": ARCHITECTURE,
        "variables.tf": 'variable "a" {\n  type = string\n  description = "A."\n}\n',
        "outputs.tf": 'output "b" {\n  value = 1\n  description = "B."\n}\n',
        **dict.fromkeys(generate.STATE_MACHINES, json.dumps(machine)),
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_generated_parts_are_written_and_the_rest_is_left(repository: Path) -> None:
    assert generate.main([], repository) == 0
    assert (repository / "README.md").read_text(encoding="utf-8") == (
        "# Title\n"
        "<!-- variables: written by make docs -->\n\n"
        "| name | type | default | description |\n|---|---|---|---|\n| `a` | `string` | required | A. |\n\n"
        "<!-- variables: end -->\n"
        "by hand\n"
        "<!-- outputs: written by make docs -->\n\n| name | description |\n|---|---|\n| `b` | B. |\n\n"
        "<!-- outputs: end -->\nthe end\n"
    )
    architecture = (repository / "docs/architecture.md").read_text(encoding="utf-8")
    path = "modules/user_sync/user_sync.asl.json"
    assert (
        f"\n\n### user_sync\n\n[{path}](../{path}): Does it.\n\n"
        "```mermaid\nstateDiagram-v2\n    [*] --> Done\n    Done --> [*]\n```\n\n### reconciliation\n\n"
    ) in architecture
    assert architecture.startswith("by hand\n")


def test_a_check_names_each_stale_file_and_writes_nothing(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"], repository) == 1
    assert capsys.readouterr().err.splitlines() == [
        "README.md is stale; run: make docs",
        "docs/architecture.md is stale; run: make docs",
    ]
    assert (repository / "README.md").read_text(encoding="utf-8") == README
    assert (repository / "docs/architecture.md").read_text(encoding="utf-8") == ARCHITECTURE


def test_a_check_is_content_until_a_source_changes(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generate.main([], repository)
    assert generate.main(["--check"], repository) == 0
    assert capsys.readouterr() == ("", "")
    source = repository / "outputs.tf"
    source.write_text(source.read_text(encoding="utf-8").replace("B.", "Beta."), encoding="utf-8")
    assert generate.main(["--check"], repository) == 1
    assert capsys.readouterr().err == "README.md is stale; run: make docs\n"


def test_a_document_without_a_place_for_a_part_is_named(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "README.md").write_text(README.replace("<!-- outputs: end -->", ""), encoding="utf-8")
    assert generate.main([], repository) == 1
    assert "no place for the outputs" in capsys.readouterr().err
    assert (repository / "docs/architecture.md").read_text(encoding="utf-8") == ARCHITECTURE


# --- what the documents point to


def tokens(text: str) -> Iterator[Token]:
    for block in MarkdownIt("commonmark").enable("table").parse(text):
        yield block
        yield from block.children or []


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives a document's headings."""
    found: set[str] = set()
    blocks = list(tokens(text))
    for heading, inline in pairwise(blocks):
        if heading.type == "heading_open":
            title = "".join(child.content for child in inline.children or [])
            slug = base = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
            number = 0
            while slug in found:
                number += 1
                slug = f"{base}-{number}"
            found.add(slug)
    return found


def broken_links(document: Path) -> list[str]:
    broken = []
    for token in tokens(document.read_text(encoding="utf-8")):
        link = str(token.attrGet("href") or token.attrGet("src") or "")
        if not link or urlsplit(link).scheme:
            continue
        path, _, anchor = unquote(link).partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8"))
        ):
            broken.append(link)
    return broken


@every_document
def test_every_link_points_to_what_is_there(document: Path) -> None:
    assert broken_links(document) == []


def test_index_links_to_every_page() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    linked = {str(token.attrGet("href")) for token in tokens(index)}
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"} <= linked


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# What `it_is`, and why\n## Twice\n## Twice\n", encoding="utf-8")
    links = ["other.md", "other.md#what-it_is-and-why", "other.md#twice-1", "#here", "https://example.com/#x", "."]
    broken = ["gone.md", "other.md#gone", "other.md#twice-2", "#other", "gone.png"]
    text = "# Here\n" + "".join(f"- [to]({link})\n" for link in [*links, *broken[:3]])
    table = f"\n| a |\n|---|\n| [`code`]({broken[3]}) ![image]({broken[4]}) |\n\n`[no](link.md)`\n"
    document = tmp_path / "document.md"
    document.write_text(text + table, encoding="utf-8")
    assert broken_links(document) == broken


# --- what the documents tell people to type


def missing_tests(text: str) -> list[str]:
    """Return the names like `test_...` that no test has."""
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    return [name for name in re.findall(r"`(test_\w+)`", text) if name not in defined]


@every_document
def test_every_test_that_is_named_is_there(document: Path) -> None:
    assert missing_tests(document.read_text(encoding="utf-8")) == []


def test_a_test_that_is_not_there_is_found() -> None:
    text = "`test_no_such_test`, `test_every_link_points_to_what_is_there`"
    assert missing_tests(text) == ["test_no_such_test"]


def calls(text: str, program: str) -> Iterator[list[str]]:
    """The arguments of each call of a program, in the code of a document."""
    for token in tokens(text):
        if token.type == "code_inline" or (token.type == "fence" and token.info in ("sh", "bash", "console")):
            for line in token.content.replace("\\\n", " ").splitlines():
                yield from calls_in_line(line, program)


def calls_in_line(line: str, program: str) -> Iterator[list[str]]:
    if program not in line:
        return
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    for number, word in enumerate(words):
        if word == program:
            after = words[number + 1 :]
            end = next((index for index, each in enumerate(after) if set(each) <= set("();<>|&")), len(after))
            yield after[:end]
        elif substituted := re.search(r"\$\((.*)\)", word):
            yield from calls_in_line(substituted[1], program)


def targets(makefile: str) -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, flags=re.MULTILINE))


def unknown_targets(text: str, makefile: str) -> list[str]:
    known = targets(makefile)
    return [
        word
        for arguments in calls(text, "make")
        for word in arguments
        if not word.startswith("-") and "=" not in word and word not in known
    ]


@every_document
def test_every_make_target_is_in_the_makefile(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert unknown_targets(document.read_text(encoding="utf-8"), makefile) == []


def test_an_unknown_make_target_is_found() -> None:
    text = (
        "`make` and `make plan ENV=dev ARGS='-x y'`, not `make one`, make it\n"
        '```sh\nmake -s plan | make two && eval "$(make -s three)" # make no\n$ make \\\n  four\n```\n'
        "```hcl\nmake five\n```\n"
    )
    assert unknown_targets(text, "six := 1\nplan: x ## make\n") == ["one", "two", "three", "four"]


def misuse(arguments: list[str]) -> str | None:
    """Why the command line would not take these arguments; None if it does, or if there are none."""
    command = get_command(app)
    words = list(arguments)
    given = 0
    while words:
        word = words.pop(0)
        if word.startswith("-"):
            name, equals, _ = word.partition("=")
            known = [*command.params, *get_command(app).params]
            option = next((each for each in known if name in (*each.opts, *each.secondary_opts)), None)
            if name in ("--help", "--install-completion", "--show-completion"):
                return None
            if option is None or option.param_type_name != "option":
                return f"{command.name} has no option {name}"
            if not equals and not getattr(option, "is_flag", False):
                if len(words) < option.nargs:
                    return f"{name} needs a value"
                del words[: option.nargs]
        elif isinstance(command, TyperGroup):
            if word not in command.commands:
                return f"{command.name} has no command {word}"
            command = command.commands[word]
        else:
            given += 1
    if isinstance(command, TyperGroup):
        return None if command.invoke_without_command or not arguments else f"{command.name} needs a command"
    takes = [each for each in command.params if each.param_type_name == "argument"]
    least = sum(max(each.nargs, 1) for each in takes if each.required)
    most = sum(each.nargs for each in takes) if all(each.nargs > 0 for each in takes) else given
    return None if least <= given <= most else f"{command.name} takes {least} to {most} arguments, not {given}"


def undocumented_commands(text: str) -> list[str]:
    """The commands of the command line that are in the first cell of no row of a table."""
    rows = re.findall(r"^\|([^|]*)\|", text, re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    names = [
        f"{name} {inner}" if inner else name
        for name, command in group.commands.items()
        for inner in (command.commands if isinstance(command, TyperGroup) else [""])
    ]
    return [name for name in names if name not in documented]


def test_every_command_is_in_the_table_of_commands() -> None:
    assert undocumented_commands((ROOT / "docs" / "operations.md").read_text(encoding="utf-8")) == []


def test_command_that_is_in_no_table_is_found() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert undocumented_commands(text.replace("| `erase` |", "|").replace(", `failures drop` |", " |")) == [
        "erase",
        "failures drop",
    ]


META_ARGUMENTS = {"source", "version", "providers", "depends_on", "for_each", "count"}
PLAIN = hcl2.SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)


def settings() -> dict[str, set[str]]:
    """The module's variables, and the keys of those that are objects."""
    blocks = re.split(r"^variable ", (ROOT / "variables.tf").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    # The keys of nested objects are indented further.
    return {
        block.split('"')[1]: set(
            re.findall(r"^    (\w+) +=", block, re.MULTILINE) if "type = object({" in block else []
        )
        for block in blocks
    }


def unknown_settings(given: dict[str, Any]) -> list[str]:
    known = settings()
    nested = {name: value for name, value in given.items() if isinstance(value, dict) and known.get(name)}
    return [name for name in given if name not in known] + [
        f"{name}.{key}" for name, value in nested.items() for key in value if key not in known[name]
    ]


@every_document
def test_every_argument_of_the_module_is_a_variable(document: Path) -> None:
    """Terraform drops an unknown key of an object silently."""
    found = []
    for token in tokens(document.read_text(encoding="utf-8")):
        if token.type != "fence" or token.info != "hcl":
            continue
        parsed = hcl2.loads(token.content, serialization_options=PLAIN)
        modules = [each["user_sync"] for each in parsed.pop("module", []) if "user_sync" in each]
        for each in modules:
            found += unknown_settings({name: value for name, value in each.items() if name not in META_ARGUMENTS})
        # Arguments alone, as in a tfvars file.
        if not modules and set(parsed) & set(settings()):
            found += unknown_settings(parsed)
    assert found == []


@every_document
def test_every_command_line_is_one_that_the_cli_takes(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    found = [(shlex.join(arguments), misuse(arguments)) for arguments in calls(text, "cognito-user-sync")]
    assert [(line, why) for line, why in found if why] == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", None),
        ("--help", None),
        ("--install-completion", None),
        ("reconcile", None),
        ("reconcile --allow-deletes 500", None),
        ("reconcile --allow-deletes=500", None),
        ("--chdir FOLDER failures", None),
        ("failures redrive --all", None),
        ("reconcil", "has no command reconcil"),
        ("failures redo", "has no command redo"),
        ("failures redrive --every", "has no option --every"),
        ("reconcile --chdir FOLDER", None),
        ("reconcile --allow-deletes", "--allow-deletes needs a value"),
        ("reconcile now", "takes 0 to 0 arguments, not 1"),
        ("--chdir FOLDER", "needs a command"),
    ],
)
def test_a_command_line_that_the_cli_does_not_take_is_found(line: str, why: str | None) -> None:
    found = misuse(shlex.split(line))
    assert found == why if why is None else str(found).endswith(why)
