"""What PyTorch has deprecated and removed, by name, with the release it is from.

The releases were read off the packages themselves: 1.8 to 2.12 for the first that warns, documents or lacks
something, 2.13 for what is true now. 1.8, the oldest read, stands for 1.8 or earlier.
"""

from __future__ import annotations

from dataclasses import dataclass

OLDEST = "1.8"


@dataclass(frozen=True, slots=True)
class Deprecated:
    """A function, class, argument or module that PyTorch discourages or no longer has.

    Attributes:
        since: the release that deprecated it.
        instead: what to write, as the end of the sentence "Write …".
        removed: the release that no longer has it, or raises where it is called.
        renamed: the function to put in its place.
        alone: whether `renamed` gives the same only where the call has a single positional argument.
        exact: whether `renamed` gives the same for the same arguments.
        ignored: whether what was removed is ignored where it is still written; else it raises an error.
        silent: whether only the documentation deprecates it, so that nothing is seen at run time.
    """

    since: str
    instead: str
    removed: str | None = None
    renamed: str | None = None
    alone: bool = False
    exact: bool = True
    ignored: bool = False
    silent: bool = False


def _renamed(since: str, name: str, **more: bool | str) -> Deprecated:
    return Deprecated(since, f"`{name}(…)`", renamed=name, **more)  # type: ignore[arg-type]


_TORCHAO = Deprecated("2.8", "the equivalent in the package torchao")
_FFT = Deprecated("1.7", "the function of the module `torch.fft`, which takes and gives complex tensors", "1.8")
_FUNCTIONAL = Deprecated("2.0", "`torch.func.functional_call(module, parameters, args)`")
_MULTIGPU = Deprecated("1.13", "the function without `_multigpu`, in one process for each GPU", "2.2")

