"""Small programs that the collectors' examples begin with."""

import json

# Nothing that any rule is about.
PLAIN = """\
def double(x):
    return 2 * x
"""

# A network of PyTorch in a loop without faults; no check finds anything but that it runs unseeded, unlogged, unsaved.
NETWORK = """\
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in loader:
    optimizer.zero_grad()
    nn.functional.mse_loss(model(x), y).backward()
    optimizer.step()
"""

# A classical model in a function, so that no check asks what it is compared with.
TABLE = """\
import pandas as pd
from sklearn.ensemble import RandomForestClassifier


def train(path):
    df = pd.read_csv(path)
    model = RandomForestClassifier(n_estimators=200, random_state=0)
    return model.fit(df.drop(columns="churned"), df["churned"])
"""


def notebook(code: str, shown: str = "", prose: str = "") -> str:
    """A notebook of a cell of prose, if any, and a cell of code with what it has shown."""
    output = {"output_type": "stream", "name": "stdout", "text": shown}
    cells: list[dict[str, object]] = [{"cell_type": "markdown", "source": prose}] if prose else []
    cells.append({"cell_type": "code", "source": code, "outputs": [output] if shown else []})
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


LIBRARY = {
    "pyproject.toml": '[project]\nname = "layers"\n',
    "README.md": "# Layers\n\n    pip install layers\n",
    "layers/__init__.py": NETWORK,
}
