import json
import subprocess
import sys


def test_a_worker_started_by_hand_writes_its_lines_to_stdout(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('not built')", encoding="utf-8")
    command = [sys.executable, "-c", "from mlrules_mcp.training.worker import main; main(['--device', 'cpu'])"]
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, text=True, check=True)
    first, last = (json.loads(line) for line in done.stdout.splitlines())
    assert first == {"progress": {"done": 0, "total": None, "message": "importing torch and lightning"}}
    assert last["error"]["reason"] == "not-installed"


def test_a_wrong_argument_is_a_usage_error(tmp_path):
    command = [sys.executable, "-m", "mlrules_mcp.training.worker", "--seed", "many"]
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, text=True, check=False)
    assert done.returncode == 2
    assert "invalid int value: 'many'" in done.stderr
