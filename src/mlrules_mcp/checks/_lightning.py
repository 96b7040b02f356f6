"""What Lightning's releases removed, and what its Trainer passes to hooks: facts of the library, seen on 2.6.6.

Versions are those of Lightning's changelog; what each removal does at run time was tried on 2.6.6.
"""

from __future__ import annotations

from typing import NamedTuple

LIGHTNING = frozenset({"lightning", "lightning_fabric"})

TRAINER = "lightning.pytorch.Trainer"
LIGHTNING_DATA_MODULE = "lightning.pytorch.LightningDataModule"
CALLBACKS = ("lightning.pytorch.Callback", "lightning.pytorch.callbacks.Callback")
MODEL_CHECKPOINT = "lightning.pytorch.callbacks.ModelCheckpoint"
MODEL_CHECKPOINTS = (MODEL_CHECKPOINT, "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint")
EARLY_STOPPING = "lightning.pytorch.callbacks.EarlyStopping"
EARLY_STOPPINGS = (EARLY_STOPPING, "lightning.pytorch.callbacks.early_stopping.EarlyStopping")

STEPS = ("training_step", "validation_step", "test_step", "predict_step")


class Removed(NamedTuple):
    """Something that a release removed.

    Attributes:
        since: the first release without it.
        instead: what to write in its place, in the words of a message.
    """

    since: str
    instead: str


# `fit`, or `test`, raises a NotImplementedError where a LightningModule has one of these.
REFUSED_HOOKS = {
    f"{stage}_epoch_end": Removed(
        "2.0",
        f"Collect the outputs in an attribute of the module and use them in `on_{name}_epoch_end(self)`, "
        "or let `self.log` average them",
    )
    for stage, name in (("training", "train"), ("validation", "validation"), ("test", "test"))
}

_BY_LOADER = {
    f"on_{stage}_dataloader": Removed("1.7", f"Write it into `{stage}_dataloader`")
    for stage in ("train", "val", "test", "predict")
}
_STEP_ENDS = {
    f"{stage}_step_end": Removed("2.0", f"Write it at the end of `{stage}_step`")
    for stage in ("training", "validation", "test")
}
_MANY_LOOPS = {
    "on_epoch_start": Removed("1.8", "Write `on_train_epoch_start`, and its twins for validation and test"),
    "on_epoch_end": Removed("1.8", "Write `on_train_epoch_end`, and its twins for validation and test"),
    "on_batch_start": Removed("1.8", "Write `on_train_batch_start`"),
    "on_batch_end": Removed("1.8", "Write `on_train_batch_end`"),
    "on_pretrain_routine_start": Removed("1.8", "Write `on_fit_start`"),
    "on_pretrain_routine_end": Removed("1.8", "Write `on_fit_start`"),
}
# The Trainer does not know these any more and leaves them uncalled, without a word.
UNCALLED_HOOKS = {
    **_BY_LOADER,
    **_STEP_ENDS,
    **_MANY_LOOPS,
    "training_end": Removed("1.0", "Write it at the end of `training_step`"),
    "validation_end": Removed("1.0", "Write `on_validation_epoch_end(self)`"),
    "test_end": Removed("1.0", "Write `on_test_epoch_end(self)`"),
    "on_hpc_save": Removed("1.8", "Write `on_save_checkpoint`"),
    "on_hpc_load": Removed("1.8", "Write `on_load_checkpoint`"),
    "on_post_move_to_device": Removed("1.7", "Tie weights in `__init__` or `configure_model`"),
    "get_progress_bar_dict": Removed("1.7", "Override `get_metrics` of the progress bar callback"),
    "tbptt_split_batch": Removed("2.0", "Loop over the parts of the sequence with manual optimization"),
    "log_grad_norm": Removed("2.0", "Log `lightning.pytorch.utilities.grad_norm` in `on_before_optimizer_step`"),
}
UNCALLED_CALLBACK_HOOKS = {
    **_MANY_LOOPS,
    "on_init_start": Removed("1.8", "Write `setup`"),
    "on_init_end": Removed("1.8", "Write `setup`"),
    "on_keyboard_interrupt": Removed("1.7", "Write `on_exception`"),
    "on_before_accelerator_backend_setup": Removed("1.8", "Write `setup`"),
    "on_configure_sharded_model": Removed("1.8", "Write `setup`"),
}

