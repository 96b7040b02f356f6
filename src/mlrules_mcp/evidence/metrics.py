"""Metrics: which of them a project computes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.code import Fact

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

METRICS = (
    "torchmetrics.* tensorflow.keras.metrics.* keras.metrics.* evaluate.load datasets.load_metric "
    "segmentation_models_pytorch.metrics.* pycocotools.cocoeval.COCOeval seqeval.metrics.* sacrebleu.* rouge_score.* "
    "jiwer.wer jiwer.cer ignite.metrics.* scipy.stats.spearmanr scipy.stats.pearsonr"
)
# Parts of names of functions that compute a metric, each with what it is.
NAMES = {
    "accuracy": "accuracy",
    "f1": "F score",
    "fbeta": "F score",
    "fscore": "F score",
    "f_score": "F score",
    "precision": "precision",
    "recall": "recall",
    "sensitivity": "recall",
    "specificity": "specificity",
    "roc_auc": "ROC AUC",
    "auroc": "ROC AUC",
    "average_precision": "average precision",
    "mean_average_precision": "average precision",
    "iou": "IoU",
    "jaccard": "IoU",
    "dice": "Dice",
    "rmse": "root mean squared error",
    "root_mean_squared_error": "root mean squared error",
    "mse": "mean squared error",
    "mean_squared_error": "mean squared error",
    "mae": "mean absolute error",
    "mean_absolute_error": "mean absolute error",
    "mape": "mean absolute percentage error",
    "mean_absolute_percentage_error": "mean absolute percentage error",
    "mspe": "mean squared percentage error",
    "r2": "R²",
    "bleu": "BLEU",
    "rouge": "ROUGE",
    "perplexity": "perplexity",
    "wer": "word error rate",
    "word_error_rate": "word error rate",
    "cer": "character error rate",
    "character_error_rate": "character error rate",
    "log_loss": "log loss",
    "brier": "Brier score",
    "matthews": "Matthews correlation",
    "cohen_kappa": "Cohen's kappa",
    "spearman": "rank correlation",
    "pearson": "correlation",
    "psnr": "PSNR",
    "ssim": "SSIM",
    "ndcg": "NDCG",
    "hits": "hits",
    "mrr": "MRR",
}
DEFINITIONS = " ".join(NAMES)
_SEVERAL = {
    "classification_report": ("precision", "recall", "F score"),
    "precision_recall_fscore_support": ("precision", "recall", "F score"),
    "precision_recall_curve": ("precision", "recall"),
    "confusion_matrix": ("confusion matrix",),
    "MetricCollection": ("several metrics", "and more of them"),
    "COCOeval": ("average precision", "recall"),
}
_NO_METRIC = frozenset({"MeanMetric", "MaxMetric", "MinMetric", "SumMetric", "CatMetric", "Metric", "auc", "Mean"})
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NAMED = re.compile(
    r"_*((compute|calculate|calc|get|eval|mean|macro|micro|weighted|binary|multi_?class|multi_?label|masked|batch|pixel|"
    r"top_?k|balanced|custom|avg|average)_)*(" + "|".join(sorted(NAMES, key=len, reverse=True)) + r")"
    r"(_?(score|coeff?|coefficient|metric|value|per_class|at_k|top_?k|np|fn|func|torch|macro|micro|batch))*$"
)


def computed(project: Facts) -> dict[str, Fact]:
    """What a project measures, each metric once, with the first place that computes it."""
    found: dict[str, Fact] = {}
    for fact in (*project.landmarks("trade:metric"), *project.calls(*METRICS.split())):
        for name in _of_call(fact):
            found.setdefault(name, fact)
    for fact in project.definitions(*NAMES):
        if fact.text.startswith("class ") and "metric" not in fact.text.lower():
            continue  # MAE is a masked autoencoder, too
        if (named := _NAMED.match(_snake(fact.called))) and (meant := _meant(named[0])):
            found.setdefault(meant, fact)
    return found


def _of_call(fact: Fact) -> Iterator[str]:
    last = fact.called.rpartition(".")[2]
    if last in _NO_METRIC:
        return
    if last in ("load", "load_metric"):
        yield fact.arguments[0] if fact.arguments else "a loaded metric"
    elif last in _SEVERAL:
        yield from _SEVERAL[last]
    else:
        yield _meant(last) or _snake(last)


def _meant(name: str) -> str | None:
    snake = f"_{_snake(name)}_"
    fitting = [part for part in NAMES if f"_{part}_" in snake or f"_{part}score_" in snake]
    return NAMES[max(fitting, key=len)] if fitting else None


def _snake(name: str) -> str:
    return _WORD.sub("_", name).lower()
