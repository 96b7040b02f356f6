"""The mistakes of mistakes.txt, as programs."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

PREAMBLE = """\
import copy, io
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split
x, y = torch.randn(8, 4), torch.randint(3, (8,))
"""


class Mistake(NamedTuple):
    """A mistake, its correction, and the line of the mistaken code that fails, counted from 1."""

    bad: str
    good: str
    line: int


def _read(source: str) -> Mistake:
    bad, good = PREAMBLE.splitlines(), PREAMBLE.splitlines()
    failing = 0
    for text in source.splitlines():
        code = text.lstrip(" ")
        indent = " " * (len(text) - len(code))
        marks = code[: len(code) - len(code.lstrip("-+!"))]
        line = f"{indent}{code[len(marks) :].strip()}"
        if "+" not in marks:
            bad.append(line)
        if "-" not in marks:
            good.append(line)
        if "!" in marks:
            failing = len(bad)
    return Mistake("\n".join(bad) + "\n", "\n".join(good) + "\n", failing)


def _read_all() -> dict[str, Mistake]:
    text = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8")
    sections = (section.partition("\n") for section in text.split("## ")[1:])
    return {name: _read(source.rstrip()) for name, _, source in sections}


MISTAKES = _read_all()
