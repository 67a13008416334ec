"""Writes the generated parts of README.md (variables, outputs) and docs/architecture.md (state machines).

    python -m docs.generate            writes them
    python -m docs.generate --check    writes nothing; names each file that is stale, and exits 1 if there is one

parts.py says where they stand; the rest of these files is by hand.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hcl2.query import AttributeView, BlockView, DocumentView, FunctionCallView, NodeView, ObjectView, view_for
from hcl2.rules.containers import ObjectRule
from hcl2.rules.expressions import ExprTermRule
from hcl2.utils import SerializationOptions

from docs.parts import NoPlace, with_part

ROOT = Path(__file__).parents[1]
STATE_MACHINES = ("modules/user_sync/user_sync.asl.json", "modules/reconciliation/reconciliation.asl.json")
AS_VALUE = SerializationOptions(strip_string_quotes=True)
REQUIRED = "required"


class CannotGenerate(Exception):
    """A source lacks what the documentation is to say."""


# --- variables and outputs


def variables(source: str) -> str:
    """A table of the variables in a Terraform source, required ones first, and a table of keys for each object.

    The description of an object must end with a list of `- key: meaning` (or `- key, key: meaning`) that names every
    key, and nothing else: CannotGenerate otherwise.
    """
    blocks = sorted(blocks_of(source, "variable"), key=lambda block: attribute(block, "default") is not None)
    rows, keys = [], []
    for block in blocks:
        name = block.name_labels[0]
        type_, default = attribute(block, "type"), attribute(block, "default")
        if type_ is None:
            raise CannotGenerate(f"variable {name} has no type")
        text = description(block)
        label = code(name)
        if objects := type_.find_all(ObjectRule):  # the outermost comes first
            text, *listed = re.split(r"^- ", text, flags=re.MULTILINE)
            keys.append(f"### {label}\n\n{key_table(name, objects[0], listed)}")
            label = f"[{label}](#{name})"
        rows.append((label, code(short_type(type_)), code(value(default)) if default else REQUIRED, plain(text)))
    return "\n\n".join([table(("name", "type", "default", "description"), rows), *keys])


def outputs(source: str) -> str:
    """A table of the outputs in a Terraform source."""
    rows = [(code(block.name_labels[0]), plain(description(block))) for block in blocks_of(source, "output")]
    return table(("name", "description"), rows)


def key_table(variable: str, of_type: NodeView, listed: list[str]) -> str:
    meanings: dict[str, str] = {}
    for item in listed:
        names, _, meaning = item.partition(": ")
        meanings.update(dict.fromkeys(names.split(", "), meaning))
    entries = of_type.entries if isinstance(of_type, ObjectView) else []
    if differing := meanings.keys() ^ {key for key, _ in entries}:
        raise CannotGenerate(f"variable {variable}: only one of type and description names {sorted(differing)}")
    rows = []
    for key, type_ in entries:
        call = expression(type_)
        if isinstance(call, FunctionCallView) and call.name == "optional":
            inner, *given = call.args
            default = code(value(given[0]) if given else "null")
        else:
            inner, default = type_, REQUIRED
        rows.append((code(key), code(short_type(inner)), default, plain(meanings[key])))
    return table(("key", "type", "default", "meaning"), rows)


def blocks_of(source: str, kind: str) -> list[BlockView]:
    return [block for block in DocumentView.parse(source).blocks(kind) if isinstance(block, BlockView)]


def attribute(block: BlockView, name: str) -> NodeView | None:
    view = block.attribute(name)
    return view.value_node if isinstance(view, AttributeView) else None


def description(block: BlockView) -> str:
    view = attribute(block, "description")
    if view is None:
        raise CannotGenerate(f"{' '.join(block.labels)} has no description")
    text = str(view.to_dict(AS_VALUE))
    heredoc = re.fullmatch(r"<<-?(\w+)\n(.*\n)\s*\1", text, flags=re.DOTALL)
    return textwrap.dedent(heredoc[2]) if heredoc else text


def expression(view: NodeView) -> NodeView:
    """The call, tuple or object itself, which the parser wraps in a term."""
    return view_for(view.raw.expression) if isinstance(view.raw, ExprTermRule) else view


def short_type(view: NodeView) -> str:
    """A type as in Terraform, but an object without its keys: `list(object)`."""
    call = expression(view)
    if not isinstance(call, FunctionCallView):
        return view.to_hcl().strip()
    return "object" if call.name == "object" else f"{call.name}({', '.join(map(short_type, call.args))})"


def value(view: NodeView) -> str:
    """A literal on one line. JSON's are HCL's, too."""
    return json.dumps(view.to_dict(AS_VALUE), ensure_ascii=False)


def plain(text: str) -> str:
    """Plain text as one line of Markdown, for a table."""
    return re.sub(r"[\\`*<\[\]|]|(?<!\w)_|_(?!\w)", r"\\\g<0>", " ".join(text.split()))


def code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])


# --- state machines


def state_machine(path: str, template: str) -> str:
    """A heading, the comment and the diagram of a state machine: the path of its ASL file (from the root), its text."""
    name, machine = Path(path).name.removesuffix(".asl.json"), parse_asl(template)
    lines = "\n".join(diagram(machine, "    "))
    return f"### {name}\n\n[{path}](../{path}): {machine['Comment']}.\n\n```mermaid\nstateDiagram-v2\n{lines}\n```"


def parse_asl(template: str) -> dict[str, Any]:
    """An ASL template as data. A placeholder that stands for a whole value, outside of quotes, becomes a string."""
    tokens = re.compile(r'("(?:[^"\\]|\\.)*")|(\$\{[^}]*\})')
    machine: dict[str, Any] = json.loads(tokens.sub(lambda token: token[1] or f'"{token[2]}"', template))
    return machine


def diagram(machine: dict[str, Any], indent: str) -> Iterator[str]:
    """The lines of a Mermaid stateDiagram-v2 of a machine, or of what is inside of a Map or Parallel state."""
    yield f"{indent}[*] --> {identifier(machine['StartAt'])}"
    for name, state in machine["States"].items():
        inner, title = [], name
        if state["Type"] == "Map":
            inner, title = [state["ItemProcessor"]], f"{name}, for each of {path_of(state.get('ItemsPath', '$'))}"
        elif state["Type"] == "Parallel":
            inner, title = state["Branches"], f"{name}, in parallel"
        if inner:
            yield f'{indent}state "{escaped(title)}" as {identifier(name)} {{'
            for number, each in enumerate(inner):
                if number:
                    yield f"{indent}    --"
                yield from diagram(each, indent + "    ")
            yield f"{indent}}}"
        elif identifier(name) != name:
            yield f'{indent}state "{escaped(name)}" as {identifier(name)}'
        for target, when in transitions(state):
            label = f" : {escaped(when)}" if when else ""
            yield f"{indent}{identifier(name)} --> {identifier(target) if target else '[*]'}{label}"


def transitions(state: dict[str, Any]) -> Iterator[tuple[str | None, str | None]]:
    """Where a state goes (None: it ends the machine), and when (None: there is nothing to say)."""
    for rule in state.get("Choices", []):
        yield rule["Next"], condition(rule)
    if "Default" in state:
        yield state["Default"], "otherwise"
    if "Next" in state:
        yield state["Next"], None
    for catch in state.get("Catch", []):
        errors = ["any error"] if catch["ErrorEquals"] == ["States.ALL"] else catch["ErrorEquals"]
        yield catch["Next"], f"after {' or '.join(errors)}"
    if state.get("End") or state["Type"] == "Succeed":
        yield None, None
    if state["Type"] == "Fail":
        yield None, "fails"


SIGNS = {"Equals": "=", "GreaterThan": ">", "GreaterThanEquals": "≥", "LessThan": "<", "LessThanEquals": "≤"}


def condition(rule: dict[str, Any]) -> str:
    """A choice rule in words: https://states-language.net/#choice-state"""
    for operator in ("And", "Or"):
        if operator in rule:
            return f" {operator.lower()} ".join(inner_condition(each) for each in rule[operator])
    if "Not" in rule:
        return f"not {inner_condition(rule['Not'])}"
    variable = path_of(rule["Variable"])
    (comparison,) = rule.keys() - {"Variable", "Next", "Assign", "Output", "Comment"}
    expected = rule[comparison]
    if comparison == "IsPresent":
        return f"{variable} is {'present' if expected else 'absent'}"
    kind = re.fullmatch(r"(?:String|Numeric|Boolean|Timestamp)(\w+?)(Path)?", comparison)
    sign = SIGNS.get(kind[1]) if kind else None
    if kind is None or sign is None:
        return f"{variable} {comparison} {literal(expected)}"
    return f"{variable} {sign} {path_of(expected) if kind[2] else literal(expected)}"


