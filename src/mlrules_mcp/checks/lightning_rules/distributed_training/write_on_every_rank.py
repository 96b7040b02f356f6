from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING, STEPS
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import is_callback, is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.values import LIGHTNING_MODULE

# Hooks that every process runs once an epoch or once a run.
_ONCE = pattern(
    r"^on_(train|validation|test|predict|fit)_(epoch_)?(start|end)$|^on_(save_checkpoint|exception)$|^[a-z]+_epoch_end$"
)
_METHODS = frozenset(
    "to_csv to_json to_parquet to_pickle to_excel to_feather savefig save_pretrained write_text write_bytes".split()
)
# Functions that write a file, each with the position of its path.
_FUNCTIONS = {
    "torch.save": 1,
    "numpy.save": 0,
    "numpy.savez": 0,
    "numpy.savetxt": 0,
    "numpy.savez_compressed": 0,
    "joblib.dump": 1,
    "torchvision.utils.save_image": 1,
    "cv2.imwrite": 0,
    "imageio.imwrite": 0,
    "imageio.mimsave": 0,
    "matplotlib.pyplot.savefig": 0,
    "builtins.open": 0,
}
_PROCESS = pattern(r"rank|global_zero|is_main|is_master|main_process|world_size|process_index|device", re.IGNORECASE)


class WriteOnEveryRank(Check[ast.ClassDef]):
    """A file that every process writes.

    ## What it does
    Finds files written in hooks of a LightningModule or a Callback that all processes run once an epoch or once a run,
    without asking which process it is; in steps only those with a fixed name.

    ## Why it matters
    With several devices all processes write the same path at once: the file is that of whichever was last, or torn,
    and each knows its own part of the data only.

    ## Do not flag
    Code under `trainer.is_global_zero`, `global_rank == 0` or `@rank_zero_only`; paths that hold the rank;
    files that a step writes for its own batch; `prepare_data`; reading; tests.

    ## Fix safety
    No fix: what the processes know may have to be gathered before one of them writes.

    ## References
    - https://lightning.ai/docs/pytorch/stable/accelerators/accelerator_prepare.html
    - https://lightning.ai/docs/pytorch/stable/common/trainer.html#is-global-zero
    """

    packages = LIGHTNING
    examples = (
        Bad(
            """
            import lightning as L
            import torch

            class Classifier(L.LightningModule):
                def on_validation_epoch_end(self):
                    «torch.save(self.outputs, "outputs.pt")»
                    self.outputs.clear()

                def test_epoch_end(self, outputs):
                    «torch.save(outputs, self.path)»
            """
        ),
        Bad(
            """
            import pandas as pd
            from lightning.pytorch import Callback

            class Report(Callback):
                def on_test_end(self, trainer, pl_module):
                    «pd.DataFrame(pl_module.rows).to_csv(self.path)»
                    with ‹open(self.log, "a")› as file:
                        file.write("done")
            """
        ),
        Bad(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def test_step(self, batch, batch_idx):
                    with «open("predictions.txt", mode="a")» as file:
                        file.write(str(self(batch)))
            """
        ),
        Good(
            """
            import lightning as L
            import torch
            from lightning.pytorch.utilities import rank_zero_only

            class Classifier(L.LightningModule):
                def prepare_data(self):
                    torch.save(download(), "data.pt")

                def on_fit_start(self):
                    with open("classes.txt") as file:
                        self.classes = file.read().split()

                def on_validation_epoch_end(self):
                    outputs = self.all_gather(self.outputs)
                    if self.trainer.is_global_zero:
                        torch.save(outputs, "outputs.pt")
                    torch.save(self.outputs, f"outputs_{self.global_rank}.pt")

                @rank_zero_only
                def on_train_end(self):
                    torch.save(self.state_dict(), "weights.pt")

                def on_test_end(self):
                    if self.trainer.global_rank != 0:
                        return
                    torch.save(self.scores, "scores.pt")

                def predict_step(self, batch, batch_idx):
                    torch.save(self(batch), self.folder / f"{batch_idx}.pt")

                def export(self):
                    torch.save(self.state_dict(), "weights.pt")
            """
        ),
    )

    def check(self, node: ast.ClassDef, module: Module) -> Iterator[Finding]:
        if not (module.is_subclass(node, LIGHTNING_MODULE) or is_callback(module, node)) or is_test(module):
            return
        for method in module.methods(node):
            once = bool(_ONCE.match(method.name))
            if not once and method.name not in STEPS:
                continue
            for call in (each for each in module.walk(method.body) if isinstance(each, ast.Call)):
                path = _written_path(module, call)
                if path is not None and (once or _is_fixed(module, path)) and not _is_one_process(module, call, path):
                    yield self.finding(
                        module,
                        call,
                        "With several devices every process writes this file at once, each with its own part of the "
                        "data. Gather what is needed, and write under `if self.trainer.is_global_zero:`.",
                    )


def _written_path(module: Module, call: ast.Call) -> ast.expr | None:
    """The path of a file that a call writes; None for other calls."""
    name = module.qualified_name(call.func)
    if name in _FUNCTIONS:
        if name == "builtins.open" and not _is_for_writing(call):
            return None
        return argument(call, "f" if name == "torch.save" else "file", _FUNCTIONS[name])
    if isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS and call.args:
        return call.args[0] if not call.func.attr.startswith("write_") else call.func.value
    return None


def _is_for_writing(call: ast.Call) -> bool:
    mode = argument(call, "mode", 1)
    return isinstance(mode, ast.Constant) and isinstance(mode.value, str) and bool(set(mode.value) & set("wax"))


def _is_fixed(module: Module, path: ast.expr) -> bool:
    return all(isinstance(origin, ast.Constant) for origin in module.origins(path))


def _is_one_process(module: Module, call: ast.Call, path: ast.expr) -> bool:
    """Whether a call is left to one process, or writes a file of its own in each."""
    return (
        any(_PROCESS.search(ast.unparse(guard.test)) for guard in module.guards(call))
        or any(_PROCESS.search(name) for name in module.decorator_names(call))
        or any(_PROCESS.search(ast.unparse(origin)) for origin in (path, *module.origins(path)))
    )
