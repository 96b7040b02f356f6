from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.code import Fact, fact_at
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import DEEP_TRAINING, ESTIMATOR, NETWORK, PRETRAINED, SERVING, TRAINING
from mlrules_mcp.evidence.networks import NO_NETWORK, TRAINED

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts
    from mlrules_mcp.evidence.tree import Role
    from mlrules_mcp.source import Module

_CALLS = (
    "shap.* lime.* captum.* eli5.* interpret.* alibi.explainers.* dalex.* dice_ml.* pytorch_grad_cam.* torchcam.* "
    "sklearn.inspection.* treeinterpreter.* xgboost.plot_importance lightgbm.plot_importance sklearn.tree.plot_tree "
    "sklearn.tree.export_text bertviz.* transformer_lens.* torch_geometric.explain.* lucent.* tf_explain.* "
    "yellowbrick.*"
)
_DEFINITIONS = "gradcam grad_cam saliency integrated_gradient explainer explain_ feature_importance attribution_map"
_ATTRIBUTES = frozenset({"feature_importances_", "coef_", "get_feature_importance"})


class Interpretability(Collector):
    """Somebody can see why the model says what it says.

    ## Met
    Calls of SHAP, LIME, Captum, Alibi, Grad-CAM or scikit-learn's inspection; importances or coefficients that are
    read; functions or classes of the project that explain predictions.

    ## Broken
    Never: what is missing has no place.

    ## Not applicable
    There is no model here.

    ## Never counts
    Correlations of the data; plots of the loss.

    ## References
    - https://christophm.github.io/interpretable-ml-book/
    - https://captum.ai/
    """

    asks = Asked.of(calls=_CALLS, definitions=_DEFINITIONS)
    would_count = "SHAP, LIME, Captum, Grad-CAM, permutation importance, or importances of features that are read"
    examples = (
        Example(
            {"train.py": TRAINED, "explain.py": "import shap\n\nexplainer = shap.Explainer(model)\n"},
            "met",
            ["explain.py:3"],
        ),
        Example({"train.py": TRAINED, "requirements.txt": "shap\n"}, "no_evidence"),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where there is no model."""
        if project.landmarks(TRAINING, DEEP_TRAINING, NETWORK, ESTIMATOR, PRETRAINED, SERVING):
            return None
        return project.lacks("code") or f"There is no model here{project.extent}."

    def look(self, module: Module, role: Role) -> Iterator[Fact]:
        """Importances and coefficients of estimators that are read."""
        if not module.imported_packages & {"sklearn", "xgboost", "lightgbm", "catboost", "statsmodels"}:
            return
        for attribute in module.nodes(ast.Attribute):
            if attribute.attr in _ATTRIBUTES and isinstance(attribute.ctx, ast.Load):
                yield fact_at(module, role, attribute, attribute.attr)

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Libraries, importances, functions."""
        yield from (of(fact) for fact in project.calls(*_CALLS.split()) if not fact.name.endswith(".initjs"))
        yield from (of(fact) for fact in project.notes(self.rule))
        yield from (of(fact) for fact in project.definitions(*_DEFINITIONS.split()))

    def next_step(self, project: Facts) -> NextStep:
        """A script that explains the kind of model that is here."""
        if project.landmarks(NETWORK, DEEP_TRAINING) and not project.landmarks(ESTIMATOR):
            network = next(iter(project.landmarks(NETWORK)), None)
            name = network.called if network and network.called.isidentifier() else "the network"
            content = f'''"""Which inputs decide what {name} says: attributions by integrated gradients."""

import torch
from captum.attr import IntegratedGradients


def attributions(model: torch.nn.Module, inputs: torch.Tensor, target: int) -> torch.Tensor:
    """How much each input speaks for a class, of the shape of `inputs`. Look at right and at wrong predictions."""
    model.eval()
    return IntegratedGradients(model).attribute(inputs, baselines=torch.zeros_like(inputs), target=target)
'''
        else:
            content = '''"""Which columns the model needs: how much worse it gets when one of them is shuffled."""

import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.inspection import permutation_importance


def importances(model: BaseEstimator, X: pd.DataFrame, y: pd.Series) -> pd.Series:
    """The loss of score by column, on data that the model was not fitted on; what it needs most comes first."""
    result = permutation_importance(model, X, y, n_repeats=10, random_state=0)
    return pd.Series(result.importances_mean, X.columns).sort_values(ascending=False)
'''
        return NextStep("Look at what the model's predictions depend on", "small", "explain.py", content)
