"""How the examples of safe fixes are run: what they leave out, and what is done with what they define."""

from __future__ import annotations

from typing import NamedTuple


class Program(NamedTuple):
    """An example's surroundings.

    Attributes:
        setup: code before it, for the names that it leaves open beside the common ones.
        drive: code behind it, which uses what it defines; then the names bound here are compared, else all.
        changes: why the fix changes what is computed: it mends what was computed wrongly.
        not_run: why the example can't be run here.
    """

    setup: str = ""
    drive: str = ""
    changes: str = ""
    not_run: str = ""


# What most examples take for granted.
COMMON = """
import io
from types import SimpleNamespace
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, optim

torch.manual_seed(0)
args = SimpleNamespace(amp=True)
device = "cpu"
model = net = layer = nn.Linear(4, 3)
loader = [(torch.randn(2, 4), torch.tensor([0, 2])) for _ in range(3)]
images, labels = inputs, targets = batch = loader[0]
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(model.parameters(), lr=0.1)
dataset = list(range(8))
x = torch.randn(5)
"""
_NEEDS_GPU = "needs a GPU"
_DROPOUT = "nothing is dropped in evaluation"

# By check, and the number of the example among those of the check with a safe fix.
PROGRAMS: dict[str, Program] = {
    "cuda-only-amp:0": Program(
        setup="model = nn.Linear(2, 1)",
        drive="result = step(torch.ones(1, 2)), scaler.is_enabled()",
    ),
    "cuda-only-amp:1": Program(
        setup="seen = []\ndef Net():\n    return lambda: seen.append(torch.ones(2) @ torch.ones(2))",
        drive="result = seen",
    ),
    "cuda-only-amp:2": Program(drive="result = Net()(torch.ones(2)), scaler.is_enabled()"),
    "cuda-only-amp:3": Program(
        drive="x = torch.tensor([2.0], requires_grad=True)\ny = Square.apply(x)\ny.sum().backward()\nresult = y, x.grad"
    ),
    "hardcoded-cuda:0": Program(
        drive="""
class Net(Model):
    def forward(self, x):
        return x * 2

    def loss(self, output, target=None):
        return output.sum()

m = Net()
result = m.training_step((x, x), 0), m.validation_step({"x": x, "y": x}, 0)
"""
    ),
    "hardcoded-cuda:1": Program(drive="result = Model().net(torch.ones(1, 2))"),
    "missing-super-init:0": Program(drive="result = Net(2)(torch.ones(2))"),
    "missing-super-init:1": Program(drive="result = Net(2).head.weight"),
    "missing-super-init:2": Program(drive="result = Model(None).mean"),
    "missing-super-init:3": Program(drive="result = FocalLoss(2.0)(x, x)"),
    "missing-super-init:4": Program(drive="result = Shift(2).shift"),
    "numpy-on-device-tensor:0": Program(drive="result = predict(model, loader, 'cpu')"),
    "numpy-on-device-tensor:1": Program(not_run=_NEEDS_GPU),
    "numpy-on-device-tensor:2": Program(
        drive="m = Classifier(nn.Linear(4, 2))\nresult = []\nm.log = lambda name, value: result.append(value)\n"
        "m.validation_step((torch.randn(6, 4), torch.tensor([0, 1, 0, 1, 1, 0])), 0)"
    ),
    "numpy-on-device-tensor:3": Program(setup="batch = {'image': torch.randn(8, 8)}"),
    "numpy-on-device-tensor:4": Program(drive="result = Agent(nn.Linear(2, 1), 'cpu').act([1.0, 2.0])"),
    "numpy-on-device-tensor:5": Program(not_run=_NEEDS_GPU),
    "tensor-attribute-not-buffer:0": Program(
        drive="m = Normalize()\nresult = m(torch.ones(1, 3, 2, 2)), list(m.state_dict())"
    ),
    "tensor-attribute-not-buffer:1": Program(
        drive="m = PositionalEncoding(4, 10)\nresult = m(torch.zeros(1, 5, 4)), list(m.state_dict())"
    ),
    "tensor-attribute-not-buffer:2": Program(
        drive="result = Classifier(3).training_step((torch.ones(2, 8), torch.tensor([0, 1])), 0)"
    ),
    "tensor-attribute-not-buffer:3": Program(drive="result = Attention(4, 5)(torch.ones(1, 5, 4))"),
    "byte-mask-indexing:0": Program(
        setup="lengths = torch.tensor([0, 1, 2, 0, 3])\nscores = torch.randn(5)\nvalid = torch.tensor([1, 0, 1, 1, 0])"
    ),
    "byte-mask-indexing:1": Program(
        drive="result = train_part(torch.arange(4.0), [0, 2])",
        changes="`~` of a byte mask is 254 and 255, which selects everything",
    ),
    "byte-mask-indexing:2": Program(
        drive="m = Encoder()\nm.attention = nn.MultiheadAttention(4, 2, batch_first=True)\n"
        "result = m(torch.randn(2, 3, 4), None)"
    ),
    "legacy-tensor-constructor:1": Program(drive="result = Projection(2, 3).weight.shape"),
    "removed-or-deprecated-call:0": Program(
        setup="A = torch.eye(3) * 2 + 0.1\nB, C = torch.randn(3, 3), torch.randn(3, 3)\n"
        "a, b = torch.ones(2), torch.ones(3)"
    ),
    "removed-or-deprecated-call:1": Program(
        setup="x = torch.randn(1, 2, 4, 4)\nF.cross_entropy(model(inputs), targets).backward()"
    ),
    "removed-or-deprecated-call:2": Program(
        setup="w = torch.ones(3)\nrows, columns = torch.arange(3), torch.arange(2)",
        drive="result = criterion(torch.ones(2, 3), torch.tensor([0, 1])), y, x",
    ),
    "removed-or-deprecated-call:3": Program(drive="result = each(torch.ones(3), torch.zeros(3))"),
    "item-in-training-loop:0": Program(
        drive="""
class Net(Classifier):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.result = []

    def forward(self, x):
        return self.layer(x)

    def loss(self, output, target):
        return F.cross_entropy(output, target)

    def errors(self, batch):
        return self.loss(self(batch[0]), batch[1]), torch.ones(())

    def log(self, name, value, **options):
        self.result.append(float(value))

    def log_dict(self, values):
        self.result += map(float, values.values())

m = Net()
result = m.training_step(batch, 0), m.validation_step(batch, 0), m.result
"""
    ),
    "forward-called-directly:1": Program(drive="result = Classifier()(torch.ones(2, 3, 3, 3))"),
    "loss-kept-with-graph:1": Program(drive="result = train(model, loader, optimizer, criterion)"),
    "loss-kept-with-graph:2": Program(
        setup="""
def vae_losses(output, target):
    return F.cross_entropy(output, target), output.square().mean()

beta, step, running, epoch_reconstruction, history = 0.5, 1, 0.0, 0.0, {"loss": []}
scaler = torch.amp.GradScaler("cpu")
"""
    ),
    "loss-kept-with-graph:3": Program(
        drive="""
t = Trainer()
t.optimizer, t.total_loss, t.loader = optimizer, 0.0, [{"x": images} for images, _ in loader]
t.model = lambda x: SimpleNamespace(loss=model(x).square().mean())
t.accelerator = SimpleNamespace(backward=lambda loss: loss.backward())
t.train()
result = t.total_loss, model.weight
"""
    ),
    "loss-kept-with-graph:4": Program(
        drive="m = Classifier()\nm.losses = []\nm.compute_loss = lambda batch: criterion(model(batch[0]), batch[1])\n"
        "result = m.training_step(batch, 0), m.losses"
    ),
    "loss-kept-with-graph:5": Program(setup="loaders = {'train': loader, 'val': loader[:1]}"),
    "loss-kept-with-graph:6": Program(
        setup="model = nn.Linear(4, 2)\noptimizer = optim.SGD(model.parameters(), lr=0.1)\n"
        "loader = [(torch.randn(4), torch.randn(2)) for _ in range(3)]\ntotal_class_loss, losses = 0.0, []"
    ),
    "no-grad-not-called:0": Program(setup="batch = images"),
    "no-grad-not-called:1": Program(setup="open, model = lambda name: io.StringIO('three'), len"),
    "outputs-kept-with-graph:1": Program(not_run="the example leaves out where its lists come from"),
    "outputs-kept-with-graph:2": Program(
        drive="""
class Net(Classifier):
    def forward(self, x):
        return model(x)

m = Net()
m.training_outputs = []
result = m.training_step(batch, 0), m.training_outputs
"""
    ),
    "outputs-kept-with-graph:3": Program(
        setup="""
G, D = nn.Linear(2, 4), nn.Linear(4, 1)
criterion, optimizer = nn.BCEWithLogitsLoss(), optim.SGD(G.parameters(), lr=0.1)
epochs, noise, fixed_noise, ones, pictures = 2, torch.randn(3, 2), torch.randn(3, 2), torch.ones(3, 1), []
"""
    ),
    "loss-not-returned:0": Program(
        drive="m = Classifier()\nm.log = lambda name, value: None\nm.loss = lambda batch: torch.ones(())\n"
        "result = m.training_step(batch, 0)",
        changes="a step that returns nothing is skipped by the Trainer",
    ),
    "loss-not-returned:1": Program(
        drive="m = Classifier()\nm.loss = lambda batch: model(batch[0]).mean()\n"
        "m.training_step(batch, 0).backward()\nresult = model.weight.grad",
    ),
    "removed-trainer-argument:0": Program(not_run=_NEEDS_GPU),
    "removed-trainer-argument:1": Program(drive="result = checkpoint in trainer.callbacks"),
    "removed-trainer-argument:5": Program(
        setup="""
import lightning

class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def training_step(self, batch, batch_idx):
        self.trainer.should_stop = True
        return F.cross_entropy(self.layer(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.validated = True

    def configure_optimizers(self):
        return optim.SGD(self.parameters(), lr=0.1)

samples = torch.utils.data.TensorDataset(torch.randn(4, 4), torch.tensor([0, 1, 2, 0]))
loader = val_loader = torch.utils.data.DataLoader(samples, batch_size=2)
model = Model()
""",
        drive="result = model.validated, model.layer.weight",
    ),
    "sampler-with-shuffle:0": Program(
        setup="import torch.distributed as dist\n"
        "dist.init_process_group('gloo', store=dist.HashStore(), rank=0, world_size=1)",
        drive="result = sorted(int(each) for batch in loader for each in batch)",
    ),
    "sampler-with-shuffle:1": Program(
        setup="weights = [1.0] * 8\ndef Batches(dataset):\n    return [[0, 1], [2, 3]]",
        drive="result = [batch.tolist() for batch in batches], len(list(loader))",
    ),
    "transformer-refitted-for-prediction:0": Program(
        setup="""
import pandas
pandas.DataFrame(
    {"age": [20, 30, 40, 50], "income": [1, 3, 2, 4], "churn": [0, 1, 0, 1]}
).to_csv("customers.csv", index=False)
pandas.DataFrame({"age": [70, 71], "income": [8, 9]}).to_csv("new_customers.csv", index=False)
predictions = []
print = predictions.append
""",
        drive="result = predictions",
        changes="new customers are scaled like those the model learned from",
    ),
    "transformer-refitted-for-prediction:1": Program(
        drive="p = Prices()\np.fit(np.array([[1.0], [2.0], [3.0], [40.0]]), np.array([1.0, 2.0, 3.0, 40.0]))\n"
        "result = p.predict(np.array([[np.nan], [40.0]]))",
        changes="gaps are filled with what was learned from the training data",
    ),
    "fitted-on-test:0": Program(
        setup="X, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20)",
        drive="result = X_test",
        changes="the test part is scaled like the training part",
    ),
    "sample-by-sample-conversion:0": Program(
        setup="paths = ['a.npy', 'b.npy']\nfor path in paths:\n    np.save(path, np.arange(6.0).reshape(2, 3))",
        drive="result = images",
    ),
    "sample-by-sample-conversion:1": Program(
        setup="""
class Environment:
    def reset(self):
        self.left = 3
        return np.ones(2), {}

    def step(self, action):
        self.left -= 1
        return np.ones(2) * self.left, 1.0, self.left == 0, False, {}

def act(model, state):
    return 0
""",
        drive="result = rollout(Environment(), model)",
    ),
    "sample-by-sample-conversion:2": Program(
        drive="result = collate([{'features': torch.ones(2)}, {'features': torch.zeros(2)}])"
    ),
    "scaler-without-update:1": Program(
        drive="""
Trainer.amp, Trainer.accumulate, Trainer.optimizer = False, 1, optimizer
t = Trainer()
t.scaler = torch.amp.GradScaler("cpu")
for number in range(3):
    t.step(criterion(model(inputs), targets), number)
result = model.weight
"""
    ),
    "deprecated-init:0": Program(drive="init_weights(layer)\nresult = layer"),
    "deprecated-init:1": Program(
        drive="m = Net()\nm.layers, m.norm = nn.ModuleList([layer]), nn.LayerNorm(3)\nm.reset()\nresult = m"
    ),
    "functional-dropout-always-on:0": Program(
        drive="m = Net()\nm.fc1, m.fc2 = nn.Linear(4, 50), nn.Linear(50, 2)\nresult = m.eval()(images)",
        changes=_DROPOUT,
    ),
    "functional-dropout-always-on:1": Program(
        drive="m = Classifier()\nm.conv, m.head, m.p = nn.Conv2d(3, 20, 3), nn.Flatten(), 0.5\n"
        "result = m.eval()(torch.ones(2, 3, 8, 8))",
        changes=_DROPOUT,
    ),
    "functional-dropout-always-on:2": Program(
        drive="result = Residual(0.5).eval()(torch.ones(50))",
        changes=_DROPOUT,
    ),
    "scheduler-before-optimizer:0": Program(changes="the first learning rate of the schedule is used"),
    "pretrained-argument:0": Program(not_run="needs torchvision, and weights from the network"),
    "pretrained-argument:1": Program(not_run="needs torchvision"),
    "removed-numpy-name:1": Program(
        drive="result = average_precision(np.array([0.0, 0.5, 1.0]), np.array([1.0, 0.8, 0.2]))"
    ),
}