# What the Trainer passes to the hooks of a LightningModule or LightningDataModule, after `self`.
HOOK_PARAMETERS: dict[str, tuple[str, ...]] = {
    **{
        f"on_{stage}_{part}": ()
        for stage in ("train", "validation", "test", "predict")
        for part in ("start", "end", "epoch_start", "epoch_end")
    },
    "on_fit_start": (),
    "on_fit_end": (),
    "on_train_batch_start": ("batch", "batch_idx"),
    "on_train_batch_end": ("outputs", "batch", "batch_idx"),
    "on_before_backward": ("loss",),
    "on_after_backward": (),
    "on_before_zero_grad": ("optimizer",),
    "on_before_optimizer_step": ("optimizer",),
    "optimizer_step": ("epoch", "batch_idx", "optimizer", "optimizer_closure"),
    "optimizer_zero_grad": ("epoch", "batch_idx", "optimizer"),
    "lr_scheduler_step": ("scheduler", "metric"),
    "backward": ("loss",),
    "configure_optimizers": (),
    "configure_callbacks": (),
    "configure_model": (),
    "on_save_checkpoint": ("checkpoint",),
    "on_load_checkpoint": ("checkpoint",),
    "on_before_batch_transfer": ("batch", "dataloader_idx"),
    "on_after_batch_transfer": ("batch", "dataloader_idx"),
    "transfer_batch_to_device": ("batch", "device", "dataloader_idx"),
    "prepare_data": (),
    "train_dataloader": (),
    "val_dataloader": (),
    "test_dataloader": (),
    "predict_dataloader": (),
    "setup": ("stage",),
    "teardown": ("stage",),
}
# Hooks whose arguments depend on the run.
OTHER_HOOKS = frozenset(
    {f"on_{stage}_batch_{part}" for stage in ("validation", "test", "predict") for part in ("start", "end")}
    | {f"on_{stage}_model_{mode}" for stage in ("validation", "test") for mode in ("eval", "train")}
    | {"on_predict_model_eval", "on_validation_model_zero_grad", "configure_gradient_clipping", "forward"}
    | {"configure_sharded_model", "on_exception", "state_dict", "load_state_dict"}
)
# Of those above, what the Trainer passes to a Callback, after `self`, `trainer` and `pl_module`.
CALLBACK_HOOKS = frozenset(
    {name for name in HOOK_PARAMETERS if name.startswith("on_") and "transfer" not in name}
    | {"on_sanity_check_start", "on_sanity_check_end", "setup", "teardown"}
)
# What is passed by keyword, so that the parameter's name counts.
BY_KEYWORD = frozenset({"stage"})

