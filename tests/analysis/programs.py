"""Programs for property tests: made of the pieces that training code is made of, and real ones with something wrong."""

from __future__ import annotations

import re
from textwrap import dedent, indent

from hypothesis import strategies as st

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.checks.check import Bad, Good

_ATOMS = (
    "model net self.net optimizer opt scheduler loss losses total batch inputs x y device scaler self criterion é "
    "0 1.5 'cuda' 'cuda:0' \"cpu\" None True 'é𝄞' b'x' ... torch.float64 self.device torch.no_grad() GradScaler()"
).split()

# Each takes up to three expressions.
_EXPRESSIONS = [
    *("{0}.cuda()", "{0}.to('cuda')", "{0}.to({1})", "{0}.cpu()", "{0}.item()", "{0}.numpy()", "{0}.detach()"),
    *("{0}.backward()", "{0}.backward(retain_graph=True)", "{0}.step()", "{0}.step({1})", "{0}.zero_grad()"),
    *("{0}.eval()", "{0}.train()", "{0}.grad", "{0}.data", "{0}.shape[0]", "{0}.double()", "{0}.half()"),
    *("{0}.forward({1})", "{0}.scale({1}).backward()", "{0}.update()", "losses.append({0})", "self.log('x', {0})"),
    *("{0}({1})", "{0}({1}, {2})", "{0}(*{1}, **{2})", "{0}(a={1},)", "{0}[{1}]", "{0}[{1}:{2}]", "{0}.a", "-{0}"),
    *("torch.load({0})", "torch.load({0}, map_location={1})", "torch.zeros({0})", "torch.tensor({0}, device={1})"),
    *("torch.Tensor({0})", "torch.device({0})", "torch.cuda.is_available()", "torch.cuda.empty_cache()"),
    *("torch.cuda.amp.autocast()", "torch.cuda.FloatTensor({0})", "torch.FloatTensor([{0}])", "torch.save({0}, {1})"),
    *("torch.from_numpy({0})", "torch.symeig({0})", "nn.Linear({0}, {1})", "nn.CrossEntropyLoss()({0}, {1})"),
    *("F.cross_entropy({0}, {1})", "F.softmax({0}, dim=1)", "nn.Sequential({0}, {1})", "optim.SGD({0}, lr={1})"),
    *("nn.utils.clip_grad_norm_({0}.parameters(), {1})", "self.manual_backward({0})", "self.optimizers()"),
    *("float({0})", "print({0})", 'f"loss {{{0}!r:>{{{1}}}}} {{{2}=}}"', "f'{{{0}}}'", "len({0})", "('a' 'b')"),
    *("({0} + {1})", "({0} / {1})", "(not {0})", "({0} and {1})", "({0} or {1})", "({0} > {1})", "({0} is None)"),
    *("({0} % {1} == 0)", "({0} if {1} else {2})", "(lambda x: {0})", "(x := {0})", "[{0}, {1}]", "({0}, {1})"),
    *("{{{0}: {1}}}", "{{{0}, {1}}}", "[{0} for x in {1} if {2}]", "{{x: {0} for x, y in {1}}}", "({0} for x in {1})"),
]

# Each takes two expressions and two blocks (`{b}`, `{c}`), which stand on lines of their own.
_STATEMENTS = [
    *("{0}", "x = {0}", "x, y = {0}, {1}", "(x, *y) = {0}", "self.net = {0}", "x[{0}] = {1}", "x.grad = None"),
    *("x: int = {0}", "total += {0}", "x = y = {0}", "{0}; {1}", "x = {0}; {1}  # why", "del x", "assert {0}, {1}"),
    *("pass", "global x", "import torch", "from torch import load as read", "# mlrules: ignore", "# a comment"),
    *("x = {0}  # mlrules: ignore[hardcoded-cuda]", "print({0},\n      {1},  # é\n)", "s = '''\n{0}\n  text\n'''"),
    *("x = torch.load(\n    {0},\n    {1},\n)", "x = ({0} +\n     {1})", "x = {0} + \\\n    {1}", "return {0}"),
    *("for x in {0}: {1}", "if {0}: {1}", "with no_grad(): {0}", "def f(x): return {0}; x", "while {0}: break"),
    *("for x in {0}:{b}", "for epoch in range(3):{b}", "for i, (x, y) in enumerate(loader):{b}", "while True:{b}"),
    *("while {0}:{b}\nelse:{c}", "async def later():\n    async for x in {0}:\n        await {1}", "if {0}:{b}"),
    *("if {0}:{b}\nelse:{c}", "if {0}:{b}\nelif {1}:{c}", "if torch.cuda.is_available():{b}\nelse:{c}"),
    *("with {0}:{b}", "with torch.no_grad():{b}", "with torch.no_grad:{b}", "with {0} as x, {1}:{b}"),
    *("try:{b}\nexcept E as x:{c}", "try:{b}\nexcept* E:{c}", "try:{b}\nexcept A:{c}\nelse:\n    x\nfinally:\n    {0}"),
    *("def f(x, y={0}, *a, k: int = {1}, **kw):{b}\n    return {1}", "@{0}\ndef f(self, x):{b}"),
    *("@torch.no_grad()\ndef evaluate(model, loader):{b}", "def train_step(model, x):{b}\n    return {0}"),
    *("def validate(model, loader):{b}", "class A(Net):\n    x = {0}{b}", "if not {0}:\n    raise E"),
    "class Net(nn.Module):\n    def __init__(self):{bb}\n    def forward(self, x):{cc}\n        return {0}",
    "class Lit(L.LightningModule):\n    def training_step(self, batch, i):{bb}\n    def validation_step(self, x):{cc}",
    "for x in loader:\n    loss = criterion(model({0}), y)\n    loss.backward(){b}\n    opt.step()\n    total += loss",
    "for epoch in range(3):{b}\n    for x, y in loader:\n        loss = F.cross_entropy(model(x), {0}){bb}\n"
    "        scaler.scale(loss).backward()\n        scaler.step(optimizer){cc}\n        losses.append({1})",
    "model = nn.Sequential(nn.Linear(1, 2), {0}).to('cuda')\noptimizer = torch.optim.Adam(model.parameters())",
    'match {0}:\n    case {{"a": [x, *y], **z}} if {1}:{bb}\n    case A(b=x) | None as x:{cc}',
]

