"""Small programs that the collectors' examples begin with."""

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

LIBRARY = {
    "pyproject.toml": '[project]\nname = "layers"\n',
    "README.md": "# Layers\n\n    pip install layers\n",
    "layers/__init__.py": NETWORK,
}
