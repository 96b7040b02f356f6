from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import TORCH, Bad, Check, Good
from mlrules_mcp.checks.ethics_rules.data_privacy._personal import COLUMN_WORDS, Kind, kind_of_column
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name

_TRACKERS = frozenset("wandb mlflow neptune comet_ml clearml trackio".split())
_LOG_METHODS = frozenset("debug info warning warn error exception critical".split())
_TRACKER_METHODS = frozenset("log log_param log_params log_text log_dict log_table Table log_other".split())
_CALLS = ("print", "pprint", "display", *_LOG_METHODS, *_TRACKER_METHODS)
_LOGGER = pattern(r"(^|_)log(ger|ging)?$", re.IGNORECASE)
# Methods and functions whose result still shows the values.
_SHOWS = frozenset(
    "head tail sample unique tolist to_list to_string to_markdown to_frame drop_duplicates sort_values "
    "reset_index dropna copy astype strip lower upper title format get str list repr set sorted to_dict join".split()
)
_SETTINGS = pattern(
    r"(^|_)(args|opts?|options|flags|cfg|config|conf|settings|hparams|params|env|environ|secrets)$", re.IGNORECASE
)
_SPAM = pattern(r"\bspam|enron|newsgroup", re.IGNORECASE)
_CHANNELS = pattern(r"\bsms\b|channel|campaign|marketing|open_rate|click_?through", re.IGNORECASE)
_SPEECH = pattern(r"phoneme|phonetic|torchaudio|librosa|lexicon|\bg2p\b|espeak", re.IGNORECASE)
_MADE_UP_BY = frozenset({"faker", "mimesis"})


