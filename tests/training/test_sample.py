import pytest
import torch

from mlrules_mcp.training import sample

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_data_follows_from_its_seed():
    def signals(seed):
        data = sample.Waveforms(examples=40, seed=seed)
        data.setup("fit")
        return [signal for signal, _ in data.training_data]

    first, again, other = signals(0), signals(0), signals(1)
    assert all(a.equal(b) for a, b in zip(first, again, strict=True))
    assert not first[0].equal(other[0])


def test_no_example_is_in_two_splits():
    data = sample.Waveforms(examples=100)
    data.setup("fit")
    splits = [set(part.indices) for part in (data.training_data, data.validation_data, data.test_data)]
    assert [len(part) for part in splits] == [70, 15, 15]
    assert len(set.union(*splits)) == 100


def test_every_waveform_is_drawn_with_the_shapes_that_are_promised():
    signals, classes = sample.make_waveforms(200, 64, 0.0, torch.Generator().manual_seed(0))
    assert (signals.shape, signals.dtype) == ((200, 1, 64), torch.float32)
    assert (classes.shape, classes.dtype) == ((200,), torch.int64)
    assert classes.unique().tolist() == [0, 1, 2, 3]
    loudest = signals.abs().amax(dim=(1, 2))
    assert loudest.max() <= 1.5
    assert loudest.min() > 0.4
    square = signals[classes == sample.WAVEFORMS.index("square")]
    assert all(len(one.abs().unique()) == 1 for one in square)


def test_the_model_is_rebuilt_from_its_saved_arguments():
    model = sample.WaveformClassifier(channels=8, dropout=0.0)
    assert dict(model.hparams) == {
        "channels": 8,
        "dropout": 0.0,
        "learning_rate": 0.02,
        "weight_decay": 0.01,
    }


def test_the_test_step_logs_metrics_of_its_own(trials):
    trial = trials(sample.WaveformClassifier).first
    (metrics,) = trial.trainer.test(trial.model, trial.data, verbose=False)
    assert metrics.keys() == {"test_loss", "test_accuracy", "test_f1"}


def test_predictions_are_probabilities(trials):
    trial = trials(sample.WaveformClassifier).first
    (probabilities,) = trial.predict(trial.model).values()
    assert probabilities.shape[1] == len(sample.WAVEFORMS)
    assert probabilities.sum(dim=1).allclose(probabilities.new_ones(len(probabilities)))
