"""The generated parts of the documentation, and the links, make targets and commands of all pages."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import hcl2
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from typer._click.exceptions import BadParameter, MissingParameter, UsageError
from typer.core import TyperGroup
from typer.main import get_command

from cognito_user_sync_cli.app import app
from docs import generate
from docs.parts import main
from tests.mocked_terraform import variable_names
from tests.page_code import blocks

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    path
    for pattern in ("*.md", ".github/*.md", "cli/*.md", "docs/*.md", "examples/*/*.md", "modules/*/*.md")
    for path in sorted(ROOT.glob(pattern))
]
every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())


# --- inputs and outputs

VARIABLES = r"""
variable "id" {
  type        = string
  description = "ID, \"a|b\" or `a|b`."
}
variable "shape" {
  description = <<-EOT
    What it is.
    - ids: several,
      on two lines
  EOT
  type = object({
    ids = optional(set(string), ["x"])
  })
  default = { ids = ["ß"], a = 0.5 }
}
variable "none" {
  type        = bool
  description = "Whether."
  default     = null
}
"""

INPUTS = [
    "## Inputs",
    "",
    "| Name | Description | Type | Default | Required |",
    "| ---- | ----------- | ---- | ------- | :------: |",
    '| <a name="input_id"></a> [id](#input_id) | ID, "a\\|b" or `a|b`. | `string` | n/a | yes |',
    (
        '| <a name="input_shape"></a> [shape](#input_shape) | What it is.<br/>- ids: several,<br/>  on two lines '
        '| <pre>object({<br/>    ids = optional(set(string), ["x"])<br/>  })</pre> '
        '| <pre>{<br/>  "a": 0.5,<br/>  "ids": [<br/>    "ß"<br/>  ]<br/>}</pre> | no |'
    ),
    '| <a name="input_none"></a> [none](#input_none) | Whether. | `bool` | `null` | no |',
]


def test_inputs_are_the_table_of_terraform_docs(tmp_path: Path) -> None:
    """Compared with its own expected tables: terraform-docs/format/testdata/markdown/table-WithAnchor.golden."""
    (tmp_path / "variables.tf").write_text(VARIABLES, encoding="utf-8")
    assert generate.inputs_and_outputs(tmp_path).splitlines() == INPUTS


def test_outputs_are_the_table_of_terraform_docs(tmp_path: Path) -> None:
    (tmp_path / "outputs.tf").write_text('output "arn" {\n  description = "ARN."\n  value = 1\n}\n', encoding="utf-8")
    assert generate.inputs_and_outputs(tmp_path).splitlines()[2:] == [
        "| Name | Description |",
        "| ---- | ----------- |",
        '| <a name="output_arn"></a> [arn](#output_arn) | ARN. |',
    ]


def test_description_of_an_object_names_each_of_its_keys() -> None:
    """Each line has the form `- key: meaning` or `- key, key: meaning`."""
    for block in generate.blocks(ROOT / "variables.tf", "variable"):
        listed = re.findall(r"<br/>- ([\w, ]+):", generate.description(block))
        keys = object_keys().get(block.name_labels[0], [])
        assert sorted(", ".join(listed).split(", ")) == (sorted(keys) or [""]), block.name_labels


# --- state machines


def test_diagram_shows_each_state_and_transition() -> None:
    inner = {"StartAt": "One", "States": {"One": {"Type": "Task", "End": True}}}
    states = {
        "Look": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.count", "NumericGreaterThan": 0, "Next": "Work"}],
            "Default": "Each",
        },
        "Work": {
            "Type": "Task",
            "Catch": [
                {"ErrorEquals": ["States.Timeout", "TooLate"], "Next": "Each"},
                {"ErrorEquals": ["States.ALL"], "Next": "Broken"},
            ],
            "Next": "Look",
        },
        "Each": {"Type": "Map", "ItemsPath": "$.all", "ItemProcessor": inner, "Next": "Done"},
        "Broken": {"Type": "Fail"},
        "Done": {"Type": "Succeed"},
    }
    assert list(generate.diagram({"StartAt": "Look", "States": states}, "")) == [
        "[*] --> Look",
        "Look --> Work : count > 0",
        "Look --> Each : otherwise",
        "Work --> Look",
        "Work --> Each : after States.Timeout or TooLate",
        "Work --> Broken : after any error",
        'state "Each, for each of all" as Each {',
        "    [*] --> One",
        "    One --> [*]",
        "}",
        "Each --> Done",
        "Broken --> [*] : fails",
        "Done --> [*]",
    ]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"Variable": "$.x", "StringEquals": "a"}, 'x = "a"'),
        ({"Variable": "$.x", "StringEqualsPath": "$.y.z"}, "x = y.z"),
        ({"Variable": "$.x[0]", "IsPresent": True}, "x[0] is present"),
        (
            {"And": [{"Variable": "$.x", "IsPresent": False}, {"Not": {"Variable": "$.y", "BooleanEquals": True}}]},
            "x is absent and not y = true",
        ),
    ],
)
def test_condition_is_in_words(rule: dict[str, Any], words: str) -> None:
    assert generate.condition({**rule, "Next": "There"}) == words


# --- writing and checking


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    machine = (
        '{"Comment": "Does it", "StartAt": "Done", "States": {"Done": {"Type": "Succeed", "Comment": ${comment}}}}'
    )
    for path, text in {
        "README.md": "by hand\n<!-- BEGIN_TF_DOCS -->\nold\n<!-- END_TF_DOCS -->\n",
        "modules/part/main.tf": "",
        "modules/part/README.md": "<!-- BEGIN_TF_DOCS -->\n<!-- END_TF_DOCS -->\n",
        "modules/part/outputs.tf": 'output "b" {\n  value = 1\n  description = "B."\n}\n',
        "modules/user_sync/user_sync.asl.json": machine,
        "modules/reconciliation/reconciliation.asl.json": machine,
        "docs/architecture.md": "<!-- state machines: written by make docs -->\n<!-- state machines: end -->\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    return tmp_path


def test_generate_writes_each_part_and_leaves_the_rest(repository: Path) -> None:
    assert main([], repository, generate.pages) == 0
    assert (repository / "README.md").read_text(encoding="utf-8") == (
        "by hand\n<!-- BEGIN_TF_DOCS -->\n\n<!-- END_TF_DOCS -->\n"
    )
    assert "| B. |\n<!-- END_TF_DOCS -->\n" in (repository / "modules/part/README.md").read_text(encoding="utf-8")
    path = "modules/user_sync/user_sync.asl.json"
    architecture = (repository / "docs/architecture.md").read_text(encoding="utf-8")
    assert architecture.startswith(
        "<!-- state machines: written by make docs -->\n\n"
        f"### user_sync\n\n[{path}](../{path}): Does it.\n\n"
        "```mermaid\nstateDiagram-v2\n    [*] --> Done\n    Done --> [*]\n```\n\n### reconciliation\n\n"
    )


def test_check_names_each_stale_file_and_writes_nothing(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([], repository, generate.pages)
    assert main(["--check"], repository, generate.pages) == 0
    readme = repository / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8").replace("\n\n", "\nby hand\n"), encoding="utf-8")
    stale = readme.read_text(encoding="utf-8")
    assert main(["--check"], repository, generate.pages) == 1
    assert capsys.readouterr() == ("", "README.md is stale; run: make docs\n")
    assert readme.read_text(encoding="utf-8") == stale


# --- links


def tokens(text: str) -> Iterator[Token]:
    for block in MarkdownIt("commonmark").enable("table").parse(text):
        yield block
        yield from block.children or []


@cache
def anchors(text: str) -> set[str]:
    """Return the anchors of a document: those of GitHub for headings, and <a name="...">."""
    found = set(re.findall(r'<a name="([^"]+)">', text))
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
def test_every_link_has_a_target(document: Path) -> None:
    assert broken_links(document) == []


@every_document
def test_every_placeholder_is_in_code(document: Path) -> None:
    """GitHub does not show <name> outside of code."""
    html = [token.content for token in tokens(document.read_text(encoding="utf-8")) if token.type == "html_inline"]
    assert [tag for tag in html if not re.fullmatch(r'<a name="\w+">|</a>|<br/>|</?pre>|<!--.*-->', tag)] == []


def test_index_links_to_every_page() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    linked = {str(token.attrGet("href")) for token in tokens(index)}
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"} <= linked


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    text = '# What `it_is`, and why\n## Twice\n## Twice\n<a name="input_id"></a>\n'
    (tmp_path / "other.md").write_text(text, encoding="utf-8")
    links = ["other.md", "other.md#what-it_is-and-why", "other.md#twice-1", "other.md#input_id", "#here", "."]
    links.append("https://example.com/#x")
    broken = ["gone.md", "other.md#gone", "other.md#twice-2", "#other", "gone.png"]
    text = "# Here\n" + "".join(f"- [to]({link})\n" for link in [*links, *broken[:3]])
    table = f"\n| a |\n|---|\n| [`code`]({broken[3]}) ![image]({broken[4]}) |\n\n`[no](link.md)`\n"
    document = tmp_path / "document.md"
    document.write_text(text + table, encoding="utf-8")
    assert broken_links(document) == broken


# --- tests, make targets and commands


@cache
def defined_tests() -> set[str]:
    files = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    return {name for text in files for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}


def missing_tests(text: str) -> list[str]:
    """Return the names like `test_...` without a test."""
    return [name for name in re.findall(r"`(test_\w+)`", text) if name not in defined_tests()]


@every_document
def test_every_named_test_exists(document: Path) -> None:
    assert missing_tests(document.read_text(encoding="utf-8")) == []


def test_missing_test_is_found() -> None:
    text = "`test_no_such_test`, `test_every_link_has_a_target`"
    assert missing_tests(text) == ["test_no_such_test"]


def calls(text: str, program: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of a program in the code of a document."""
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


