"""What numba says, in the words of somebody who writes plugins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from zcframe.framework.nearest import nearest, offer
from zcframe.framework.packet.value import DOCS
from zcframe.framework.state.flow.declare import ASKED as FLOW_ANSWERS
from zcframe.framework.state.layout import ArrayLayout, LookupLayout, Member, ObjectLayout, StateLayout, TableLayout
from zcframe.framework.state.records import RecordsLayout

from .source.names import FOREIGN

Match = re.Match[str]

TABLE_VERBS = ("upsert", "find", "delete", "spot", "prefetch")
VIEW_VERBS = "v[i], v[a:b], v.u16(i), v.u32(i), v.u64(i), v.u16le(i), ..., find, startswith, endswith and len(v)"
# Names of a kind that are all listed where none is near.
MOST_LISTED = 8
CONSTANTS = "whole numbers, floats, bytes and tuples of them"

OPERATORS = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "contains": "in",
    "iadd": "+=", "isub": "-=", "imul": "*=", "ifloordiv": "//=", "ior": "|=", "iand": "&=", "ixor": "^=",
    "and_": "&", "or_": "|", "xor": "^", "lshift": "<<", "rshift": ">>",
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
}  # fmt: skip


@dataclass(frozen=True)
class Scope:
    """What the author of a plugin could have meant: names of parameters, state and the module's own."""

    layout: StateLayout
    params: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def members(self) -> dict[str, Member | RecordsLayout | LookupLayout]:
        layout = self.layout
        return {member.name: member for member in (*layout.members, *layout.records, *layout.lookups)}

    def fields(self, table: str) -> list[str]:
        member = self.members.get(table)
        if not isinstance(member, TableLayout):
            return []
        asked = FLOW_ANSWERS if member.flow is not None else ()
        return [*member.kinds, *(one.name for one in member.objects), *asked]

    def object(self, name: str) -> ObjectLayout | None:
        """The object that is called `member`, or `table.field`."""
        table, _, field = name.rpartition(".")
        member = self.members.get(table or field)
        among = member.objects if isinstance(member, TableLayout) else [member]
        return next((one for one in among if isinstance(one, ObjectLayout) and one.name == field), None)

    def keys(self, table: str) -> str:
        member = self.members.get(table)
        return ", ".join(member.keys) if isinstance(member, TableLayout) else ""


def _within(word: str, choices: Iterable[str]) -> str:
    """The longest choice that is a part of `word`, or has it as a part; "" for none."""
    found = [choice for choice in choices if len(choice) > 2 and (choice in word or word in choice)]
    return max(found, key=len, default="")


def meant(word: str, choices: Iterable[str]) -> str:
    """ "; did you mean ...?", or all there is where that is short, or nothing."""
    choices = list(choices)
    return offer(nearest(word, choices) or _within(word, choices), choices, MOST_LISTED)


def kind(text: str) -> str:
    """A numba type in plain words."""
    text = text.strip()
    owner = re.match(r"zcframe\.(?:Fixed|Direct|Flow)?(\w+?)(?:Type)?\b(?:\(([\w.]+)#)?", text)
    if owner:
        name = owner[2] or ""
        ours = {"Packet": "pkt", "View": "a view of bytes", "State": "state", "Row": f"a row of {name}", "Object": name}
        ours |= {"Addr": "an address"}
        return ours.get(owner[1], f"the {owner[1]} {name}")
    for pattern, words in KINDS:
        if re.match(pattern, text):
            return words
    return text


KINDS = (
    (r"Literal\[int\]|u?int\d+", "a whole number"),
    (r"float\d+", "a float"),
    (r"Literal\[str\]|unicode_type", "a str"),
    (r"Literal\[bool\]|bool", "a bool"),
    (r"none|NoneType|omitted", "None"),
    (r"OptionalType|Optional", "None on some path"),
    (r"slice", "a slice"),
    (r"bytes|Bytes", "bytes"),
    (r"(Uni)?Tuple", "a tuple"),
    (r"(reflected )?list|ListType", "a list"),
    (r"DictType|dict", "a dict"),
    (r"set|reflected set", "a set"),
    (r"generator", "a generator"),
    (r"params\(", "params"),
)