class PersonalDataLogged(Check[ast.Module]):
    """Personal data of people that is printed, logged or sent to a tracker.

    ## What it does
    Finds columns and fields that hold e-mail addresses, phone numbers, social security numbers, card numbers, bank
    accounts or passport numbers (`row["email"]`, `user.phone_number`, `df[["name", "ssn"]]`) in what is printed,
    logged, sent to an experiment tracker, or shown by a notebook's cell.

    ## Why it matters
    Logs, trackers and notebooks are copied, kept for long and read by many: personal data in them leaves the place
    that people gave it to, and can't be erased on request.

    ## Do not flag
    Counts and statistics of such columns, masked or hashed values, names of columns; settings (`args.email`); texts
    of e-mails in spam filters, e-mail as a way to advertise; phones in speech recognition; people whose data the code
    spells out; tests.

    ## Fix safety
    No fix: what to write instead (an id, a count, a hash) depends on who reads it.

    ## References
    - https://eur-lex.europa.eu/eli/reg/2016/679/oj
    - https://cheatsheetseries.owasp.org/cheatsheets/Logging_Cheat_Sheet.html
    """

    packages = TORCH | SKLEARN | _TRACKERS | frozenset("pandas polars pyspark datasets numpy keras tensorflow".split())
    examples = (
        Bad(
            """
            import pandas as pd

            users = pd.read_csv("users.csv")
            print(«users["email"]».head())
            """
        ),
        Bad(
            """
            import logging
            import pandas as pd

            logger = logging.getLogger(__name__)

            def score(row, model):
                logger.info("scoring %s", «row["ssn"]»)
                logger.debug(f"calling {«row.phone_number»} now")
                return model.predict(row[FEATURES])
            """
        ),
        Bad(
            """
            import wandb

            table = wandb.Table(columns=["id", "email"], data=[[user.id, «user.email»] for user in users])
            wandb.log({"worst": ‹users["customer_email"]›.tolist()})
            """
        ),
        Bad(
            """
            import pandas as pd

            for name, row in pd.read_csv("staff.csv").iterrows():
                print(name + ": " + str(«row.get("social_security_number")»))
            print(staff[«["name", "Phone"]»])
            """
        ),
        Good(
            """
            import pandas as pd

            users = pd.read_csv("users.csv")
            print(users["email"].nunique(), users["phone"].value_counts(), len(users["ssn"]))
            print("email", users.columns)
            print(users.drop(columns=["email", "ssn"]).head())
            print(users["email"].map(hash_of).head())
            print(f"masked: {mask(users['email'])}")
            """,
            "counts, names of columns, hashes",
        ),
        Good(
            """
            import pandas as pd

            print("reports go to", args.email)
            logger.info(f"notifying {config['email']}")
            send(user["email"], report)
            """,
            "settings, and no log",
        ),
        Good(
            """
            import pandas as pd

            messages = pd.read_csv("spam.csv")
            print(messages["email"][0])
            """,
            "the text of a message",
        ),
        Good(
            """
            import pandas as pd

            people = pd.DataFrame({"first": ["Ann", "Bo"], "email": ["ann@gmail.com", "bo@gmail.com"]})
            print(people["email"])
            """,
            "people that the code makes up",
        ),
        Good(
            """
            import pandas as pd

            print(users["mobile"], users["Passport"], users["Cell Phone"], users["credit_card"])
            """,
            "whether they have one",
        ),
        Good(
            """
            import pandas as pd

            spend = pd.read_csv("campaigns.csv").groupby("channel")["cost"].sum()
            print(spend["email"], spend["sms"])
            """,
            "a way to advertise",
        ),
        Good(
            """
            import torchaudio

            print(alignment["phone"])
            """,
            "the sounds of speech",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        code = module.source.code.lower()
        if not any(word in code for word in COLUMN_WORDS) or is_test(module):
            return
        shown = [value for call in module.calls(*_CALLS) for value in _logged(call, module)]
        if module.source.path.endswith(".ipynb"):
            shown += [value for statement in module.nodes(ast.Expr) for value in _displayed(statement, module)]
        for place, kind in (found for value in shown for found in _personal(value)):
            if not module.imported_packages & _MADE_UP_BY and not _means_something_else(kind, module):
                yield self.finding(
                    module,
                    place,
                    f"This puts {kind.what} of people into a log, a tracker or a saved output, where they are copied "
                    "and kept. Write an id, a count or a hash instead.",
                )


def _logged(call: ast.Call, module: Module) -> list[ast.expr]:
    """What a call prints, logs or sends to a tracker."""
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    match call.func:
        case ast.Name(id="print" | "pprint" | "display"):
            return values
        case ast.Attribute(attr=method, value=owner) if method in _LOG_METHODS:
            name = last_name(owner.func if isinstance(owner, ast.Call) else owner) or ""
            return values if _LOGGER.search(name) or name == "getLogger" else []
        case ast.Name() | ast.Attribute() as func if last_name(func) in _TRACKER_METHODS:
            return values if (module.qualified_name(func) or "").partition(".")[0] in _TRACKERS else []
    return []


def _displayed(statement: ast.Expr, module: Module) -> list[ast.expr]:
    """What a notebook's cell shows: a bare expression."""
    value = statement.value
    return (
        [value]
        if isinstance(module.parent(statement), ast.Module)
        and isinstance(value, ast.Subscript | ast.Call)
        and not _is_field(value)
        else []
    )


def _is_field(value: ast.expr) -> bool:
    """Whether an expression reads the field of one object, which a notebook may have made up, and not a column."""
    while isinstance(value, ast.Subscript | ast.Call):
        value = value.value if isinstance(value, ast.Subscript) else value.func
    return isinstance(value, ast.Attribute) and kind_of_column(value.attr) is not None


def _personal(expression: ast.expr | None) -> Iterator[tuple[ast.expr, Kind]]:
    """The personal data that a shown expression shows, each with its kind."""
    match expression:
        case (
            ast.Subscript(value=owner, slice=ast.Constant(value=str(name)))
            | ast.Call(func=ast.Attribute(value=owner, attr="get"), args=[ast.Constant(value=str(name)), *_])
        ):
            if (kind := kind_of_column(name)) is not None and not _SETTINGS.search(last_name(owner) or ""):
                yield expression, kind
        case ast.Subscript(slice=ast.List(elts=names) as chosen):
            columns = [each.value for each in names if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            if (kind := next(filter(None, map(kind_of_column, columns)), None)) is not None:
                yield chosen, kind
        case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=name):
            if (kind := kind_of_column(name)) is not None and not _SETTINGS.search(owner):
                yield expression, kind
            elif name in ("values", "loc", "iloc", "T"):
                yield from _personal(expression.value)
        case ast.Call(func=ast.Attribute(value=owner, attr=method), args=args) if method in _SHOWS:
            for part in (owner, *args):
                yield from _personal(part)
        case ast.Call(func=ast.Name(id=function), args=args) if function in _SHOWS:
            for part in args:
                yield from _personal(part)
        case _:
            for part in _parts(expression):
                yield from _personal(part)


def _parts(expression: ast.expr | None) -> list[ast.expr]:
    """The expressions whose values an expression shows as they are."""
    match expression:
        case ast.JoinedStr(values=parts) | ast.Dict(values=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts):
            return parts
        case ast.FormattedValue(value=part) | ast.Starred(value=part) | ast.Subscript(value=part):
            return [part]
        case ast.Attribute(value=part, attr="values" | "loc" | "iloc" | "T"):
            return [part]
        case ast.ListComp(elt=part) | ast.GeneratorExp(elt=part):
            return [part]
        case ast.BinOp(op=ast.Add() | ast.Mod(), left=left, right=right):
            return [left, right]
    return []


def _means_something_else(kind: Kind, module: Module) -> bool:
    """Whether the file is about texts of e-mails, the sounds that speech research calls phones, or made-up people."""
    if kind.value.search(module.source.code):
        return True
    text = module.source.code + module.source.path
    if kind.what.startswith("e-mail"):
        return bool(_SPAM.search(text) or _CHANNELS.search(text))
    return kind.what.startswith("phone") and bool(_SPEECH.search(text))