def test_every_make_target_of_the_workflows_is_in_the_makefile() -> None:
    files = [*ROOT.glob(".github/workflows/*.yml"), ROOT / ".pre-commit-config.yaml"]
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    used = set(re.findall(r"(?:run|entry): make ([a-z-]+)", text))
    assert {"check", "test", "check-docs"} <= used <= targets((ROOT / "Makefile").read_text(encoding="utf-8"))


def test_an_unknown_make_target_is_found() -> None:
    text = (
        "`make` and `make plan ENV=dev ARGS='-x y'`, not `make one`, make it\n"
        '```sh\nmake -s plan | make two && eval "$(make -s three)" # make no\n$ make \\\n  four\n```\n'
        "```hcl\nmake five\n```\n"
    )
    assert unknown_targets(text, "six := 1\nplan: x ## make\n") == ["one", "two", "three", "four"]


@cache
def command_line() -> Any:
    return get_command(app)


def misuse(arguments: list[str]) -> str | None:
    """Return why the command line rejects these arguments. Values are not checked: they may be placeholders."""
    command, context, words = command_line(), None, list(arguments)
    if not words or {"--help", "--install-completion", "--show-completion"} & set(words):
        return None
    try:
        while True:
            context = command.make_context(command.name, words, parent=context)
            left = [*context._protected_args, *context.args]
            if not isinstance(command, TyperGroup) or (not left and command.invoke_without_command):
                return None
            if not left:
                return "Missing command"
            _, command, words = command.resolve_command(context, left)
    except MissingParameter as error:
        is_option = error.param is not None and error.param.param_type_name == "option"
        return None if is_option else error.format_message()
    except BadParameter:
        return None
    except UsageError as error:
        return error.format_message()


