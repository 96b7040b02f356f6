import json

import pytest

from mlrules_mcp.training.errors import TrainingError
from mlrules_mcp.training.target.request import Target, file_of, read_target


@pytest.fixture
def project(tmp_path):
    (tmp_path / "models").mkdir()
    for name in ("models/net.py", "data.py"):
        (tmp_path / name).write_text("", encoding="utf-8")
    return tmp_path


def read(project, target="models/net.py:Net", **options):
    return read_target(target, folder=project, **options)


def test_a_target_is_trained_in_the_folder_that_it_was_named_from(project):
    target = read(project)
    assert (target.file, target.cls, target.root) == (str(project / "models/net.py"), "Net", str(project))
    assert Target.from_json(target.to_json()) == target


def test_a_target_outside_the_folder_is_trained_where_its_project_begins(project, tmp_path):
    (project / "pyproject.toml").write_text("", encoding="utf-8")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert read(elsewhere, str(project / "models/net.py")).root == str(project)


@pytest.mark.parametrize("text", ["models/net.py:Net", "models/net.py", "C:\\models\\net.py:Net", "C:\\models\\net.py"])
def test_a_drive_letter_is_no_class(text):
    assert file_of(text) == text.removesuffix(":Net")


def test_arguments_come_as_json_or_from_a_json_or_yaml_file(project):
    (project / "args.json").write_text('{"hidden": 8}', encoding="utf-8")
    (project / "args.yaml").write_text("hidden: 8\n", encoding="utf-8")
    for given in ('{"hidden": 8}', "args.json", "args.yaml", {"hidden": 8}):
        assert read(project, init_args=given).init_args == {"hidden": 8}


CONFIG = """
seed_everything: 3
trainer: {max_epochs: 7}
model:
  class_path: models.net.Net
  init_args: {hidden: 8}
data:
  class_path: data.Digits
  init_args: {batch_size: 4}
optimizer:
  class_path: torch.optim.SGD
  init_args: {lr: 0.1}
"""


@pytest.mark.parametrize("text", [CONFIG, "fit:\n" + CONFIG.replace("\n", "\n  ")])
def test_a_lightning_cli_configuration_names_model_data_and_optimizer(project, text):
    (project / "config.yaml").write_text(text, encoding="utf-8")
    target = read(project, "models/net.py", init_args="config.yaml")
    assert (target.cls, target.init_args) == ("Net", {"hidden": 8})
    assert (target.data, target.data_args) == ("data.Digits", {"batch_size": 4})
    assert target.optimizer == {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}
    assert target.notes == ("Not used of the configuration: trainer.",)


def test_a_configuration_without_class_paths_gives_the_arguments_alone(project):
    target = read(project, init_args={"model": {"hidden": 8}, "data": {"batch_size": 4}})
    assert (target.init_args, target.data_args) == ({"hidden": 8}, {"batch_size": 4})
    assert target.data == target.file


def test_an_argument_called_model_is_an_argument(project):
    assert read(project, init_args={"model": {"depth": 3}}).init_args == {"model": {"depth": 3}}


def test_a_module_among_the_arguments_is_no_configuration(project):
    net = {"class_path": "models.net.Net", "init_args": {"hidden": 8}}
    for given in ({"model": net, "rate": 0.1}, {"model": net}):
        assert read(project, "models/net.py:Lit", init_args=given).init_args == given


def test_a_data_module_of_the_command_line_goes_before_that_of_a_configuration(project):
    options = {"init_args": {"model": {}, "data": {"class_path": "a.B"}}, "data": "data.py:D", "data_args": '{"n": 2}'}
    target = read(project, **options)
    assert (target.data, target.data_args) == (f"{project / 'data.py'}:D", {"n": 2})


BATCHES = [
    '{"shape": [8, 3]}',
    '[{"shape": [8, 3, 32, 32]}, {"shape": [8], "dtype": "int64", "high": 10}]',
    {"image": {"shape": [2, 3], "low": 0, "high": 1}, "scale": 2.0},
]


@pytest.mark.parametrize("batch", BATCHES)
def test_a_batch_specification_is_read(project, batch):
    expected = json.loads(batch) if isinstance(batch, str) else batch
    assert read(project, batch=batch).batch == expected


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target": "models/gone.py:Net"}, r"There is no file models/gone\.py"),
        ({"target": "models.net.Net"}, r"FILE\.py:CLASS, such as models/net\.py:Net, not 'models\.net\.Net'"),
        ({"init_args": "{hidden: 8}"}, r"init_args is not valid JSON: Expecting property name"),
        ({"init_args": "gone.yaml"}, r"neither JSON nor a file that can be read: 'gone\.yaml'"),
        ({"init_args": "[8]"}, r'an object such as \{"hidden": 64\}, not \[8\]'),
        ({"loss": "crossentropy"}, r"Unknown loss 'crossentropy'\. Choose one of: cross_entropy, "),
        ({"batch": '{"shape": [0, 3]}'}, r"batch: shape must be a list of sizes above 0"),
        ({"batch": '[{"shape": [8], "type": "int64"}]'}, r"batch\[0\]: a tensor has no 'type'\. It may have: dtype"),
        ({"batch": '{"x": {"shape": [8], "high": "ten"}}'}, r"batch\.x: high must be a number, not 'ten'"),
        ({"batch": "[]"}, r"batch is no batch specification: \[\]\. An example: \["),
        ({"data": "data.txt"}, r"data must be FILE\.py:CLASS"),
    ],
)
def test_what_cannot_be_read_is_said_with_what_can(project, options, said):
    with pytest.raises(TrainingError, match=said) as caught:
        read(project, **options)
    assert caught.value.reason == "bad-argument"