REMOVED_TRAINER_ARGUMENTS = {
    "gpus": Removed("2.0", '`accelerator="gpu", devices=…`'),
    "tpu_cores": Removed("2.0", '`accelerator="tpu", devices=…`'),
    "ipus": Removed("2.0", "another accelerator: IPUs are not supported any more"),
    "num_processes": Removed("2.0", '`accelerator="cpu", devices=…`'),
    "auto_select_gpus": Removed("2.0", '`devices="auto"`'),
    "resume_from_checkpoint": Removed("2.0", "`trainer.fit(…, ckpt_path=…)`"),
    "auto_lr_find": Removed("2.0", "`Tuner(trainer).lr_find(model)` or the callback `LearningRateFinder`"),
    "auto_scale_batch_size": Removed(
        "2.0", "`Tuner(trainer).scale_batch_size(model)` or the callback `BatchSizeFinder`"
    ),
    "replace_sampler_ddp": Removed("2.0", "`use_distributed_sampler=…`"),
    "amp_backend": Removed("2.0", '`precision="16-mixed"`'),
    "amp_level": Removed("2.0", '`precision="16-mixed"`'),
    "move_metrics_to_cpu": Removed("2.0", "nothing: metrics stay where they are"),
    "track_grad_norm": Removed("2.0", "`self.log_dict(grad_norm(self, norm_type=2))` in `on_before_optimizer_step`"),
    "multiple_trainloader_mode": Removed("2.0", "`CombinedLoader(loaders, mode=…)`"),
    "weights_save_path": Removed("1.8", "`ModelCheckpoint(dirpath=…)`"),
    "weights_summary": Removed("1.7", "`enable_model_summary=…` or the callback `ModelSummary`"),
    "flush_logs_every_n_steps": Removed("1.7", "the logger's own setting"),
    "process_position": Removed("1.7", "the callback `TQDMProgressBar(process_position=…)`"),
    "checkpoint_callback": Removed("1.7", "`enable_checkpointing=…`, and a `ModelCheckpoint` among `callbacks`"),
    "stochastic_weight_avg": Removed("1.7", "the callback `StochasticWeightAveraging`"),
    "progress_bar_refresh_rate": Removed("1.7", "the callback `TQDMProgressBar(refresh_rate=…)`"),
    "prepare_data_per_node": Removed("1.7", "the attribute `prepare_data_per_node` of the module or data module"),
    "terminate_on_nan": Removed("1.7", "`detect_anomaly=…`"),
    "log_gpu_memory": Removed("1.7", "the callback `DeviceStatsMonitor`"),
    "reload_dataloaders_every_epoch": Removed("1.6", "`reload_dataloaders_every_n_epochs=1`"),
    "distributed_backend": Removed("1.5", "`strategy=…`"),
    "truncated_bptt_steps": Removed("1.5", "a loop over the parts of the sequence with manual optimization"),
    "automatic_optimization": Removed("1.3", "`self.automatic_optimization = False` in the module"),
    "enable_pl_optimizer": Removed("1.3", "nothing: it is always on"),
    "early_stop_callback": Removed("1.0", "the callback `EarlyStopping` among `callbacks`"),
    "val_percent_check": Removed("1.0", "`limit_val_batches=…`"),
    "train_percent_check": Removed("1.0", "`limit_train_batches=…`"),
    "test_percent_check": Removed("1.0", "`limit_test_batches=…`"),
    "overfit_pct": Removed("1.0", "`overfit_batches=…`"),
    "row_log_interval": Removed("1.0", "`log_every_n_steps=…`"),
    "log_save_interval": Removed("1.0", "the logger's own setting"),
    "max_nb_epochs": Removed("1.0", "`max_epochs=…`"),
    "min_nb_epochs": Removed("1.0", "`min_epochs=…`"),
    "nb_gpu_nodes": Removed("1.0", "`num_nodes=…`"),
    "nb_sanity_val_steps": Removed("1.0", "`num_sanity_val_steps=…`"),
    "default_save_path": Removed("1.0", "`default_root_dir=…`"),
    "gradient_clip": Removed("1.0", "`gradient_clip_val=…`"),
    "use_amp": Removed("1.0", '`precision="16-mixed"`'),
    "print_nan_grads": Removed("1.0", "`detect_anomaly=True`"),
    "show_progress_bar": Removed("1.0", "`enable_progress_bar=…`"),
    "progress_bar_callback": Removed("1.0", "the callback among `callbacks`"),
}
# Those whose values mean the same under another name.
RENAMED_TRAINER_ARGUMENTS = {
    "replace_sampler_ddp": "use_distributed_sampler",
    "val_percent_check": "limit_val_batches",
    "train_percent_check": "limit_train_batches",
    "test_percent_check": "limit_test_batches",
    "row_log_interval": "log_every_n_steps",
    "max_nb_epochs": "max_epochs",
    "min_nb_epochs": "min_epochs",
    "nb_gpu_nodes": "num_nodes",
    "nb_sanity_val_steps": "num_sanity_val_steps",
    "default_save_path": "default_root_dir",
    "gradient_clip": "gradient_clip_val",
    "show_progress_bar": "enable_progress_bar",
}
# Values that were the default, so that the argument can be left out.
DROPPED_AT_DEFAULT: dict[str, tuple[object, ...]] = {
    "auto_select_gpus": (False,),
    "resume_from_checkpoint": (None,),
    "auto_lr_find": (False,),
    "auto_scale_batch_size": (False, None),
    "amp_backend": ("native",),
    "amp_level": (None,),
    "move_metrics_to_cpu": (False,),
    "track_grad_norm": (-1,),
    "multiple_trainloader_mode": ("max_size_cycle",),
    "weights_save_path": (None,),
    "weights_summary": ("top",),
    "process_position": (0,),
    "stochastic_weight_avg": (False,),
    "progress_bar_refresh_rate": (None,),
    "prepare_data_per_node": (True,),
    "terminate_on_nan": (False,),
    "log_gpu_memory": (None, False),
    "reload_dataloaders_every_epoch": (False,),
    "distributed_backend": (None,),
    "truncated_bptt_steps": (None,),
    "automatic_optimization": (True,),
    "early_stop_callback": (None, False),
    "use_amp": (False,),
    "print_nan_grads": (False,),
    "tpu_cores": (None,),
    "ipus": (None,),
    "num_processes": (1,),
}
REMOVED_STRATEGIES = {
    "dp": Removed("2.0", '`strategy="ddp"`'),
    "ddp2": Removed("1.8", '`strategy="ddp"`'),
    "ddp_cpu": Removed("1.7", '`accelerator="cpu", strategy="ddp_spawn"`'),
    "ddp_sharded": Removed("2.0", '`strategy="fsdp"`'),
    "ddp_sharded_spawn": Removed("2.0", '`strategy="fsdp"`'),
    "ddp_fully_sharded": Removed("2.0", '`strategy="fsdp"`'),
    "fsdp_native": Removed("2.0", '`strategy="fsdp"`'),
    "horovod": Removed("2.0", '`strategy="ddp"`'),
    "bagua": Removed("2.3", '`strategy="ddp"`'),
}
STRATEGIES = frozenset({"ddp", "ddp_spawn", "deepspeed", "fsdp"})
# Arguments of the Trainer's methods that were renamed in 1.6.
RENAMED_METHOD_ARGUMENTS = {
    "fit": {"train_dataloader": "train_dataloaders", "val_dataloader": "val_dataloaders"},
    "validate": {"val_dataloaders": "dataloaders", "val_dataloader": "dataloaders"},
    "test": {"test_dataloaders": "dataloaders", "test_dataloader": "dataloaders"},
}

