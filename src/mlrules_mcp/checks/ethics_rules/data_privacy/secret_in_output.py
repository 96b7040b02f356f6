from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.ethics_rules.data_privacy._secrets import formats_in, secrets
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.saved import saved_cells


class SecretInOutput(Check[ast.Module]):
    """A token of a tracker, hub or cloud in what a notebook's cell has shown.

    ## What it does
    Searches the saved outputs of a notebook (printed text, values, tables, tracebacks) for the tokens that
    `secret-in-code` knows, and for an uploaded `kaggle.json`. The finding stands at the first line of the cell;
    the token itself is never repeated.

    ## Why it matters
    Outputs are saved in the notebook's file and travel with it. Code that reads a token properly, from the
    environment or an upload, still gives it away where the cell shows it: `os.environ`, `%env`, a request's headers,
    or the return value of `files.upload()` in Colab.

    ## Do not flag
    Placeholders, style sheets of scikit-learn's diagrams, pictures, hashes, signed addresses of downloads.

    ## Fix safety
    No fix: the token has to be revoked first.

    ## References
    - https://docs.github.com/en/code-security/secret-scanning/introduction/supported-secret-scanning-patterns
    - https://nbconvert.readthedocs.io/en/latest/removing_cells.html
    """

    packages = frozenset()
    examples = (
        Bad(
            """
            «from google.colab import files»
            files.upload()
            """,
            shows="""
            {'kaggle.json': b'{"username":"ann","key":"12aabfe228f219e9cb0eb53f16947ccf"}'}
            """,
        ),
        Bad(
            """
            «%env»
            """,
            shows="""
            {'HOME': '/home/ann',
             'WANDB_API_KEY': '7149d439536b3216fdaeeb975729fae923d5a4fd'}
            """,
        ),
        Good(
            """
            import wandb

            wandb.login()
            """,
            shows="""
            wandb: Currently logged in as: ann. Use `wandb login --relogin` to force relogin
            wandb: Run 7149d439536b3216fdaeeb975729fae923d5a4fd is at https://wandb.ai/ann/project
            """,
        ),
        Good(
            """
            model.fit(X, y)
            """,
            shows="""
            <style>#sk-container-id-1 label.sk-toggleable__label-arrow:before {content: "x";}</style>
            """,
        ),
        Good(
            """
            !cat ~/.kaggle/kaggle.json
            """,
            shows="""
            {"username":"ann","key":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}
            """,
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        cells = [cell for cell in saved_cells(module) if cell.outputs]
        formats = formats_in("\n".join(text for cell in cells for text in cell.outputs)) if cells else []
        for cell in cells if formats else ():
            found = {secret.what: secret for text in cell.outputs for secret in secrets(text, formats)}
            for secret in found.values():
                yield self.finding(
                    module,
                    cell.head,
                    f"The saved output of this cell shows a {secret.what}: whoever gets the notebook or its history "
                    "can use the account. Revoke it, clear the output, and show no value that holds a token.",
                    error=True,
                )