CALLS: dict[str, Deprecated] = {
    # Linear algebra
    "torch.chain_matmul": Deprecated("1.9", "`torch.linalg.multi_dot([a, b, …])`"),
    "torch.cholesky": _renamed("1.9", "torch.linalg.cholesky", alone=True),
    "torch.eig": Deprecated("1.9", "`torch.linalg.eig(A)`, which gives complex tensors", "1.13"),
    "torch.ger": _renamed("1.8", "torch.outer", silent=True),
    "torch.lstsq": Deprecated("1.9", "`torch.linalg.lstsq(A, B).solution`", "1.13"),
    "torch.lu": _renamed("1.13", "torch.linalg.lu_factor", alone=True, exact=False),  # it raises for a singular matrix
    "torch.lu_solve": Deprecated("1.13", "`torch.linalg.lu_solve(LU, pivots, B)`", silent=True),
    "torch.matrix_rank": _renamed("1.9", "torch.linalg.matrix_rank", removed="1.13", alone=True),
    "torch.norm": Deprecated("1.8", "`torch.linalg.vector_norm(…)` or `torch.linalg.matrix_norm(…)`", silent=True),
    "torch.qr": _renamed("1.9", "torch.linalg.qr", alone=True),
    "torch.solve": Deprecated("1.9", "`torch.linalg.solve(A, B)`, which gives the solution alone", "1.12"),
    "torch.svd": Deprecated("1.8", "`torch.linalg.svd(A, full_matrices=False)`, which gives Vh for V", silent=True),
    "torch.symeig": Deprecated("1.9", "`torch.linalg.eigh(A)`, or `torch.linalg.eigvalsh(A)` for values alone", "2.0"),
    "torch.triangular_solve": Deprecated("1.11", "`torch.linalg.solve_triangular(A, B, upper=…)`"),
    # Tensors
    "torch.autograd.Variable": Deprecated("1.8", "the tensor itself", silent=True),
    "torch.fft": _FFT,
    "torch.ifft": _FFT,
    "torch.irfft": _FFT,
    "torch.range": Deprecated("1.8", "`torch.arange(start, end)`, which leaves the end out"),
    "torch.rfft": _FFT,
    "torch.set_default_tensor_type": Deprecated(
        "2.1", "`torch.set_default_dtype(…)` and `torch.set_default_device(…)`"
    ),
    "torch.sparse.FloatTensor": _renamed("2.1", "torch.sparse_coo_tensor", exact=False),
    "torch.sparse.LongTensor": _renamed("2.1", "torch.sparse_coo_tensor", exact=False),
    # Layers, losses and their functions
    "torch.nn.NLLLoss2d": _renamed("1.8", "torch.nn.NLLLoss"),
    "torch.nn.UpsamplingBilinear2d": Deprecated(
        "1.8", '`torch.nn.Upsample(…, mode="bilinear", align_corners=True)`', silent=True
    ),
    "torch.nn.UpsamplingNearest2d": _renamed("1.8", "torch.nn.Upsample", silent=True),
    "torch.nn.functional.upsample": _renamed("1.8", "torch.nn.functional.interpolate"),
    "torch.nn.functional.upsample_bilinear": Deprecated(
        "1.8", '`torch.nn.functional.interpolate(…, mode="bilinear", align_corners=True)`'
    ),
    "torch.nn.functional.upsample_nearest": _renamed("1.8", "torch.nn.functional.interpolate"),
    "torch.nn.utils.clip_grad_norm": _renamed("1.8", "torch.nn.utils.clip_grad_norm_"),
    "torch.nn.utils.stateless.functional_call": _FUNCTIONAL,
    "torch.nn.utils.weight_norm": _renamed("2.1", "torch.nn.utils.parametrizations.weight_norm", exact=False),
    # functorch
    "functorch.functionalize": _renamed("2.0", "torch.func.functionalize"),
    "functorch.grad": _renamed("2.0", "torch.func.grad"),
    "functorch.grad_and_value": _renamed("2.0", "torch.func.grad_and_value"),
    "functorch.hessian": _renamed("2.0", "torch.func.hessian"),
    "functorch.jacfwd": _renamed("2.0", "torch.func.jacfwd"),
    "functorch.jacrev": _renamed("2.0", "torch.func.jacrev"),
    "functorch.jvp": _renamed("2.0", "torch.func.jvp"),
    "functorch.make_functional": _FUNCTIONAL,
    "functorch.make_functional_with_buffers": _FUNCTIONAL,
    "functorch.vjp": _renamed("2.0", "torch.func.vjp"),
    "functorch.vmap": _renamed("2.0", "torch.func.vmap"),
    # Quantization
    **{
        f"{package}.{name}": _TORCHAO
        for package in ("torch.ao.quantization", "torch.quantization")
        for name in ("convert", "prepare", "prepare_qat", "quantize", "quantize_dynamic", "quantize_qat")
    },
    # CUDA and distributed
    "torch.backends.cuda.sdp_kernel": Deprecated("2.3", "`torch.nn.attention.sdpa_kernel(…)`, which takes backends"),
    "torch.cpu.amp.autocast": Deprecated("2.4", '`torch.amp.autocast("cpu", …)`'),
    "torch.cuda.max_memory_cached": _renamed("1.8", "torch.cuda.max_memory_reserved"),
    "torch.cuda.memory_cached": _renamed("1.8", "torch.cuda.memory_reserved"),
    "torch.cuda.reset_max_memory_allocated": _renamed("1.8", "torch.cuda.reset_peak_memory_stats"),
    "torch.cuda.reset_max_memory_cached": _renamed("1.8", "torch.cuda.reset_peak_memory_stats"),
    "torch.distributed.all_gather_multigpu": _MULTIGPU,
    "torch.distributed.all_reduce_multigpu": _MULTIGPU,
    "torch.distributed.broadcast_multigpu": _MULTIGPU,
    "torch.distributed.reduce_multigpu": _MULTIGPU,
    "torch.distributed.reduce_scatter_multigpu": _MULTIGPU,
    "torch.distributed._all_gather_base": _renamed("1.13", "torch.distributed.all_gather_into_tensor"),
    "torch.distributed._reduce_scatter_base": _renamed("1.13", "torch.distributed.reduce_scatter_tensor"),
    "torch.distributed.checkpoint.load_state_dict": Deprecated("2.2", "`torch.distributed.checkpoint.load(…)`"),
    "torch.distributed.checkpoint.save_state_dict": Deprecated("2.2", "`torch.distributed.checkpoint.save(…)`"),
    "torch.utils._pytree._register_pytree_node": _renamed("2.2", "torch.utils._pytree.register_pytree_node"),
    # Export, settings, tests
    "torch._export.capture_pre_autograd_graph": Deprecated("2.4", "`torch.export.export(…).module()`", "2.7"),
    "torch.export.export_for_training": _renamed("2.9", "torch.export.export", removed="2.11", exact=False),
    "torch.is_deterministic": _renamed("1.8", "torch.are_deterministic_algorithms_enabled", removed="1.10"),
    "torch.library.impl_abstract": _renamed("2.4", "torch.library.register_fake"),
    "torch.onnx.dynamo_export": Deprecated("2.7", "`torch.onnx.export(…, dynamo=True)`", "2.9"),
    "torch.onnx.export_to_pretty_string": Deprecated("2.5", "`torch.onnx.export(…)`, and print what it gives", "2.6"),
    "torch.set_deterministic": _renamed("1.8", "torch.use_deterministic_algorithms", removed="1.10"),
    "torch.testing.assert_allclose": _renamed("1.12", "torch.testing.assert_close", exact=False),
}