# Modules and names that Lightning 2 no longer has, and what stands for them.
REMOVED_IMPORTS = {
    "lightning.pytorch.metrics": "the package `torchmetrics`",
    "lightning.pytorch.core.lightning": "`from lightning.pytorch import LightningModule`",
    "lightning.pytorch.core.memory": "`lightning.pytorch.utilities.model_summary`",
    "lightning.pytorch.core.step_result": "`self.log`",
    "lightning.pytorch.core.decorators": "nothing: what they did is done by itself",
    "lightning.pytorch.logging.TestTubeLogger": "`lightning.pytorch.loggers.TensorBoardLogger`",
    "lightning.pytorch.logging.TensorBoardLogger": "`lightning.pytorch.loggers.TensorBoardLogger`",
    "lightning.pytorch.logging.test_tube": "`lightning.pytorch.loggers`",
    "lightning.pytorch.profiler": "`lightning.pytorch.profilers`",
    "lightning.pytorch.lite": "`lightning.fabric`",
    "lightning.pytorch.overrides.data_parallel": "`lightning.pytorch.strategies`",
    "lightning.pytorch.loggers.base": "`lightning.pytorch.loggers.Logger`",
    "lightning.pytorch.callbacks.base": "`lightning.pytorch.callbacks.Callback`",
    "lightning.pytorch.plugins.training_type": "`lightning.pytorch.strategies`",
    "lightning.pytorch.trainer.supporters": "`lightning.pytorch.utilities.CombinedLoader`",
    "lightning.pytorch.tuner.auto_gpu_select": '`Trainer(devices="auto")`',
    "lightning.pytorch.utilities.apply_func": "`lightning_utilities.core.apply_func`",
    "lightning.pytorch.utilities.cli": "`lightning.pytorch.cli`",
    "lightning.pytorch.utilities.cloud_io": "`lightning.fabric.utilities.cloud_io`",
    "lightning.pytorch.utilities.device_parser": "`lightning.fabric.utilities.device_parser`",
    "lightning.pytorch.utilities.distributed": "`lightning.pytorch.utilities.rank_zero`",
    "lightning.pytorch.utilities.xla_device": "`lightning.pytorch.accelerators.XLAAccelerator`",
    "lightning.pytorch.accelerators.GPUAccelerator": "`lightning.pytorch.accelerators.CUDAAccelerator`",
    "lightning.pytorch.callbacks.GPUStatsMonitor": "`lightning.pytorch.callbacks.DeviceStatsMonitor`",
    "lightning.pytorch.callbacks.XLAStatsMonitor": "`lightning.pytorch.callbacks.DeviceStatsMonitor`",
    "lightning.pytorch.callbacks.LearningRateLogger": "`lightning.pytorch.callbacks.LearningRateMonitor`",
    "lightning.pytorch.callbacks.QuantizationAwareTraining": "`torch.ao.quantization`",
    "lightning.pytorch.loggers.LightningLoggerBase": "`lightning.pytorch.loggers.Logger`",
    "lightning.pytorch.loggers.LoggerCollection": "a list of loggers",
    "lightning.pytorch.loggers.TestTubeLogger": "`lightning.pytorch.loggers.TensorBoardLogger`",
    "lightning.pytorch.plugins.DDPPlugin": "`lightning.pytorch.strategies.DDPStrategy`",
    "lightning.pytorch.plugins.DDPSpawnPlugin": '`lightning.pytorch.strategies.DDPStrategy(start_method="spawn")`',
    "lightning.pytorch.plugins.DDPShardedPlugin": "`lightning.pytorch.strategies.FSDPStrategy`",
    "lightning.pytorch.plugins.DeepSpeedPlugin": "`lightning.pytorch.strategies.DeepSpeedStrategy`",
    "lightning.pytorch.strategies.DataParallelStrategy": "`lightning.pytorch.strategies.DDPStrategy`",
    "lightning.pytorch.strategies.DDPSpawnStrategy": (
        '`lightning.pytorch.strategies.DDPStrategy(start_method="spawn")`'
    ),
    "lightning.pytorch.EvalResult": "`self.log`",
    "lightning.pytorch.TrainResult": "`self.log`",
    "lightning.pytorch.data_loader": "nothing: the decorator is not needed",
}