def undocumented_commands(text: str) -> list[str]:
    """Return the commands that are in no first cell of a table row."""
    rows = re.findall(r"^\|([^|]*)\|", text, re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    group = command_line()
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


def test_using_the_table_shows_policies_of_the_complete_example() -> None:
    example = (ROOT / "examples/complete/application.tf").read_text(encoding="utf-8")
    shown = blocks("hcl")
    assert len(shown) == 2
    assert [block for block in shown if block not in example] == []


META_ARGUMENTS = {"source", "version", "providers", "depends_on", "for_each", "count"}
PLAIN = hcl2.SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)


@cache
def object_keys() -> dict[str, list[str]]:
    """Return the keys of each object variable, without those of nested objects, which are indented further."""
    return {
        block.name_labels[0]: re.findall(r"^    (\w+) +=", block.attribute("type").value_node.to_hcl(), re.MULTILINE)
        for block in generate.blocks(ROOT / "modules" / "inputs" / "variables.tf", "variable")
    }


@cache
def settings() -> dict[str, list[str]]:
    """Return the module's variables and the keys of objects. alarms is a map of objects."""
    return {name: [] if name == "alarms" else object_keys().get(name, []) for name in variable_names(ROOT)}


def unknown_settings(given: dict[str, Any]) -> list[str]:
    known = settings()
    nested = {name: value for name, value in given.items() if isinstance(value, dict) and known.get(name)}
    return [name for name in given if name not in known] + [
        f"{name}.{key}" for name, value in nested.items() for key in value if key not in known[name]
    ]


@every_document
def test_every_argument_of_the_module_is_a_variable(document: Path) -> None:
    """Each key of an object is one of its type."""
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
        ("reconcile --allow-deletes=500", None),
        ("--chdir FOLDER failures redrive --all", None),
        ("reconcil", "No such command 'reconcil'."),
        ("failures redrive --every", "No such option: --every"),
        ("reconcile --allow-deletes", "Option '--allow-deletes' requires an argument."),
        ("reconcile now", "Got unexpected extra argument"),
        ("--chdir FOLDER", "Missing command"),
    ],
)
def test_misuse_names_what_is_wrong(line: str, why: str | None) -> None:
    assert str(misuse(shlex.split(line))).startswith(str(why))