def split_types(text: str) -> list[str]:
    """The types of an argument list, apart at the commas that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += (letter in "([{<") - (letter in ")]}>")
        if letter == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [part for part in [*parts, text[start:]] if part.strip()]


def _undefined(found: Match, scope: Scope) -> str:
    name = found[1]
    for owner, choices in (("pkt", DOCS), ("state", scope.members), ("params", scope.params)):
        if name in choices:
            return f"the name {name} is not defined; did you mean {owner}.{name}?"
    close = nearest(name, [*scope.names, "pkt", "state", "params"])
    return f"the name {name} is not defined" + (offer(close, []) if close else "")


def _global(found: Match, scope: Scope) -> str:
    name, type_name = found[1], found[2].rpartition(".")[2]
    if type_name in ("type", "ABCMeta"):
        return f"{name} is a class, which compiled code cannot use: write plain functions beside the plugin's class"
    if type_name in ("function", "builtin_function_or_method", "method"):
        return (
            f"{name} cannot be compiled, so filter cannot call it: call it in report, or write a function of your own"
        )
    advice = "; what changes belongs in state, as Array or Table" if type_name in ("dict", "list", "set") else ""
    return f"{name} is a {type_name}: of what is outside, compiled code can use {CONSTANTS}{advice}"


def _attribute(found: Match, scope: Scope) -> str:
    name, owner = found[1], found[2]
    module = re.match(r"Module\(<module '([\w.]+)'", owner)
    if module:
        own = module[1].partition(".")[0] not in FOREIGN
        by_name = f"; a function of your own is imported by its name, from {module[1]} import {name}" if own else ""
        return f"{module[1]}.{name} cannot be used here: of modules, compiled code knows math and numpy{by_name}"
    kinds = "Row|Table|Array|Object|Records|Lookup"
    inside = re.match(rf"zcframe\.(?:Fixed|Direct|Flow)?({kinds})Type\(([\w.]+)#", owner)
    if inside:
        return _member_attribute(name, inside[1], inside[2], scope)
    if owner.startswith("zcframe.Packet"):
        return f"pkt has no attribute {name}{meant(name, DOCS)}"
    if owner.startswith("zcframe.Addr"):
        return f"an address has no {name}: it has hi and lo"
    if owner.startswith("zcframe.View"):
        return f"a view of bytes has no {name}: it has {VIEW_VERBS}"
    if "StateType" in owner:
        return f"state has no member {name}{meant(name, scope.members)}"
    if owner.startswith("params("):
        return f"params has no {name}{meant(name, scope.params)}"
    return f"{kind(owner)} has no attribute {name}"


def _member_attribute(name: str, owner: str, member: str, scope: Scope) -> str:
    if owner == "Row":
        return f"a row of {member} has no field {name}{meant(name, scope.fields(member))}"
    if owner == "Object":
        one = scope.object(member)
        kind, verbs = (type(one.kind).__name__, list(one.kind.METHODS)) if one else ("object", [])
        advice = meant(name, verbs) if nearest(name, verbs) else f": it has {', '.join(f'{verb}()' for verb in verbs)}"
        return f"the {kind} {member} has no {name}{advice}"
    if owner == "Table":
        return _table_attribute(name, member, scope)
    found = scope.members.get(member)
    if isinstance(found, LookupLayout):
        asked = "find(view) and next(view, hit)" if found.kind == "Patterns" else "find(pkt.src), and are asked by `in`"
        return f"the {found.kind} {member} have no {name}: they have {asked}"
    if isinstance(found, RecordsLayout):
        fields = ", ".join(f"{label}=..." for label, _ in found.fields)
        return f"the Records {member} have no {name}: they have emit({fields})"
    return f"the Array {member} has no {name}: it has state.{member}[i] and len(state.{member})"


def _table_attribute(name: str, member: str, scope: Scope) -> str:
    table = scope.members.get(member)
    if isinstance(table, TableLayout) and table.flow is not None:
        return f"the Flows {member} have no {name}: they have of(pkt)"
    return f"the Table {member} has no {name}{meant(name, TABLE_VERBS)}"


def _assigned_row(found: Match, scope: Scope) -> str:
    return f"a row of {found[1]} has no field {found[2]}{meant(found[2], scope.fields(found[1]))}"


def _assigned_key(found: Match, scope: Scope) -> str:
    one = scope.object(f"{found[1]}.{found[2]}")
    if one is not None:
        return f"{found[2]} of a row of {found[1]} {_changed_by(one, f'row.{found[2]}')}"
    what = "cannot be assigned" if found[2] == "new" else "is part of its key and cannot be assigned"
    return f"{found[2]} of a row of {found[1]} {what}"


def _changed_by(one: ObjectLayout, where: str) -> str:
    verbs = ", ".join(f"{where}.{verb}()" for verb, method in one.kind.METHODS.items() if method.writes)
    return f"is a {type(one.kind).__name__}: it is changed by {verbs}"


def _assigned_state(found: Match, scope: Scope) -> str:
    member = scope.members.get(found[1])
    if isinstance(member, ArrayLayout):
        return f"state.{found[1]} is an Array: assign to state.{found[1]}[i]"
    if isinstance(member, ObjectLayout):
        return f"state.{found[1]} {_changed_by(member, f'state.{found[1]}')}"
    if isinstance(member, TableLayout):
        keys = ", ".join(member.keys)
        return f"state.{found[1]} is a Table: take a row of it, row = state.{found[1]}.upsert({keys})"
    return f"state has no member {found[1]}{meant(found[1], scope.members)}"


def _operation(found: Match, scope: Scope) -> str:
    """An operator or function that does not take these types."""
    name, types = found[1], split_types(found[2])
    words = [kind(text) for text in types]
    if name in ("getitem", "setitem", "static_getitem"):
        return _indexed(types, words, scope)
    if name == "bool":
        return f"{words[0]} is neither true nor false"
    if name in OPERATORS and len(words) == 2:
        compared = name in ("eq", "ne", "lt", "le", "gt", "ge") and "a str" in words
        advice = "; an address compares with a constant ipaddress.ip_address('10.0.0.1')" if compared else ""
        return f"{words[0]} {OPERATORS[name]} {words[1]} has no meaning in compiled code{advice}"
    return "" if name == "exception_match" else f"{name}() does not take {' and '.join(words) or 'nothing'}"


def _indexed(types: list[str], words: list[str], scope: Scope) -> str:
    table = re.match(r"zcframe\.(?:Fixed)?TableType\((\w+)#", types[0])
    if table:
        return f"a Table has no index: row = state.{table[1]}.upsert({scope.keys(table[1])}), then row.field"
    if words[0] == "a dict":
        return "a dict has keys of one type and values of one type here; keep counts in a Table, constants in a tuple"
    if "ObjectType" in types[0]:
        return f"{words[0]} has no index: it has methods"
    index = words[1] if len(words) > 1 else "that"
    if index == "a slice":
        return f"{words[0]} has no slices: take single values, as v[i]"
    if index == "a float":
        return f"the index of {words[0]} is a float: divide with // instead of /"
    if len(words) > 2:
        return f"{words[0]} cannot hold {words[2]} at an index that is {index}"
    return f"{words[0]} cannot be indexed by {index}"


def _keywords(found: Match, scope: Scope) -> str:
    return f"the words of a key are given in order and without names: write the value of {found[1]}, not {found[1]}=..."


def _call(found: Match, scope: Scope) -> str:
    name = kind(found[1])
    return f"{name} is called like a function: attributes of pkt are written without ()"


def _append(found: Match, scope: Scope) -> str:
    advice = "a list holds values of one type, and what outlasts the packet belongs in state"
    return f"a list that holds {kind(found[1])} cannot take {kind(found[2])}: {advice}"


def _returns(found: Match, scope: Scope) -> str:
    kinds = sorted({kind(part) for part in split_types(found[1])})
    return (
        f"a function returns {' on one path and '.join(kinds)} on another: return PASS or DROP on each path of filter"
    )


def _unified(found: Match, scope: Scope) -> str:
    name = found[3].partition(".")[0].lstrip("$")
    first, second = kind(found[1]), kind(found[2])
    return f"{name} is {first} on one path and {second} on another: a name has one type in compiled code"


def _arguments(found: Match, scope: Scope) -> str:
    return f"a function is called with the wrong arguments: {found[1]}"


NO_VALUE = "has no value on some path to here: assign one before the branch"

Reason = Callable[[Match, Scope], str]

# In the order in which they are tried. Each pattern is looked for in numba's whole text.
REASONS: tuple[tuple[str, Reason], ...] = (
    (r"NameError: (?:global )?name '(\w+)' is not defined", _undefined),
    (r"Variable '(\w+)' is not defined", lambda found, scope: f"{found[1]} {NO_VALUE}"),
    (r"Untyped global name '(\w+)':.*?<(?:class|enum) '([\w.]+)'>", _global),
    (r"zcframe: (.*)", lambda found, scope: found[1]),
    (r"(prefetch cannot .*)", lambda found, scope: found[1]),
    (r"(ahead returns .*)", lambda found, scope: found[1]),
    (r"(\w+\.\w+\(\) was given a spot .*)", lambda found, scope: found[1]),
    (r"(\w+\.\w+\(\) takes the key .*? were given)", lambda found, scope: found[1]),
    (r"([\w.]+\.\w+\(\) takes \([\w, ]*\), \d+ values were given)", lambda found, scope: found[1]),
    (r"([\w.]+\.\w+\(\) takes whole numbers), not (.*)", lambda found, scope: f"{found[1]}, not {kind(found[2])}"),
    (r"got an unexpected keyword argument '(\w+)'", _keywords),
    (
        r"(missing a required argument: '\w+'|too many positional arguments|multiple values for argument '\w+')",
        _arguments,
    ),
    (r"Cannot resolve setattr: \(zcframe\.(?:Flow)?RowType\((\w+)#\w+\)\)\.(\w+) =", _assigned_row),
    (r"No definition for lowering zcframe\.(?:Flow)?RowType\((\w+)#\w+\)\.(\w+) =", _assigned_key),
    (r"(?:lowering |setattr: \()zcframe\.\w*StateType\(state#\w+\)\)?\.(\w+) =", _assigned_state),
    (r"(?:lowering |setattr: \()zcframe\.Packet\)?\.(\w+) =", lambda found, scope: "pkt cannot be changed"),
    (r"(?:lowering |setattr: \()(?:zcframe\.\w+\(\w+#\w+\)|params\().*\.(\w+) =", lambda f, s: f"{f[1]} cannot be set"),
    (r"Unknown attribute '(\w+)' of type (.*)", _attribute),
    (r"getiter with parameters \((.*?)\)\n", lambda found, scope: f"{kind(found[1])} cannot be looped over"),
    (r"list\.append for list\((.*?)\)<iv=.*?with parameters \((.*?)\)", _append),
    (r"Invalid use of (\w+) with parameters.*\n*.*as a callable", _call),
    (r"Can't unify return type from the following types: (.*)", _returns),
    (r"Cannot unify (.*?) and (.*?) for '([\w.$]+)'", _unified),
    (r">>> (\w+)\((.*)\)", _operation),
)


def reason(text: str, scope: Scope) -> str:
    """The reason in numba's `text` in one sentence, or "" where the text is none that is known here."""
    for pattern, explain in REASONS:
        found = re.search(pattern, text)
        if found:
            return explain(found, scope)
    return ""