_HEADERS = [
    *('"""A script."""', "from __future__ import annotations", "import torch", "import torch as t, torch.nn as nn"),
    *("from torch import nn, optim, no_grad, load", "from torch.nn import *", "import torch.nn.functional as F"),
    *("import lightning as L", "import pytorch_lightning as pl", "from torch.cuda.amp import autocast, GradScaler"),
    *(
        "try:\n    import torch\nexcept ImportError:\n    torch = None",
        "import numpy as np",
        "# mlrules: ignore",
        "\x0c",
    ),
]


def _expression(smaller: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(str.format, st.sampled_from(_EXPRESSIONS), smaller, smaller, smaller)


EXPRESSIONS = st.recursive(st.sampled_from(_ATOMS), _expression, max_leaves=6)


def _statement(pattern: str, first: str, second: str, block: list[str], other: list[str]) -> str:
    blocks = {
        name: "\n" + indent("\n".join(lines) or "pass", "    " * len(name))
        for name, lines in (("b", block), ("c", other), ("bb", block), ("cc", other))
    }
    return pattern.format(first, second, **blocks)


def _statements(smaller: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    blocks = st.lists(smaller, max_size=3).map(lambda lines: [*lines, "pass"])
    return st.builds(_statement, st.sampled_from(_STATEMENTS), EXPRESSIONS, EXPRESSIONS, blocks, blocks)


STATEMENTS = st.recursive(_statements(st.just("pass")), _statements, max_leaves=8)


def _program(headers: list[str], statements: list[str], margin: str, line_end: str) -> str:
    return indent("\n".join([*headers, *statements, ""]), margin).replace("\n", line_end)


PROGRAMS = st.builds(
    _program,
    st.lists(st.sampled_from(_HEADERS), max_size=5, unique=True),
    st.lists(STATEMENTS, max_size=6),
    st.sampled_from(["", "", "", "    ", "\t"]),
    st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"]),
)

# The examples of the checks are real code in small: every check has its say on them.
EXAMPLES = [
    re.sub("[«»‹›]", "", dedent(example.code).lstrip("\n"))
    for check in Catalogue().checks
    for example in check.examples
    if isinstance(example, Bad | Good)
]

_TEXT = st.text("()[]{}:,.=\"'#\\ \t\n\r\x0c\0é𝄞\ud800abx0@*-%;`", max_size=4)


@st.composite
def mangled(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> str:
    """Texts with lines left out, doubled, exchanged or cut, and characters put in."""
    lines = draw(texts).split("\n")
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(lines) - 1))
        other = draw(st.integers(0, len(lines) - 1))
        column = draw(st.integers(0, len(lines[place])))
        match draw(st.sampled_from(["leave out", "double", "exchange", "cut", "put in", "indent", "dedent"])):
            case "leave out":
                lines[place] = ""
            case "double":
                lines.insert(other, lines[place])
            case "exchange":
                lines[place], lines[other] = lines[other], lines[place]
            case "cut":
                lines[place] = lines[place][:column]
            case "put in":
                lines[place] = lines[place][:column] + draw(_TEXT) + lines[place][column:]
            case "indent":
                lines[place] = "    " + lines[place]
            case "dedent":
                lines[place] = lines[place].removeprefix("    ")
    return "\n".join(lines)


MANGLED_EXAMPLES = mangled(st.sampled_from(EXAMPLES))
MANGLED_PROGRAMS = mangled(PROGRAMS)
