from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.ethics_rules.data_privacy._personal import COLUMN_WORDS, KINDS, Kind, kind_of_column, values_of
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.saved import saved_cells

_TABLE = pattern(r"<table.*?</table>", re.DOTALL | re.IGNORECASE)
_ROW = pattern(r"<tr.*?</tr>", re.DOTALL | re.IGNORECASE)
_CELL = pattern(r"<t[hd][^>]*>(.*?)</t[hd]>", re.DOTALL | re.IGNORECASE)
_COLUMN = pattern(r"\S+(?: \S+)*")  # columns of printed tables stand two spaces apart, or more
_SERIES = pattern(r"^Name: (.+?), (?:Length: \d+, )?dtype: (?:object|str|string)", re.MULTILINE)
_QUOTED = pattern(r"""(['"])([\w.%+-]+@[\w.-]+\.[A-Za-z]{2,})\1""")
_MANY = 3
_MADE_UP_BY = frozenset({"faker", "mimesis", "sdv", "ctgan"})


class PersonalDataInOutput(Check[ast.Module]):
    """Personal data of people in what a notebook's cell has shown.

    ## What it does
    Searches the saved outputs of a notebook for tables and series with a column of e-mail addresses, phone numbers,
    social security numbers, card numbers, bank accounts or passport numbers whose values have that form, and for
    lists of e-mail addresses. The finding stands at the first line of the cell; no value is repeated.

    ## Why it matters
    Outputs are saved in the notebook's file: a `df.head()` puts customers' data into the repository, its history, and
    wherever the notebook is shown, without consent and out of reach of a request to erase it.

    ## Do not flag
    Addresses of maintainers in tracebacks, package listings and warnings; texts of public corpora, which hold
    addresses between their words; sample values (`example.com`, 555 numbers, spelt out in the code, made by Faker);
    columns that only count or choose (`email_subscriber`, `PhoneService`), were dropped, hashed or masked.

    ## Fix safety
    No fix: the output has to be cleared, and perhaps the history.

    ## References
    - https://eur-lex.europa.eu/eli/reg/2016/679/oj
    - https://nbconvert.readthedocs.io/en/latest/removing_cells.html
    """

    packages = frozenset()
    examples = (
        Bad(
            """
            «customers = pd.read_csv("customers.csv")»
            customers.head()
            """,
            shows="""
                    name                      email  churned
            0    Ann Lee         ann.lee@gmail.com        0
            1  Bo Larsen  bo.larsen84@hotmail.com        1
            """,
        ),
        Bad(
            """
            «display(customers)»
            """,
            shows="""
            <table border="1" class="dataframe">
              <thead><tr style="text-align: right;"><th></th><th>Name</th><th>Phone No.</th></tr></thead>
              <tbody>
                <tr><th>0</th><td>Ann</td><td>+1 (212) 664-7665</td></tr>
                <tr><th>1</th><td>Bo</td><td>+1 (415) 273-9164</td></tr>
              </tbody>
            </table>
            """,
        ),
        Bad(
            """
            «staff["SSN"]»
            """,
            shows="""
            0    219-09-4971
            1    457-55-5462
            Name: SSN, dtype: object
            """,
        ),
        Bad(
            """
            «subscribers = load()»
            print(subscribers)
            """,
            shows="""
            ['ann.lee@gmail.com', 'bo.larsen84@hotmail.com', 'cy@uni-ulm.de']
            """,
        ),
        Good(
            """
            print(customers)
            """,
            "sample values",
            shows="""
                    name             email           phone
            0    Ann Lee   ann@example.com  (212) 555-0147
            1  Bo Larsen  bo@mail.test.com  (415) 555-0199
            """,
        ),
        Good(
            """
            !pip show torch
            """,
            shows="""
            Name: torch
            Author: PyTorch Team
            Author-email: packages@pytorch.org
            """,
        ),
        Good(
            """
            print(newsgroups.data[0])
            """,
            "a text of a public corpus",
            shows="""
            From: bk4@cam.utas.edu.au (Ben K)
            Subject: Re: Need help, e-mail me
            Reply to ben.k@cam.utas.edu.au or ask anna@esk.utas.edu.au or carl@web.de
            """,
        ),
        Good(
            """
            df.head()
            """,
            shows="""
               PhoneService  email_subscriber  emails_clicked
            0           Yes                 1              17
            1            No                 0               3
            """,
        ),
        Good(
            """
            customers["email"] = customers["email"].map(hashed)
            customers.head()
            """,
            shows="""
                  email  churned
            0  4be0643f        0
            1  a1c9d0e2        1
            """,
        ),
        Good(
            """
            pd.DataFrame({"name": ["Ann", "Bo"], "email": ["ann.lee@gmail.com", "bo@hotmail.com"]})
            """,
            "sample values, spelt out in the code",
            shows="""
              name              email
            0  Ann  ann.lee@gmail.com
            1   Bo     bo@hotmail.com
            """,
        ),
        Good(
            """
            df.isna().sum()
            """,
            shows="""
            name     0
            email    12
            phone    3
            dtype: int64
            """,
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        cells = saved_cells(module)
        if not cells or module.imported_packages & _MADE_UP_BY:
            return
        for cell in cells:
            for kind in dict.fromkeys(kind for text in cell.outputs for kind in _shown(text, module.source.code)):
                yield self.finding(
                    module,
                    cell.head,
                    f"The saved output of this cell shows {kind.what} of people to everyone who gets the notebook or "
                    "its history. Clear the output, and drop or mask such columns before a table is shown.",
                )


def _shown(text: str, code: str) -> Iterator[Kind]:
    """The kinds of personal data in a text that a cell has shown; what the code itself spells out is a sample."""
    lower = text.lower()
    named = any(word in lower for word in COLUMN_WORDS)
    if named and "<table" in lower:
        for table in _TABLE.findall(text):
            yield from _in_html_table(table, code)
    elif named:
        yield from _in_printed_table(text.splitlines(), code)
        for name in _SERIES.findall(text):
            if (kind := kind_of_column(name)) is not None and values_of(kind, text, code):
                yield kind
    if "@" in text and len(values_of(KINDS[0], "\n".join(value for _, value in _QUOTED.findall(text)), code)) >= _MANY:
        yield KINDS[0]


def _in_html_table(table: str, code: str) -> Iterator[Kind]:
    rows = [_CELL.findall(row) for row in _ROW.findall(table)]
    for position, name in enumerate(rows[0]) if rows else ():
        if (kind := kind_of_column(name)) is not None:
            values = [row[position] for row in rows[1:] if len(row) == len(rows[0])]
            if any(values_of(kind, value, code) for value in values):
                yield kind


def _in_printed_table(lines: list[str], code: str) -> Iterator[Kind]:
    for number, line in enumerate(lines):
        names = _COLUMN.findall(line)
        if len(names) < 2 and not line.startswith("  "):
            continue
        for match in _COLUMN.finditer(line):
            kind = kind_of_column(match[0])
            if kind is not None and any(_stands_below(kind, match.end(), row, code) for row in _rows(lines, number)):
                yield kind


def _rows(lines: list[str], head: int) -> Iterator[str]:
    """The lines of a printed table below its head, up to an empty one."""
    for line in lines[head + 1 :]:
        if not line.strip():
            return
        yield line


def _stands_below(kind: Kind, end: int, row: str, code: str) -> bool:
    """Whether a row has a value of a kind in the column whose name ends there: pandas aligns them on the right."""
    return any(abs(match.end() - end) <= 1 and values_of(kind, match[0], code) for match in _COLUMN.finditer(row))