# Methods whose name alone tells what they are called on.
METHODS: dict[str, Deprecated] = {
    "print_lr": Deprecated("2.4", "`print(scheduler.get_last_lr())`", "2.7"),
    "register_backward_hook": Deprecated("1.8", "`register_full_backward_hook(…)`", silent=True),
    "symeig": Deprecated("1.9", "`torch.linalg.eigh(A)`, or `torch.linalg.eigvalsh(A)` for values alone", "2.0"),
}

# Arguments that a call should have: name and position.
_DIM = "`dim=…`: without it the dimension depends on how many the tensor has"
_CHECKPOINT = Deprecated("2.1", "`use_reentrant=False`, which the documentation recommends")
MISSING: dict[str, tuple[str, int | None, Deprecated]] = {
    **{
        f"torch.nn.functional.{name}": ("dim", 1, Deprecated("1.8", _DIM))
        for name in ("log_softmax", "softmax", "softmin")
    },
    **{f"torch.nn.{name}": ("dim", 0, Deprecated("1.8", _DIM)) for name in ("LogSoftmax", "Softmax", "Softmin")},
    "torch.cross": ("dim", 2, Deprecated("2.2", "`dim=…`: without it the first dimension of size 3 is taken")),
    "torch.meshgrid": ("indexing", None, Deprecated("1.10", '`indexing="ij"`, which is what you get without it')),
    "torch.stft": (
        "return_complex",
        None,
        Deprecated("1.8", "`return_complex=True`, and use the complex result", "2.0"),
    ),
    "torch.utils.checkpoint.checkpoint": ("use_reentrant", None, _CHECKPOINT),
    "torch.utils.checkpoint.checkpoint_sequential": ("use_reentrant", None, _CHECKPOINT),
}

# Arguments that a call should not have, by the last part of the call's name.
_REDUCTION = Deprecated("1.8", '`reduction="mean"`, `"sum"` or `"none"`')
LOSSES = frozenset(
    [
        f"torch.nn.{name}Loss"
        for name in "BCE BCEWithLogits CosineEmbedding CrossEntropy HingeEmbedding KLDiv L1".split()
    ]
    + [f"torch.nn.{name}Loss" for name in "MSE MarginRanking MultiLabelMargin MultiLabelSoftMargin MultiMargin".split()]
    + [f"torch.nn.{name}Loss" for name in "NLL PoissonNLL SmoothL1 SoftMargin TripletMargin".split()]
    + [f"torch.nn.functional.{name}_loss" for name in "cosine_embedding hinge_embedding l1 margin_ranking mse".split()]
    + [f"torch.nn.functional.{name}_loss" for name in "multi_margin multilabel_margin multilabel_soft_margin".split()]
    + [f"torch.nn.functional.{name}_loss" for name in "nll poisson_nll smooth_l1 soft_margin triplet_margin".split()]
    + [f"torch.nn.functional.{name}" for name in ("binary_cross_entropy", "cross_entropy", "kl_div")]
    + ["torch.nn.functional.binary_cross_entropy_with_logits"]
)
SCHEDULERS = frozenset(
    f"torch.optim.lr_scheduler.{name}"
    for name in "ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts CyclicLR ExponentialLR LambdaLR LinearLR "
    "MultiStepLR MultiplicativeLR OneCycleLR PolynomialLR ReduceLROnPlateau SequentialLR StepLR".split()
)
ARGUMENTS: dict[str, dict[str, Deprecated]] = {
    **{loss: {"size_average": _REDUCTION, "reduce": _REDUCTION} for loss in LOSSES},
    **{
        scheduler: {"verbose": Deprecated("2.2", "`print(scheduler.get_last_lr())` where you want to see it", "2.7")}
        for scheduler in SCHEDULERS
    },
    "torch.autograd.Variable": {
        "volatile": Deprecated("1.8", "`with torch.no_grad():` around it", "1.8", ignored=True)
    },
    "torch.autograd.profiler.profile": {"use_cuda": Deprecated("2.4", '`use_device="cuda"`')},
    "torch.profiler.profile": {
        "use_cuda": Deprecated("1.8", "`activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]`")
    },
}

# Modules that can no longer be imported.
MODULES: dict[str, Deprecated] = {
    "torch._six": Deprecated("2.0", "`math.inf`, `str`, or `collections.abc` for what it held", "2.0"),
    "torch.distributed.pipeline": Deprecated("2.4", "`torch.distributed.pipelining`", "2.4"),
    "torch.utils.bottleneck": Deprecated("2.10", "`torch.profiler`", "2.10"),
    "torch.utils.ffi": Deprecated("1.8", "`torch.utils.cpp_extension`", "1.8"),
}