def inner_condition(rule: dict[str, Any]) -> str:
    return f"({condition(rule)})" if rule.keys() & {"And", "Or"} else condition(rule)


def literal(expected: object) -> str:
    """A value of a rule; a placeholder of the template by its name."""
    placeholder = re.fullmatch(r"\$\{(\w+)\}", str(expected))
    return placeholder[1] if placeholder else json.dumps(expected, ensure_ascii=False)


def path_of(path: str) -> str:
    return "its input" if path == "$" else path.removeprefix("$.")


def identifier(state: str) -> str:
    return re.sub(r"\W", "_", state)


def escaped(text: str) -> str:
    """Text without what means something else in a Mermaid label."""
    return re.sub(r"[#;<]", lambda found: f"#{ord(found[0])};", text)


# --- documents


def documents(root: Path) -> dict[str, tuple[str, str]]:
    """Each document's path from the root, with its text as it is and as it is to be."""

    def read(path: str) -> str:
        return (root / path).read_text(encoding="utf-8")

    readme, architecture = read("README.md"), read("docs/architecture.md")
    new_readme = with_part(readme, "variables", "docs", variables(read("variables.tf")))
    new_readme = with_part(new_readme, "outputs", "docs", outputs(read("outputs.tf")))
    machines = "\n\n".join(state_machine(path, read(path)) for path in STATE_MACHINES)
    return {
        "README.md": (readme, new_readme),
        "docs/architecture.md": (architecture, with_part(architecture, "state machines", "docs", machines)),
    }


def main(arguments: list[str], root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description="Write the generated parts of README.md and docs/architecture.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if one of them is stale")
    check = parser.parse_args(arguments).check
    try:
        stale = {path: new for path, (old, new) in documents(root).items() if old != new}
    except (CannotGenerate, NoPlace) as error:
        print(error, file=sys.stderr)
        return 1
    for path, text in stale.items():
        if check:
            print(f"{path} is stale; run: make docs", file=sys.stderr)
        else:
            (root / path).write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
